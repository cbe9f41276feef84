package route

import "sync/atomic"

// Current holds the table in force. The zero value holds an empty one. All methods
// may be called from anywhere at once.
type Current struct {
	table atomic.Pointer[Table]
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
func (c *Current) Store(t *Table) { c.table.Store(t) }
