package service_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/feed"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// B5-35: changes are made at once though a subscriber of the bus never takes anything and
// a follower of the outbox hangs in what it was given. The subscriber is told to start
// over, and finds all in the store; other followers hear of each change once, in order;
// and the one that hung, in its next life, too.
func TestStuckSubscribers(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	stuck := w.bus.Subscribe(4)
	defer stuck.Close()
	f := feed.Feed{Store: w.store, Bus: w.bus}
	hangs := follow(t, &f, "hangs", func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return errors.New("it was never done")
	})
	var mu sync.Mutex
	var heard []string
	all := make(chan struct{})
	const changes = 60
	note := func(_ context.Context, id string) error {
		mu.Lock()
		defer mu.Unlock()
		if heard = append(heard, id); len(heard) == changes {
			close(all)
		}
		return nil
	}
	notes := follow(t, &f, "notes", note)
	by := service.Caller{Account: c.Account, Principal: c.Owner, Role: postern.Owner, Source: service.SourceServer}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var made []string
	for i := range changes {
		policy, err := w.IPPolicies().Create(ctx, by, resource.IPPolicyCreate{Description: fmt.Sprint(i)})
		if err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
		made = append(made, policy.ID)
	}
	await(t, all, "the other follower")
	notes()
	hangs()
	if !slices.Equal(heard, made) {
		t.Errorf("heard of %v, made %v", heard, made)
	}
	startsOver(ctx, t, w, stuck, slices.Sorted(slices.Values(made)))

	heard, all = nil, make(chan struct{})
	again := follow(t, &f, "hangs", note)
	await(t, all, "the follower that hung")
	again()
	if !slices.Equal(heard, made) {
		t.Errorf("in its next life it heard of %v, made %v", heard, made)
	}
}

// startsOver takes what the bus has kept for a subscriber, up to the mark that some is
// missing, and does what the mark asks for.
func startsOver(ctx context.Context, t *testing.T, w *world, s *event.Subscription, sorted []string) {
	t.Helper()
	for {
		d, err := s.Next(ctx)
		if err != nil {
			t.Fatalf("it was not told to start over: %v", err)
		}
		if d.Resync {
			break
		}
	}
	err := w.store.Read(ctx, func(tx store.Tx) error {
		rows, err := tx.IPPolicies().List(ctx, store.Page{Limit: len(sorted) + 1})
		var found []string
		for _, row := range slices.Backward(rows) {
			found = append(found, row.ID)
		}
		if !slices.Equal(found, sorted) {
			t.Errorf("the store has %v, made were %v", found, sorted)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// follow has take hear of the policies that are made, by their ids, until stop is called.
func follow(t *testing.T, f *feed.Feed, name string, take func(context.Context, string) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	begun := make(chan struct{}, 1)
	var over sync.WaitGroup
	over.Go(func() {
		f.Follow(ctx, name, feed.FromOldest, func(ctx context.Context, d event.Delivery) error {
			select {
			case begun <- struct{}{}:
			default:
			}
			if d.Record.Type != event.IPPolicyCreated {
				return nil
			}
			return take(ctx, d.Record.Subject)
		})
	})
	stop = sync.OnceFunc(func() {
		cancel()
		over.Wait()
	})
	t.Cleanup(stop)
	await(t, begun, name)
	return stop
}

func await(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s: nothing happens", what)
	}
}
