package window

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestLimit(t *testing.T) {
	for _, test := range []struct {
		limit Limit
		wrong string
	}{
		{Limit{1, time.Minute}, ""},
		{Limit{MostCapacity, 24 * time.Hour}, ""},
		{Limit{5, 70 * time.Second}, ""},
		{Limit{0, time.Minute}, "capacity is 0"},
		{Limit{-1, time.Minute}, "capacity is -1"},
		{Limit{MostCapacity + 1, time.Minute}, "capacity is 2000000001"},
		{Limit{5, 50 * time.Second}, "rate is 50s"},
		{Limit{5, 65 * time.Second}, "rate is 1m5s"},
		{Limit{5, 24*time.Hour + RateStep}, "rate is 24h0m10s"},
		{Limit{5, -time.Minute}, "rate is -1m0s"},
	} {
		_, err := New(test.limit)
		if (err == nil) != (test.wrong == "") || err != nil && !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%v: %v, want %q", test.limit, err, test.wrong)
		}
	}
}

func counter(t testing.TB, limit Limit, keys int) *Counter {
	t.Helper()
	c, err := newCounter(limit, keys)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAllow(t *testing.T) {
	c := counter(t, Limit{Capacity: 3, Rate: time.Minute}, remembered)
	for i, step := range []struct {
		after time.Duration // the beginning
		key   string
		ok    bool
		retry time.Duration
	}{
		{0, "a", true, 0},
		{10 * time.Second, "a", true, 0},
		{10 * time.Second, "b", true, 0},
		{20 * time.Second, "a", true, 0},
		{30 * time.Second, "a", false, 30 * time.Second},
		{30 * time.Second, "b", true, 0},
		{59 * time.Second, "a", false, time.Second},
		{60 * time.Second, "a", true, 0},
		{60 * time.Second, "a", false, 10 * time.Second},
		{time.Hour, "a", true, 0},
		{50 * time.Minute, "a", true, 0}, // who was overtaken counts as just now
		{time.Hour, "a", true, 0},
		{time.Hour, "a", false, time.Minute},
	} {
		ok, retry := c.Allow(c.begin.Add(step.after), step.key)
		if ok != step.ok || retry != step.retry {
			t.Errorf("step %d: %v %v, want %v %v", i, ok, retry, step.ok, step.retry)
		}
	}
}

// Keys of several parts are the same only if all parts are.
func TestKeysAreToldApart(t *testing.T) {
	c := counter(t, Limit{Capacity: 1, Rate: time.Minute}, remembered)
	for _, key := range [][]string{{}, {""}, {"", ""}, {"ab", "c"}, {"a", "bc"}, {"abc"}, {"abc", ""}, {"", "abc"}, {"a\x00b"}, {"a", "b"}} {
		if ok, _ := c.Allow(c.begin, key...); !ok {
			t.Errorf("%q is taken for another key", key)
		}
		if ok, _ := c.Allow(c.begin, key...); ok {
			t.Errorf("%q is not the same key again", key)
		}
	}
}

// naive is a Limit's rule for one key, as one would write it down.
type naive struct {
	limit Limit
	slot  int64
	past  []int64
}

// held is what counts at a time: what shares its slot counts as long as the last of them.
func (n *naive) held(at int64) (count int64) {
	for _, one := range n.past {
		last := one
		for _, other := range n.past {
			if other/n.slot == one/n.slot {
				last = max(last, other)
			}
		}
		if last+int64(n.limit.Rate) > at {
			count++
		}
	}
	return count
}

// passed is how many passed in the window of that length that ends at a time.
func (n *naive) passed(at, length int64) (count int64) {
	for _, one := range n.past {
		if one > at-length && one <= at {
			count++
		}
	}
	return count
}

// The Counter decides as the naive rule does; no window ever holds more than the capacity;
// who is refused had that many pass within a sixtieth more than the window; and waiting
// as long as was told is exactly enough.
func TestCounterAgreesWithTheNaiveRule(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := Limit{Capacity: rapid.Int64Range(1, 12).Draw(t, "capacity"), Rate: time.Duration(rapid.Int64Range(6, 30).Draw(t, "rate")) * RateStep}
		c, err := newCounter(limit, remembered)
		if err != nil {
			t.Fatal(err)
		}
		models := map[string]*naive{}
		var at int64
		for range rapid.IntRange(1, 150).Draw(t, "requests") {
			at += rapid.OneOf(rapid.Int64Range(0, 3), rapid.Int64Range(0, int64(limit.Rate)/10), rapid.Int64Range(0, 2*int64(limit.Rate))).Draw(t, "pause")
			key := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "key")
			m := models[key]
			if m == nil {
				m = &naive{limit: limit, slot: c.slot}
				models[key] = m
			}
			want := m.held(at) < limit.Capacity
			ok, retry := c.Allow(c.begin.Add(time.Duration(at)), key)
			if ok != want {
				t.Fatalf("at %d: %v, want %v", at, ok, want)
			}
			if ok {
				m.past = append(m.past, at)
				if n := m.passed(at, int64(limit.Rate)); n > limit.Capacity {
					t.Fatalf("%d passed within the window", n)
				}
				continue
			}
			if n := m.passed(at, int64(limit.Rate)+c.slot); n < limit.Capacity {
				t.Fatalf("refused after %d", n)
			}
			if room := at + int64(retry); m.held(room) >= limit.Capacity || m.held(room-1) < limit.Capacity {
				t.Fatalf("to be tried again after %v", retry)
			}
		}
	})
}

