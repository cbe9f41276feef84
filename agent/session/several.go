package session

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Several reaches a server at several addresses: they are tried in turn, the one that
// last led to a session first. Dialers is required; Several must not be copied once
// used.
type Several struct {
	Dialers []*Dialer
	Logger  *slog.Logger // nil: silent

	mu    sync.Mutex
	happy int // which of Dialers made the last session
}

// Connect is the Connect of a Supervisor's Config. A server's definite word about the
// agent ends it; of other failures the first is the error, with what the other
// addresses said in its text.
func (s *Several) Connect(ctx context.Context, h link.Hello, c Callbacks) (Client, link.Welcome, error) {
	s.mu.Lock()
	first := s.happy
	s.mu.Unlock()
	var why *postern.Error
	for i := range s.Dialers {
		at := (first + i) % len(s.Dialers)
		client, welcome, err := s.Dialers[at].Connect(ctx, h, c)
		if err == nil {
			s.mu.Lock()
			s.happy = at
			s.mu.Unlock()
			if s.Logger != nil && at != first {
				s.Logger.InfoContext(ctx, "connected to another address of the server", logObject, slog.String("server", s.Dialers[at].Server))
			}
			return client, welcome, nil
		}
		coded := postern.AsError(err)
		if why == nil {
			clone := *coded
			why = &clone
		} else {
			why.Message = fmt.Sprintf("%s; at %s: %s", why.Text(), s.Dialers[at].Server, coded.Text())
		}
		if ctx.Err() != nil || aboutTheAgent(coded) {
			return nil, link.Welcome{}, err
		}
	}
	return nil, link.Welcome{}, why
}

// aboutTheAgent recognises what every address would say, and what must not be asked
// often.
func aboutTheAgent(err *postern.Error) bool {
	switch err.Code {
	case postern.CodeTokenMalformed, postern.CodeTokenInvalid, postern.CodeTooManyFailures, postern.CodeSessionLimit,
		postern.CodeCredentialRevoked, postern.CodeAgentTooOld, postern.CodeServerTooOld:
		return true
	}
	return false
}
