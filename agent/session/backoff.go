package session

import (
	"errors"
	"io"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
)

const (
	firstRetry = 50 * time.Millisecond
	baseRetry  = 100 * time.Millisecond
	mostRetry  = 5 * time.Second
	// steadyLife is how long a session must have lived for the next outage to start
	// from the beginning: a link that comes and goes does not earn quick retries.
	steadyLife = 30 * time.Second

	// A server that was killed or is being replaced refuses connections, and that is
	// the one failure that costs nobody anything: its host answers, no process is
	// bothered. While that goes on, and for its first minute, retries stay so dense
	// that the agent is back within a second of the restart.
	briefRetry  = 750 * time.Millisecond
	briefOutage = time.Minute
	// usefulLife tells a session that served from one that was thrown out at once.
	usefulLife = time.Second

	// A server that knows us and refuses will do so again: asking it often would
	// only trip its throttle.
	refusedRetry = 15 * time.Second
)

// backoff spaces attempts to connect: the first within 50 ms, then 100 ms doubling
// to 5 s, each with full jitter (a time drawn evenly from nothing to that bound),
// so that the agents of a server that comes back do not arrive together.
type backoff struct {
	random  func() float64 // in [0, 1)
	attempt int
	began   time.Time // of this outage
}

// lost begins an outage after a session that lived for so long and gives the time
// to wait before the first attempt.
func (b *backoff) lost(lived time.Duration, now time.Time) time.Duration {
	b.began = now
	if lived >= steadyLife {
		b.attempt = 0
	}
	if lived >= usefulLife {
		return b.draw(briefRetry)
	}
	return b.draw(mostRetry)
}

// failed gives the time to wait after an attempt that failed with err.
func (b *backoff) failed(err error, now time.Time) time.Duration {
	if b.began.IsZero() {
		b.began = now
	}
	switch {
	case refused(err) || postern.HasCode(err, postern.CodeTooManyFailures):
		return refusedRetry + time.Duration(b.random()*float64(refusedRetry))
	case (nobodyListens(err) || serverAway(err)) && now.Sub(b.began) < briefOutage:
		return b.draw(briefRetry)
	}
	return b.draw(mostRetry)
}

func (b *backoff) draw(most time.Duration) time.Duration {
	bound := firstRetry
	if b.attempt > 0 {
		bound = min(baseRetry<<min(b.attempt-1, 16), most)
	}
	b.attempt++
	return time.Duration(b.random() * float64(bound))
}

// nobodyListens recognises a host that is up and a server that is not: connections
// are refused, or cut while they were still waiting to be accepted.
func nobodyListens(err error) bool {
	const windowsRefused = syscall.Errno(10061) // WSAECONNREFUSED, which syscall does not map
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, windowsRefused) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF)
}

// Refused tells a definite no to an endpoint, which asking again soon will not change, from
// a failure of the moment.
func Refused(err error) bool { return refused(err) && !postern.HasCode(err, postern.CodeNotReady) }

// refused tells a definite no, which asking again soon will not change, from a
// failure of the moment.
func refused(err error) bool {
	if err == nil {
		return false
	}
	switch postern.AsError(err).Code {
	case postern.CodeLinkLost, postern.CodeLinkDraining, postern.CodeServerBusy, postern.CodeServerUnreachable,
		postern.CodeStoreUnavailable, postern.CodeTooManyFailures, postern.CodeInternal,
		postern.CodeStreamReset, postern.CodeStreamRefused, postern.CodeStreamLimit:
		return false
	}
	return true
}
