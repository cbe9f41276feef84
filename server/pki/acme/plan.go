package acme

import (
	"hash/fnv"
	"time"
)

// steps are how long after an attempt that failed the next one is made; the last one
// repeats. Authorities allow few failures: Let's Encrypt five for a host within an hour.
func steps() []time.Duration {
	return []time.Duration{time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour}
}

const (
	// checkEvery is how often an authority is asked when it wants a certificate renewed, if
	// it says nothing else about that.
	checkEvery = 6 * time.Hour
	// checkLeast and checkMost bound what it may say.
	checkLeast, checkMost = 10 * time.Minute, 24 * time.Hour
	// hurry is the longest pause between attempts in the last days of a certificate.
	hurry = time.Hour
)

// retryAfter is how long to wait after a number of attempts have failed, where the
// certificate in force is good for left longer; without one left is zero or negative. A
// certificate about to end is worth more attempts than the last steps would give it.
func retryAfter(attempts int, left time.Duration) time.Duration {
	all := steps()
	wait := all[min(max(attempts, 1), len(all))-1]
	if left > 0 {
		wait = min(wait, max(hurry, left/8))
	}
	return wait
}

// renewAt is when a certificate is renewed of which its authority says nothing: at two
// thirds of its life, less up to a twenty-fourth of it, so that those which were made
// together are not renewed together. The seed makes that the same each time.
func renewAt(notBefore, notAfter time.Time, seed string) time.Time {
	life := notAfter.Sub(notBefore)
	return notBefore.Add(life*2/3 - share(life/24, seed))
}

// Window is when an authority wants a certificate renewed (RFC 9773 §4.1).
type Window struct {
	Start, End time.Time
	// AskAfter is when to ask again; zero: it did not say.
	AskAfter time.Time
}

// leastLife is how long a certificate stays in force whatever its authority says: one that
// wants it renewed before would want that of the next, too.
const leastLife = 6 * time.Hour

// pick chooses a moment within the window, the same for the same seed and window, never so
// late that the certificate could end before it was renewed, and never right away.
func (w Window) pick(notBefore, notAfter time.Time, seed string) time.Time {
	at := w.Start.Add(share(w.End.Sub(w.Start), seed+w.Start.UTC().String()+w.End.UTC().String()))
	life := notAfter.Sub(notBefore)
	if latest := notAfter.Add(-life / 10); at.After(latest) {
		return latest
	}
	if earliest := notBefore.Add(min(leastLife, life/10)); at.Before(earliest) {
		return earliest
	}
	return at
}

// nextCheck is when to ask again.
func (w Window) nextCheck(now time.Time) time.Time {
	if w.AskAfter.IsZero() {
		return now.Add(checkEvery)
	}
	return now.Add(min(max(w.AskAfter.Sub(now), checkLeast), checkMost))
}

// share is a part of a span that depends on the seed alone.
func share(of time.Duration, seed string) time.Duration {
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(seed))
	const parts = 1 << 20
	return of / parts * time.Duration(mix(sum.Sum64())%parts) //nolint:gosec // less than parts
}

// mix spreads a hash over all of its bits (the finaliser of MurmurHash3).
func mix(n uint64) uint64 {
	n ^= n >> 33
	n *= 0xff51afd7ed558ccd
	n ^= n >> 33
	n *= 0xc4ceb9fe1a85ec53
	return n ^ n>>33
}
