package route

import "sync/atomic"

// Memo is room on a Route for what its user has worked out about it once and does not
// want to work out for every request. The zero value is empty. Its methods are safe
// concurrently; the last Store wins. All values of one Memo must be of one type.
type Memo struct{ value atomic.Value }

// Load gives what was stored last, nil for nothing.
func (m *Memo) Load() any { return m.value.Load() }

// Store keeps value, which must not be nil.
func (m *Memo) Store(value any) { m.value.Store(value) }