// However many keys come, memory is bounded, keys in use keep their own counts, and all
// the strangers together pass a bounded number of times.
func TestFloodOfKeys(t *testing.T) {
	const keys, capacity = 4 * shards * lots, 5
	c := counter(t, Limit{Capacity: capacity, Rate: time.Minute}, keys)
	passed, regular := 0, 0
	for i := range 300_000 {
		now := c.begin.Add(time.Duration(i) * time.Microsecond)
		if ok, _ := c.Allow(now, fmt.Sprint("stranger ", i)); ok {
			passed++
		}
		if i%1000 == 0 {
			if ok, _ := c.Allow(now, "regular"); ok {
				regular++
			}
		}
	}
	if most := 3 * keys * capacity; passed > most {
		t.Errorf("%d strangers passed, at most %d may", passed, most)
	}
	if regular > capacity {
		t.Errorf("the regular key passed %d times, %d is allowed", regular, capacity)
	}
	held := 0
	for i := range c.shards {
		for j := range c.shards[i].lots {
			held += len(c.shards[i].lots[j].groups)
		}
	}
	if held > shards*lots*(mostGroups+1) {
		t.Errorf("%d groups are held", held)
	}
	if ok, _ := c.Allow(c.begin.Add(3*time.Minute), "another"); !ok {
		t.Error("a stranger does not pass after the flood")
	}
}

// Who has used up its room and is displaced by other keys does not get it back for that.
func TestDisplacedKeysStayCounted(t *testing.T) {
	const capacity = 5
	c := counter(t, Limit{Capacity: capacity, Rate: time.Minute}, shards)
	for range capacity {
		if ok, _ := c.Allow(c.begin, "guesser"); !ok {
			t.Fatal("refused too early")
		}
	}
	for i := range 50 * shards {
		c.Allow(c.begin.Add(time.Second), fmt.Sprint("decoy ", i))
	}
	if ok, retry := c.Allow(c.begin.Add(2*time.Second), "guesser"); ok || retry > time.Minute {
		t.Errorf("%v %v", ok, retry)
	}
}

// Concurrent callers never pass more often than the capacity.
func TestAllowConcurrently(t *testing.T) {
	const capacity = 500
	c := counter(t, Limit{Capacity: capacity, Rate: time.Minute}, remembered)
	var passed [3]atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 3 * capacity {
				if ok, _ := c.Allow(time.Now(), "key", fmt.Sprint(i%3)); ok {
					passed[i%3].Add(1)
				}
			}
		})
	}
	all.Wait()
	for i := range passed {
		if n := passed[i].Load(); n != capacity {
			t.Errorf("key %d passed %d times, want %d", i, n, capacity)
		}
	}
}

func BenchmarkAllow(b *testing.B) {
	addresses := make([]string, 10_000)
	for i := range addresses {
		addresses[i] = fmt.Sprintf("192.0.%d.%d", i/256, i%256)
	}
	for name, many := range map[string]int{"one key": 1, "10000 keys": len(addresses)} {
		c := counter(b, Limit{Capacity: MostCapacity, Rate: time.Minute}, remembered)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					c.Allow(time.Now(), "api", addresses[rand.IntN(many)]) //nolint:gosec // which key does not matter
				}
			})
		})
	}
	b.Run("flood", func(b *testing.B) {
		c := counter(b, Limit{Capacity: 1000, Rate: time.Minute}, remembered)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			c.Allow(time.Now(), "api", fmt.Sprint(i))
		}
	})
	c := counter(b, Limit{Capacity: 10, Rate: time.Minute}, remembered)
	if n := testing.AllocsPerRun(1000, func() { c.Allow(time.Now(), "api", addresses[0]) }); n > 0 {
		b.Errorf("%v allocations", n)
	}
}
