package service

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// settleEvery is how often it is asked how a transaction ended while the store cannot say.
const settleEvery = 100 * time.Millisecond

// doubt is a transaction of which nobody has said whether it was committed: the
// connection broke in between. Nothing else is written before that is known, else the
// caller's next attempt could make everything twice.
type doubt struct {
	draft   *draft
	waiting batch
}

// finish makes known what a transaction has done.
func (s *Service) finish(done *draft, waiting batch) {
	s.known.used(waiting.names, waiting.ports)
	s.pending.written()
	for _, remember := range done.committed {
		remember()
	}
	s.bus.Publish(done.records...)
}

// await settles a transaction that has just come into doubt, for as long as ctx allows.
// Beyond it, the next change does.
func (s *Service) await(ctx context.Context) (committed bool, err error) {
	tick := time.NewTicker(settleEvery)
	defer tick.Stop()
	for {
		committed, err = s.settle(ctx)
		if err == nil {
			return committed, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.pending.signal() // keepWriting goes on asking
			return false, postern.Errorf(postern.CodeStoreUnavailable,
				"the connection to the database broke while the change was being made: look whether it was, before you repeat it").Because(err)
		}
	}
}

// settle finds out how the transaction in doubt ended, if there is one: its events are in
// the outbox, or they are not. An error says that the store does not tell; the doubt
// stays. The caller has the turn.
func (s *Service) settle(ctx context.Context) (committed bool, err error) {
	open := s.doubt
	if open == nil {
		return false, nil
	}
	// A Write, because it waits for the transaction in doubt, which may still be under way.
	err = s.store.Write(ctx, func(tx store.Tx) error {
		committed = false
		if len(open.draft.records) == 0 {
			return nil // times of use alone: they can be written twice
		}
		first := open.draft.records[0]
		found, err := tx.Outbox().After(ctx, first.Seq-1, 1)
		committed = len(found) > 0 && found[0].ID == first.ID
		return err
	})
	if err != nil {
		return false, err
	}
	s.doubt = nil
	if committed {
		s.finish(open.draft, open.waiting)
	} else {
		open.draft.abandon()
		s.pending.putBack(open.waiting)
	}
	return committed, nil
}
