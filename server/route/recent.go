package route

import (
	"strings"
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// ReturnTime is how long an address that was lost may take to come back before its
// visitors are told that it is offline.
const ReturnTime = 3 * time.Second

// Recent remembers which addresses were lost within ReturnTime: their agent's
// connection broke, or moves from one process to another. The zero value is ready;
// all methods may be called from anywhere at once. A nil Recent remembers nothing.
type Recent struct {
	mu        sync.Mutex
	lost      map[Key]loss
	forgotten map[Key]loss // what was dismissed
	pruned    time.Time
	changed   chan struct{} // closed at the next Forget or Dismiss; nil: nobody waits for one
}

type loss struct {
	url postern.URL
	at  time.Time
}

// Lose notes that nobody serves u any more, and that somebody may do so again soon.
func (r *Recent) Lose(u postern.URL) {
	if r == nil {
		return
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prune(now)
	delete(r.forgotten, KeyOf(u))
	r.lost[KeyOf(u)] = loss{u, now}
}

// prune makes room now and then. r.mu is held.
func (r *Recent) prune(now time.Time) {
	if r.lost == nil {
		r.lost, r.forgotten = make(map[Key]loss), make(map[Key]loss)
	}
	if now.Sub(r.pruned) <= ReturnTime {
		return
	}
	r.pruned = now
	for _, entries := range []map[Key]loss{r.lost, r.forgotten} {
		for key, l := range entries {
			if now.Sub(l.at) > ReturnTime {
				delete(entries, key)
			}
		}
	}
}

// Forget notes that u went offline on purpose: nobody need wait for it.
func (r *Recent) Forget(u postern.URL) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(u)
}

// drop has nobody wait for u any more. r.mu is held.
func (r *Recent) drop(u postern.URL) {
	delete(r.lost, KeyOf(u))
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
}

// Changed returns a channel that is closed when it turns out that something will not come
// back. That of a nil Recent is nil.
func (r *Recent) Changed() <-chan struct{} {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.changed
}

// Dismiss is Forget for what went offline in this very process: the others of the node
// learn of it by Forgotten.
func (r *Recent) Dismiss(u postern.URL) {
	if r == nil {
		return
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prune(now)
	r.drop(u)
	r.forgotten[KeyOf(u)] = loss{u, now}
}

// Forgotten lists what was dismissed within ReturnTime, and when.
func (r *Recent) Forgotten() map[postern.URL]time.Time {
	if r == nil {
		return nil
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	forgotten := make(map[postern.URL]time.Time, len(r.forgotten))
	for _, l := range r.forgotten {
		if now.Sub(l.at) < ReturnTime {
			forgotten[l.url] = l.at
		}
	}
	return forgotten
}

// Lost lists what was lost and may return.
func (r *Recent) Lost() []postern.URL {
	if r == nil {
		return nil
	}
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	var lost []postern.URL
	for _, l := range r.lost {
		if now.Sub(l.at) < ReturnTime {
			lost = append(lost, l.url)
		}
	}
	return lost
}

// HTTP returns until when to wait for the http, or with secure the https, endpoint of
// a name; the zero time is not at all.
func (r *Recent) HTTP(host postern.Hostname, secure bool) time.Time {
	if secure {
		return r.named(postern.HTTPS, host)
	}
	return r.named(postern.HTTP, host)
}

// TLS is HTTP for the tls endpoint of a name.
func (r *Recent) TLS(host postern.Hostname) time.Time { return r.named(postern.TLS, host) }

// Port is HTTP for the tcp endpoint of a port.
func (r *Recent) Port(port uint16) time.Time {
	return r.until(postern.URL{Scheme: postern.TCP, Port: port})
}

// Flow is HTTP for the udp endpoint of a port.
func (r *Recent) Flow(port uint16) time.Time {
	return r.until(postern.URL{Scheme: postern.UDP, Port: port})
}

func (r *Recent) named(scheme postern.Scheme, host postern.Hostname) time.Time {
	return r.below(postern.URL{Scheme: scheme, Host: host})
}

// below looks for the name and the wildcards above it.
func (r *Recent) below(u postern.URL) time.Time {
	until := r.until(u)
	for rest := string(u.Host); until.IsZero(); {
		_, above, found := strings.Cut(rest, ".")
		if !found {
			break
		}
		rest = above
		u.Host = "*." + postern.Hostname(rest)
		until = r.until(u)
	}
	return until
}

// Internal is HTTP for an account's internal endpoint.
func (r *Recent) Internal(account postern.AccountID, u postern.URL) time.Time {
	return r.below(u.Within(account))
}

// Until is HTTP for exactly the address u.
func (r *Recent) Until(u postern.URL) time.Time { return r.until(u) }

func (r *Recent) until(u postern.URL) time.Time {
	if r == nil {
		return time.Time{}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l, found := r.lost[KeyOf(u)]
	if until := l.at.Add(ReturnTime); found && l.url.Scheme == u.Scheme && time.Now().Before(until) {
		return until
	}
	return time.Time{}
}
