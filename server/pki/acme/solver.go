package acme

import (
	"context"
	"sync"
	"time"

	acmewire "github.com/mholt/acmez/v3/acme"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// cleanTime bounds how long is spent on taking a proof away.
const cleanTime = 30 * time.Second

// solver prepares what an authority is to find, for one order. It implements
// acmez.Solver; acmez calls it from one goroutine.
type solver struct {
	proof      Proof
	challenges *Challenges

	mu  sync.Mutex
	ids map[string]string // of what lies in Challenges, by the challenge's URL
}

func newSolver(proof Proof, challenges *Challenges) *solver {
	return &solver{proof: proof, challenges: challenges, ids: make(map[string]string)}
}

// Present implements acmez.Solver.
func (s *solver) Present(ctx context.Context, c acmewire.Challenge) error {
	row := store.ACMEChallenge{Kind: string(s.proof.Kind), Name: postern.Hostname(c.Identifier.Value), Token: c.Token, Value: c.KeyAuthorization}
	if s.proof.Kind == DNS01 {
		row.Name, row.Token, row.Value = s.proof.record(row.Name), "", c.DNS01KeyAuthorization()
		if s.proof.Writer != nil {
			return s.proof.Writer.Add(ctx, row.Name, row.Value)
		}
	}
	id, err := s.challenges.add(ctx, row)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[c.URL] = id
	return nil
}

// CleanUp implements acmez.Solver. It works after the order was given up, too.
func (s *solver) CleanUp(ctx context.Context, c acmewire.Challenge) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanTime)
	defer cancel()
	if s.proof.Writer != nil {
		return s.proof.Writer.Remove(ctx, s.proof.record(postern.Hostname(c.Identifier.Value)), c.DNS01KeyAuthorization())
	}
	s.mu.Lock()
	id := s.ids[c.URL]
	delete(s.ids, c.URL)
	s.mu.Unlock()
	if id == "" {
		return nil
	}
	return s.challenges.remove(ctx, id)
}
