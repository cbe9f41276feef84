package run

import (
	"sync"
	"time"
)

const (
	// crewStays is how often a crew looks for goroutines that it did not need meanwhile.
	crewStays = 500 * time.Millisecond
	// crewMost bounds the goroutines of a crew that wait for a job.
	crewMost = 64
)

// Crew runs short jobs, each on a goroutine, which stays for a moment and takes the next
// one: a new goroutine begins with a stack that is too small for most of what we do, and
// to make it grow costs more than a small job itself. The zero value is ready. All methods
// may be called from anywhere at any time, and a nil Crew keeps nobody.
type Crew struct {
	mu     sync.Mutex
	idle   []*hand // the last one was busy last
	least  int     // that were idle at once since the last look
	looks  bool    // a look is to come
	closed bool
}

// hand is a goroutine that waits for a job; nil sends it home.
type hand struct{ job chan func() }

// Go runs job on a goroutine, as the go statement does.
func (c *Crew) Go(job func()) {
	if c == nil {
		go job()
		return
	}
	c.mu.Lock()
	last := len(c.idle) - 1
	if last < 0 {
		c.mu.Unlock()
		go c.work(job)
		return
	}
	h := c.idle[last]
	c.idle[last] = nil
	c.idle = c.idle[:last]
	c.least = min(c.least, last)
	c.mu.Unlock()
	h.job <- job // has room
}

// Close sends home whoever waits, now and after the job in work. Go still works.
func (c *Crew) Close() {
	c.mu.Lock()
	c.closed = true
	idle := c.idle
	c.idle = nil
	c.mu.Unlock()
	dismiss(idle)
}

func (c *Crew) work(job func()) {
	h := &hand{job: make(chan func(), 1)}
	for ; job != nil; job = <-h.job {
		job()
		if !c.stays(h) {
			return
		}
	}
}

// stays makes h wait for a job, unless enough do.
func (c *Crew) stays(h *hand) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.idle) >= crewMost {
		return false
	}
	c.idle = append(c.idle, h)
	if !c.looks {
		c.looks = true
		c.least = 0
		time.AfterFunc(crewStays, c.look)
	}
	return true
}

// look sends home who was not needed since the last look.
func (c *Crew) look() {
	c.mu.Lock()
	unneeded := append([]*hand(nil), c.idle[:min(c.least, len(c.idle))]...)
	rest := copy(c.idle, c.idle[len(unneeded):])
	clear(c.idle[rest:])
	c.idle = c.idle[:rest]
	c.least = rest
	if c.looks = rest > 0; c.looks {
		time.AfterFunc(crewStays, c.look)
	}
	c.mu.Unlock()
	dismiss(unneeded)
}

func dismiss(idle []*hand) {
	for _, h := range idle {
		h.job <- nil // has room: nobody else knows it
	}
}
