package session

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/link/websocket"
)

const (
	// rungPatience bounds one transport where another may be tried after it.
	rungPatience = 5 * time.Second

	// reconsider is how long a transport that is not the best is kept before a session
	// that has to be made anew tries the best again.
	reconsider = 10 * time.Minute

	// vagueMost is how often in a row the best transport may fail in a way that a
	// server's restart explains as well, once it has worked, before another is tried.
	vagueMost = 3
)

// ladder remembers which transport works. The zero value knows nothing. What a session
// began with it keeps: only new sessions ask.
type ladder struct {
	mu     sync.Mutex
	worked map[Transport]bool
	last   Transport // that a session was made over
	best   time.Time // when the first of the ladder was tried last
	vague  int       // failures of it since it worked
}

// order gives the transports to try now, of those that are allowed.
func (l *ladder) order(allowed []Transport, now time.Time) []Transport {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == "" || l.last == allowed[0] || now.Sub(l.best) >= reconsider {
		return allowed
	}
	order := []Transport{l.last}
	for _, t := range allowed {
		if t != l.last {
			order = append(order, t)
		}
	}
	return order
}

// succeeded notes that a session was made over t.
func (l *ladder) succeeded(t Transport) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.worked == nil {
		l.worked = make(map[Transport]bool)
	}
	l.worked[t], l.last = true, t
	if t == TLS {
		l.vague = 0
	}
}

// tried notes an attempt over t.
func (l *ladder) tried(t Transport, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t == TLS {
		l.best = now
	}
}

// climbs decides whether another transport is worth a try after t failed with err.
//
// Where nothing answers, or the server itself has spoken, another transport would end
// the same way: both go to the same address, and the TLS that proves who the server is
// is the same in both. Another one helps against somebody between: who ends TLS
// himself, speaks HTTP only, or cuts off what he does not know.
func (l *ladder) climbs(t Transport, err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch whatFailed(err) {
	case somebodyElse:
		return true
	case cutOff:
		if t != TLS || !l.worked[TLS] {
			return true
		}
		l.vague++
		return l.vague >= vagueMost
	}
	return false
}

// WorthAnother tells whether an agent that knows nothing yet would try another transport
// after t failed with err.
func WorthAnother(t Transport, err error) bool { return new(ladder).climbs(t, err) }

// failureKind is what a failure says about the way to the server.
type failureKind int

const (
	final        failureKind = iota // nobody there, or the server's own word
	somebodyElse                    // something else than the server answered
	cutOff                          // the connection came about, and ended or fell silent
)

// cut marks an error of a connection that was there and ended before it was of use.
type cut struct{ error }

func (c cut) Unwrap() error { return c.error }

func whatFailed(err error) failureKind {
	if _, ok := errors.AsType[cut](err); ok {
		return cutOff
	}
	if postern.HasCode(err, postern.CodeIntercepted) {
		return somebodyElse
	}
	return final
}

// serverAway recognises a proxy's word that the server behind it does not run.
func serverAway(err error) bool {
	if answer, ok := errors.AsType[*websocket.Refusal](err); ok {
		return answer.Away()
	}
	_, ok := errors.AsType[*dial.ProxyAnswer](err)
	return ok
}

// conclude makes one error of what the transports of a ladder failed with, in order:
// the first says most, unless the last got as far as a server that is away.
func conclude(tried []Transport, failures []error) error {
	last := failures[len(failures)-1]
	if len(failures) == 1 || serverAway(last) {
		return last
	}
	first := *postern.AsError(failures[0])
	for i, failure := range failures[1:] {
		first.Message = fmt.Sprintf("%s; over %s: %s", first.Text(), tried[i+1], postern.AsError(failure).Text())
	}
	return &first
}

// patience gives a transport its time: less where another may follow.
func patience(ctx context.Context, allowed time.Duration, another bool) (context.Context, context.CancelFunc) {
	if another {
		return context.WithTimeout(ctx, min(allowed, rungPatience))
	}
	return context.WithTimeout(ctx, allowed)
}
