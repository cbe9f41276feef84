package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// errUndo makes a Write roll back.
var errUndo = errors.New("roll this back")

func (f *fixture) event(id string) postern.Event {
	return postern.Event{ID: postern.EventID(id), Type: event.NameClaimed, Account: "ac_1", At: f.now, Object: []byte("{\"a\":\x00}")}
}

func (f *fixture) records(t *testing.T, after int64, limit int) (records []event.Record) {
	t.Helper()
	f.read(t, func(ctx context.Context, tx store.Tx) (err error) {
		records, err = tx.Outbox().After(ctx, after, limit)
		return err
	})
	return records
}

func testOutboxOrder(t *testing.T, f *fixture) {
	var want []event.Record
	for i := range 5 {
		e := f.event(fmt.Sprintf("ev_%d", 9-i)) // ids in another order than the outbox
		f.write(t, func(ctx context.Context, tx store.Tx) error {
			seq, err := tx.Outbox().Append(ctx, e, "subject")
			want = append(want, event.Record{Event: e, Seq: seq, Subject: "subject"})
			return err
		})
		err := f.Write(t.Context(), func(tx store.Tx) error {
			_, err := tx.Outbox().Append(t.Context(), f.event("ev_undone"), "")
			return errors.Join(err, errUndo)
		})
		if !errors.Is(err, errUndo) {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(want, f.records(t, 0, 100)); diff != "" {
		t.Errorf("outbox (-want +got):\n%s", diff)
	}
	for i, r := range want {
		if r.Seq != int64(i+1) {
			t.Errorf("record %d has number %d: rolled back appends must not leave gaps", i, r.Seq)
		}
	}
	if diff := cmp.Diff(want[2:4], f.records(t, 2, 2)); diff != "" {
		t.Errorf("page of the outbox (-want +got):\n%s", diff)
	}
}

// A reader that asks for what is after the last number it saw must miss nothing while
// several write.
func testOutboxConcurrent(t *testing.T, f *fixture) {
	const writers, each = 4, 25
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				err := f.Write(t.Context(), func(tx store.Tx) error {
					_, err := tx.Outbox().Append(t.Context(), f.event(fmt.Sprintf("ev_%d_%d", w, i)), "")
					return err
				})
				if err != nil {
					t.Errorf("writer %d: %v", w, err)
					return
				}
			}
		})
	}
	seen := make(map[postern.EventID]bool)
	var last int64
	for len(seen) < writers*each && !t.Failed() {
		for _, r := range f.records(t, last, 7) {
			if r.Seq != last+1 {
				t.Fatalf("record %d follows %d", r.Seq, last)
			}
			last = r.Seq
			seen[r.ID] = true
		}
	}
	group.Wait()
}

func testOutboxPrune(t *testing.T, f *fixture) {
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		for i := range 4 {
			e := f.event(fmt.Sprintf("ev_%d", i))
			e.At = f.now.Add(time.Duration(i) * time.Hour)
			if _, err := tx.Outbox().Append(ctx, e, ""); err != nil {
				return err
			}
		}
		count, err := tx.Outbox().Prune(ctx, f.now.Add(5*time.Hour))
		if count != 4 {
			t.Errorf("%d records pruned, want 4", count)
		}
		return err
	})
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		head, err := tx.Outbox().Head(ctx)
		if err != nil {
			return err
		}
		seq, err := tx.Outbox().Append(ctx, f.event("ev_next"), "")
		if head != 4 || seq != 5 {
			t.Errorf("after pruning everything the head is %d and the next number %d, want 4 and 5", head, seq)
		}
		return err
	})
}
