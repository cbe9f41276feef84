package jwks

import (
	"context"
	"crypto"
	"net/http"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
)

const (
	// How long keys are used without asking again: what the issuer says, within bounds.
	leastFresh   = time.Minute
	usuallyFresh = 15 * time.Minute
	mostFresh    = 24 * time.Hour
	// stale is how long keys are used after that if the issuer does not answer.
	stale = 24 * time.Hour
	// pause is how long after a question the next one is asked, whatever tokens come.
	pause = 30 * time.Second
	// pauseWithout is that as long as there are no keys.
	pauseWithout = 5 * time.Second
	patience     = 3 * time.Second
	redirects    = 5
)

// Caller makes calls: an *outcall.Client.
type Caller interface {
	Do(ctx context.Context, call outcall.Call) (*outcall.Answer, error)
}

// Source is where a set is published. It may be used concurrently, holds nothing that needs
// closing, and asks only when keys are asked of it.
type Source struct {
	url string

	mu     sync.Mutex
	set    *Set // nil: none yet
	etag   string
	fresh  time.Time     // until then set is used unasked
	next   time.Time     // before that nothing is asked
	asking chan struct{} // closed once the answer is there; nil: nobody asks
	mishap error         // of the last question
}

// NewSource makes a Source of an http or https URL.
func NewSource(url string) *Source { return &Source{url: url} }

// Find gives the keys of Set.Find; caller asks for them on account's behalf. It blocks while the set is fetched,
// for a few seconds at most, if there is no such key in what is there. Without keys, the
// error is why the set cannot be had, and nil if it is there and the key is not in it.
func (s *Source) Find(ctx context.Context, caller Caller, account postern.AccountID, id, algorithm string) ([]crypto.PublicKey, error) {
	for {
		now := time.Now()
		s.mu.Lock()
		if s.set != nil && now.After(s.fresh.Add(stale)) {
			s.set, s.etag = nil, ""
		}
		found := s.set.Find(id, algorithm)
		asking := s.asking
		switch {
		case len(found) > 0 && (now.Before(s.fresh) || asking != nil), asking == nil && now.Before(s.next):
			defer s.mu.Unlock()
			if s.set == nil {
				return nil, s.mishap
			}
			return found, nil
		case asking == nil:
			s.asking = make(chan struct{})
			etag := s.etag
			s.mu.Unlock()
			s.ask(ctx, caller, account, etag)
		default:
			s.mu.Unlock()
			select {
			case <-asking:
			case <-ctx.Done():
				return nil, postern.Errorf(postern.CodeOutcallFailed, "the keys of %s did not come in time", s.url).Because(ctx.Err())
			}
		}
	}
}

// ask fetches the set. Others wait for it, so it does not end with who asked first.
func (s *Source) ask(ctx context.Context, caller Caller, account postern.AccountID, etag string) {
	call := outcall.Call{Account: account, URL: s.url, Timeout: patience, Redirects: redirects, Most: mostBytes,
		Header: http.Header{"Accept": {"application/jwk-set+json, application/json"}}}
	if etag != "" {
		call.Header.Set("If-None-Match", etag)
	}
	answer, err := caller.Do(context.WithoutCancel(ctx), call)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		err = s.take(answer)
	}
	s.mishap = err
	s.next = time.Now().Add(pause)
	if s.set == nil {
		s.next = time.Now().Add(pauseWithout)
	}
	close(s.asking)
	s.asking = nil
}

// take reads an answer. mu is held.
func (s *Source) take(answer *outcall.Answer) error {
	switch answer.Status {
	case http.StatusOK:
		set, err := Parse(answer.Body)
		if err != nil {
			return postern.Errorf(postern.CodeOutcallFailed, "%s: %v", s.url, err)
		}
		s.set, s.etag = set, answer.Header.Get("ETag")
	case http.StatusNotModified:
		if s.set == nil {
			return postern.Errorf(postern.CodeOutcallFailed, "%s answers with status 304 though nothing was there before", s.url)
		}
	default:
		return postern.Errorf(postern.CodeOutcallFailed, "%s answers with status %d instead of a key set", s.url, answer.Status)
	}
	s.fresh = time.Now().Add(lifetime(answer.Header))
	return nil
}
