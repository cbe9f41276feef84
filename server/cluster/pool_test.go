package cluster_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/errorpage"
	"github.com/postern-dev/postern/server/route"
)

// poolOf registers n endpoints on one URL and returns who picks among them.
func poolOf(t *testing.T, n int) route.Owner {
	t.Helper()
	l := cluster.New()
	for i := range n {
		register(t, l, live(i, https("a.example"), newSession(t), nil))
	}
	return l.Owners()[0].Owner
}

func pick(t *testing.T, o route.Owner) route.Member {
	t.Helper()
	m, err := o.Pick(nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPickTakesTurns(t *testing.T) {
	o := poolOf(t, 3)
	counts := map[postern.EndpointID]int{}
	for range 30 {
		m := pick(t, o)
		m.Begin()(true)
		counts[m.ID()]++
	}
	for id, n := range counts {
		if n != 10 {
			t.Errorf("%s was picked %d times of 30", id, n)
		}
	}
}

func TestPickPrefersTheLeastBusy(t *testing.T) {
	o := poolOf(t, 3)
	busy := map[postern.EndpointID]int{}
	for range 30 { // nothing ends
		m := pick(t, o)
		m.Begin()
		busy[m.ID()]++
	}
	for id, n := range busy {
		if n != 10 {
			t.Errorf("%s has %d of 30", id, n)
		}
	}
	idle := pick(t, o)
	end := idle.Begin()
	end(true)
	end(true) // counts once
	for range 3 {
		idle.Begin()
	}
	for range 2 {
		if m := pick(t, o); m.ID() == idle.ID() {
			t.Fatal("picked the busiest")
		}
	}
}

func TestPickSkips(t *testing.T) {
	o := poolOf(t, 2)
	first := pick(t, o)
	for range 4 {
		m, err := o.Pick(func(m route.Member) bool { return m.ID() == first.ID() })
		if err != nil || m.ID() == first.ID() {
			t.Fatalf("picked %v, %v", m, err)
		}
	}
	if _, err := o.Pick(func(route.Member) bool { return true }); !postern.HasCode(err, postern.CodeEndpointOffline) {
		t.Fatalf("all skipped: %v", err)
	}
}

// A member that could not be reached rests, is tried by one connection, rests longer
// if it still cannot, and is back at once when it can.
func TestPickAvoidsTheUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := poolOf(t, 2)
		sick := pick(t, o)
		sick.Begin()(false)
		trials := func(within time.Duration) (picked int) {
			for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
				m := pick(t, o)
				end := m.Begin()
				if m.ID() == sick.ID() {
					picked++
				}
				end(m.ID() != sick.ID())
			}
			return picked
		}
		if n := trials(time.Second); n != 0 {
			t.Errorf("picked %d times within its pause", n)
		}
		// Pauses of 2, 4, 8, 16 and then 30 s: six trials within 100 s.
		if n := trials(100 * time.Second); n < 5 || n > 7 {
			t.Errorf("tried %d times in 100 s", n)
		}
		time.Sleep(time.Minute)
		for range 2 { // the trial is one connection's
			if m := pick(t, o); m.ID() == sick.ID() {
				end := m.Begin()
				for range 4 {
					if other := pick(t, o); other.ID() == sick.ID() {
						t.Fatal("a second connection tries it")
					}
				}
				end(true)
			}
		}
		back := 0
		for range 4 {
			if pick(t, o).ID() == sick.ID() {
				back++
			}
		}
		if back != 2 {
			t.Errorf("after it was reached it is picked %d times of 4", back)
		}
	})
}

// If nobody can be reached, the one that has rested longest is tried rather than
// nobody.
func TestPickTakesTheLeastBad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := poolOf(t, 3)
		first := pick(t, o)
		first.Begin()(false)
		time.Sleep(100 * time.Millisecond)
		for range 2 {
			pick(t, o).Begin()(false)
		}
		for range 3 {
			if m := pick(t, o); m.ID() != first.ID() {
				t.Fatalf("picked %s, rested longest has %s", m.ID(), first.ID())
			}
		}
	})
}

func BenchmarkPick(b *testing.B) {
	for name, n := range map[string]int{"one": 1, "pool of 10": 10} {
		b.Run(name, func(b *testing.B) {
			l := cluster.New()
			for i := range n {
				register(b, l, live(i, https("a.example"), newSession(b), nil))
			}
			o := l.Owners()[0].Owner
			b.ReportAllocs()
			for b.Loop() {
				m, _ := o.Pick(nil)
				m.Begin()(true)
			}
		})
	}
}

// A pool shows the pages of the member that has been there longest, of those that have
// some, and the route is another one whenever they are.
func TestPoolHasItsMembersPages(t *testing.T) {
	l := cluster.New()
	with := func(n int, pages string) (release func()) {
		one := live(n, https("a.example"), newSession(t), nil)
		one.Endpoint.Options.ErrorPages = pages
		return register(t, l, one)
	}
	shows := func(want string) *route.Route {
		t.Helper()
		r := l.Owners()[0]
		got := ""
		if page := r.Pages.Page(postern.CodeEndpointOffline); page != nil {
			got = string(page.Text.Render(&errorpage.Values{}, "ERR_X"))
			got, _, _ = strings.Cut(got, "\n")
		}
		if got != want {
			t.Errorf("the pages say %q, want %q", got, want)
		}
		return r
	}
	page := func(text string) string { return `{"pages":[{"errors":["*"],"text":"` + text + `"}]}` }
	with(1, "")
	none := shows("")
	second := with(2, page("second"))
	shown := shows("second")
	third := with(3, page("third"))
	if shows("second") != shown {
		t.Error("a page that nobody sees made another route")
	}
	second()
	if shows("third") == shown {
		t.Error("the route has changed in place")
	}
	third()
	if shows("") == none {
		t.Error("the route came back") // its memory is of another time
	}
}
