package feed_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/feed"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

func TestMain(m *testing.M) {
	if dieAfterCommit() {
		return
	}
	testkit.Leaks(m)
}

// world is an outbox in a real database.
type world struct {
	*feed.Feed
	t    *testing.T
	down atomic.Bool
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return openWorld(t, filepath.Join(t.TempDir(), "postern.db"))
}

func openWorld(t *testing.T, path string) *world {
	t.Helper()
	w := &world{t: t}
	w.Feed = &feed.Feed{Store: &unsteady{openStore(t, path), &w.down}, Bus: event.NewBus(), Logger: testkit.Logger(t)}
	t.Cleanup(w.Bus.Close)
	return w
}

func openStore(t *testing.T, path string) store.Store {
	t.Helper()
	database, err := sqlstore.Open(t.Context(), sqlstore.Engine{Dialect: sqlstore.SQLite, Driver: "sqlite", Source: postern.Secret(path)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = database.Close() })
	return database
}

// unsteady is a store that is down while a test says so.
type unsteady struct {
	store.Store
	down *atomic.Bool
}

func (u *unsteady) Read(ctx context.Context, fn func(store.Tx) error) error {
	if u.down.Load() {
		return &postern.Error{Code: postern.CodeStoreUnavailable}
	}
	return u.Store.Read(ctx, fn)
}

func (u *unsteady) Write(ctx context.Context, fn func(store.Tx) error) error {
	if u.down.Load() {
		return &postern.Error{Code: postern.CodeStoreUnavailable}
	}
	return u.Store.Write(ctx, fn)
}

// commit appends n events, each in a transaction of its own, and says so to the bus.
func (w *world) commit(n int) {
	w.t.Helper()
	for range n {
		w.Bus.Publish(w.append(time.Now()))
	}
}

// append appends an event without saying so to anybody.
func (w *world) append(at time.Time) (r event.Record) {
	w.t.Helper()
	err := w.Store.Write(context.WithoutCancel(w.t.Context()), func(tx store.Tx) (err error) {
		r, err = appendTo(tx, at)
		return err
	})
	if err != nil {
		w.t.Error(err)
	}
	return r
}

func appendTo(tx store.Tx, at time.Time) (event.Record, error) {
	e := postern.Event{ID: "ev_x", Type: event.NameClaimed, Account: "ac_1", At: at}
	seq, err := tx.Outbox().Append(context.Background(), e, "subject")
	return event.Record{Event: e, Seq: seq, Subject: "subject"}, err
}

// journal is a handler that writes down what it is given: sequence numbers, 0 for a gap.
type journal struct {
	mu     sync.Mutex
	heard  []int64
	change chan struct{}
}

func newJournal() *journal { return &journal{change: make(chan struct{}, 1)} }

func (j *journal) handle(_ context.Context, d event.Delivery) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	seq := d.Record.Seq
	if d.Resync {
		seq = 0
	}
	j.heard = append(j.heard, seq)
	select {
	case j.change <- struct{}{}:
	default:
	}
	return nil
}

func (j *journal) all() []int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.heard)
}

// await waits until the journal has these entries.
func (j *journal) await(t *testing.T, want []int64) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for len(j.all()) < len(want) {
		select {
		case <-j.change:
		case <-limit:
			t.Fatalf("heard %v, want %v", j.all(), want)
		}
	}
	if got := j.all(); !slices.Equal(got, want) {
		t.Fatalf("heard %v, want %v", got, want)
	}
}

// awaitPlace waits until a follower's place is stored.
func (w *world) awaitPlace(name string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	for {
		err := w.Store.Read(ctx, func(tx store.Tx) error {
			_, err := tx.Cursors().Get(ctx, name)
			return err
		})
		if err == nil {
			return
		}
		if !postern.HasCode(err, postern.CodeNotFound) {
			w.t.Fatal(err)
		}
	}
}

// follow follows until the test ends or calls stop.
func (w *world) follow(name string, from feed.Start, handle feed.Handler) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.Follow(ctx, name, from, handle)
	}()
	stop = func() { cancel(); <-done }
	w.t.Cleanup(stop)
	return stop
}

func numbers(from, to int64) (all []int64) {
	for n := from; n <= to; n++ {
		all = append(all, n)
	}
	return all
}

func TestFollowersGoOnWhereTheyStopped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.db")
	w := openWorld(t, path)
	w.commit(3)
	whole, later := newJournal(), newJournal()
	stopWhole, stopLater := w.follow("whole", feed.FromOldest, whole.handle), w.follow("later", feed.FromNow, later.handle)
	whole.await(t, numbers(1, 3))
	w.awaitPlace("later") // it has one from the beginning, although it has not heard anything
	stopLater()
	w.commit(250)
	whole.await(t, numbers(1, 253))
	stopWhole()

	w = openWorld(t, path)
	w.commit(7)
	again, late := newJournal(), newJournal()
	w.follow("whole", feed.FromOldest, again.handle)
	w.follow("later", feed.FromNow, late.handle)
	again.await(t, numbers(254, 260))
	late.await(t, numbers(4, 260))
}

