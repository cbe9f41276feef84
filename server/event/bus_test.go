package event_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/event"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

func record(seq int64, kind postern.EventType) event.Record {
	return event.Record{Seq: seq, Event: postern.Event{Type: kind}}
}

func next(t *testing.T, s *event.Subscription) event.Delivery {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	d, err := s.Next(ctx)
	if err != nil {
		t.Fatalf("Next: %v", err)
	}
	return d
}

func TestSubscribersSeeOnePublishersOrder(t *testing.T) {
	bus := event.NewBus()
	const publishers, each = 4, 200
	sub := bus.Subscribe(publishers * each)
	defer sub.Close()
	var group sync.WaitGroup
	for p := range publishers {
		group.Go(func() {
			for i := range each {
				r := record(int64(i), event.NameClaimed)
				r.Subject = fmt.Sprint(p)
				bus.Publish(r)
			}
		})
	}
	group.Wait()
	last := map[string]int64{}
	for range publishers * each {
		d := next(t, sub)
		if d.Resync {
			t.Fatal("resync although the queue was large enough")
		}
		if want := last[d.Record.Subject]; d.Record.Seq != want {
			t.Fatalf("publisher %s: got record %d, want %d", d.Record.Subject, d.Record.Seq, want)
		}
		last[d.Record.Subject]++
	}
}

func TestTypesFilter(t *testing.T) {
	bus := event.NewBus()
	sub := bus.Subscribe(4, event.CredentialRevoked)
	defer sub.Close()
	bus.Publish(record(1, event.NameClaimed), record(2, event.CredentialRevoked), record(3, event.PortClaimed))
	if got := next(t, sub).Record.Seq; got != 2 {
		t.Fatalf("got record %d, want 2", got)
	}
}

// B5-35: a stuck subscriber is dropped to a resync mark and blocks nobody.
func TestStuckSubscriberGetsResyncAndBlocksNobody(t *testing.T) {
	bus := event.NewBus()
	stuck, healthy := bus.Subscribe(3), bus.Subscribe(100)
	defer stuck.Close()
	defer healthy.Close()
	for i := range int64(10) {
		bus.Publish(record(i+1, event.NameClaimed))
	}
	for want := int64(1); want <= 10; want++ {
		if got := next(t, healthy).Record.Seq; got != want {
			t.Fatalf("healthy subscriber: got %d, want %d", got, want)
		}
	}
	if d := next(t, stuck); !d.Resync {
		t.Fatalf("stuck subscriber: got %+v, want a resync mark first", d)
	}
	if d := next(t, stuck); d.Resync || d.Record.Seq != 10 {
		t.Fatalf("after the mark: got %+v, want record 10, newer than all that was missed", d)
	}
	bus.Publish(record(11, event.NameClaimed))
	if d := next(t, stuck); d.Resync || d.Record.Seq != 11 {
		t.Fatalf("got %+v, want record 11 without another mark", d)
	}
}

func TestNextWaitsAndObeysContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		bus := event.NewBus()
		sub := bus.Subscribe(1)
		defer sub.Close()
		got := make(chan event.Delivery, 1)
		go func() {
			d, _ := sub.Next(t.Context())
			got <- d
		}()
		synctest.Wait()
		bus.Publish(record(7, event.NameClaimed))
		if d := <-got; d.Record.Seq != 7 {
			t.Fatalf("got %+v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := sub.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("got %v, want the context's error", err)
		}
	})
}

func TestCloseDeliversWhatIsQueuedThenEnds(t *testing.T) {
	bus := event.NewBus()
	sub := bus.Subscribe(2)
	bus.Publish(record(1, event.NameClaimed))
	bus.Close()
	bus.Publish(record(2, event.NameClaimed))
	if got := next(t, sub).Record.Seq; got != 1 {
		t.Fatalf("got %d, want 1", got)
	}
	for range 2 {
		if _, err := sub.Next(t.Context()); !errors.Is(err, event.ErrClosed) {
			t.Fatalf("got %v, want ErrClosed", err)
		}
	}
	late := bus.Subscribe(1)
	if _, err := late.Next(t.Context()); !errors.Is(err, event.ErrClosed) {
		t.Fatalf("subscription on a closed bus: got %v", err)
	}
	sub.Close()
	sub.Close()
}

func TestClosedSubscriptionHoldsNothing(t *testing.T) {
	bus := event.NewBus()
	sub := bus.Subscribe(2)
	bus.Publish(record(1, event.NameClaimed))
	sub.Close()
	bus.Publish(record(2, event.NameClaimed))
	if _, err := sub.Next(t.Context()); !errors.Is(err, event.ErrClosed) {
		t.Fatalf("got %v, want ErrClosed", err)
	}
}

func BenchmarkPublish(b *testing.B) {
	bus := event.NewBus()
	for range 8 {
		defer bus.Subscribe(64, event.CredentialRevoked).Close()
	}
	r := record(1, event.NameClaimed)
	for b.Loop() {
		bus.Publish(r)
	}
}
