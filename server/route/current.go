package route

import (
	"sync"
	"sync/atomic"
)

// Current holds the table in force. The zero value holds an empty one. All methods
// may be called from anywhere at once.
type Current struct {
	table atomic.Pointer[Table]

	mu      sync.Mutex
	changed chan struct{} // closed by the next Store; nil while nobody waits
}

// nobody is the table before the first; it is never written to.
var nobody = &Table{}

// Load returns the table in force, never nil. Callers that look up twice for one
// decision use one Table for both.
func (c *Current) Load() *Table {
	if t := c.table.Load(); t != nil {
		return t
	}
	return nobody
}

// Store puts t in force for every look-up that starts from now on.
func (c *Current) Store(t *Table) {
	c.table.Store(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// Changed returns a channel that is closed by the next Store. Ask for it before
// looking something up: what changes in between is then not missed.
func (c *Current) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return c.changed
}