// B5-35: a follower that hangs for ever, and one that fails always, hold up neither commits nor
// the others.
func TestOneWhoHangsHoldsUpNobody(t *testing.T) {
	w := newWorld(t)
	hanging, stuck := make(chan struct{}), make(chan struct{})
	w.follow("stuck", feed.FromOldest, func(context.Context, event.Delivery) error {
		close(stuck)
		<-hanging // whatever becomes of its context
		return nil
	})
	t.Cleanup(func() { close(hanging) }) // before it is waited for
	w.follow("broken", feed.FromOldest, func(context.Context, event.Delivery) error { return errors.New("no") })
	healthy := newJournal()
	w.follow("healthy", feed.FromOldest, healthy.handle)
	w.commit(1)
	<-stuck
	w.commit(999)
	healthy.await(t, numbers(1, 1000))
}

func TestWhatIsNotTakenComesAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var heard []int64
		var at []time.Duration
		began := time.Now()
		stop := w.follow("a", feed.FromOldest, func(_ context.Context, d event.Delivery) error {
			heard, at = append(heard, d.Record.Seq), append(at, time.Since(began))
			if d.Record.Seq == 2 && len(heard) < 12 {
				return errors.New("not now")
			}
			return nil
		})
		synctest.Wait()
		w.commit(3)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		stop()
		want := append([]int64{1}, slices.Repeat([]int64{2}, 11)...)
		if want = append(want, 3); !slices.Equal(heard, want) {
			t.Errorf("heard %v", heard)
		}
		if first, last := at[2]-at[1], at[11]-at[10]; first > 100*time.Millisecond || last < 10*time.Second || last > 30*time.Second {
			t.Errorf("tried again after %v first and %v last", first, last)
		}
		w.Bus.Close()
		_ = w.Store.Close()
	})
}

// Another process's events, which no bus of this one knows of, are found all the same;
// and those of a time in which the store did not answer.
func TestWhatTheBusDoesNotKnow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		j := newJournal()
		stop := w.follow("a", feed.FromOldest, j.handle)
		synctest.Wait()
		w.append(time.Now())
		time.Sleep(5 * time.Second)
		synctest.Wait()
		j.await(t, numbers(1, 1))
		w.append(time.Now())
		w.down.Store(true)
		time.Sleep(time.Minute)
		w.down.Store(false)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		j.await(t, numbers(1, 2))
		stop()
		w.Bus.Close()
		_ = w.Store.Close()
	})
}

// Pruning waits for nobody: who was behind is told that there was something.
func TestGaps(t *testing.T) {
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	prune := func(w *world) {
		t.Helper()
		err := w.Store.Write(t.Context(), func(tx store.Tx) error {
			_, err := tx.Outbox().Prune(t.Context(), old.Add(time.Hour))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		before, after int // pruned, and written after that
		want          []int64
	}{
		"some are left": {3, 2, []int64{1, 0, 5, 6}},
		"none is left":  {3, 0, []int64{1, 0}},
		"nothing lost":  {0, 2, []int64{1, 2, 3}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.append(old)
			j := newJournal()
			stop := w.follow("a", feed.FromOldest, j.handle)
			j.await(t, []int64{1})
			stop()
			for range test.before {
				w.append(old)
			}
			prune(w)
			w.commit(test.after)
			w.follow("a", feed.FromOldest, j.handle)
			j.await(t, test.want)
			if fresh := newJournal(); test.after > 0 { // a newcomer has lost nothing
				w.follow("b", feed.FromOldest, fresh.handle)
				fresh.await(t, test.want[len(test.want)-test.after:])
			}
		})
	}
}

func TestForget(t *testing.T) {
	w := newWorld(t)
	w.commit(2)
	for range 2 {
		j := newJournal()
		stop := w.follow("a", feed.FromOldest, j.handle)
		j.await(t, numbers(1, 2))
		stop()
		if err := w.Forget(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
}

func ExampleFeed_Follow() {
	var f feed.Feed // with a Store and a Bus
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	f.Bus = event.NewBus()
	f.Follow(ctx, "destination ed_1", feed.FromNow, func(_ context.Context, d event.Delivery) error {
		if d.Resync {
			fmt.Println("some events are lost: they were older than the outbox keeps them")
			return nil
		}
		fmt.Println(d.Record.Type, d.Record.Subject)
		return nil
	})
	// Output:
}
