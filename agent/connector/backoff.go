package connector

import (
	"math/rand/v2"
	"time"

	"github.com/postern-dev/postern"
)

const (
	firstRetry   = 50 * time.Millisecond
	baseRetry    = 100 * time.Millisecond
	mostRetry    = 5 * time.Second
	mostClassic  = 5 * time.Minute
	leastClassic = time.Second // a cap below it counts as none, as it does there

	// steadyLife is how long a connection must have lived for the next outage to start
	// from the beginning: a link that comes and goes does not earn quick retries.
	steadyLife = 5 * time.Second

	// refusedRetry is the least wait after a definite no: asking often would only trip
	// the gateway's throttle.
	refusedRetry = 15 * time.Second
)

// backoff spaces the attempts to connect.
type backoff struct {
	retry   Retry
	random  func() float64 // in [0, 1)
	attempt int
}

func newBackoff(retry Retry) *backoff { return &backoff{retry: retry, random: rand.Float64} }

// exhausted tells whether the connector gives up.
func (b *backoff) exhausted() bool { return b.retry.Count >= 0 && b.attempt >= b.retry.Count }

// next gives the time to wait before the next attempt.
func (b *backoff) next(why error) time.Duration {
	b.attempt++
	if b.retry.Classic {
		most := b.retry.Most
		if most < leastClassic {
			most = mostClassic
		}
		return min(baseRetry<<min(b.attempt-1, 24), most)
	}
	if why != nil && refused(why) && postern.AsError(why).Code != postern.CodeFlagInvalid {
		return refusedRetry + time.Duration(b.random()*float64(refusedRetry))
	}
	most := b.retry.Most
	if most <= 0 {
		most = mostRetry
	}
	bound := min(firstRetry, most)
	if b.attempt > 1 {
		bound = min(baseRetry<<min(b.attempt-2, 24), most)
	}
	return time.Duration(b.random() * float64(bound))
}

// reset begins from the first attempt.
func (b *backoff) reset() { b.attempt = 0 }
