package body

import (
	"sync"
	"sync/atomic"
)

// Budget is how much memory the encoders and decoders of a server may hold, all together.
// It is safe concurrently.
type Budget struct{ left atomic.Int64 }

// NewBudget allows a number of bytes.
func NewBudget(bytes int64) *Budget {
	b := new(Budget)
	b.left.Store(bytes)
	return b
}

// take reserves n bytes, where there are as many.
func (b *Budget) take(n int64) bool {
	if b.left.Add(-n) >= 0 {
		return true
	}
	b.left.Add(n)
	return false
}

// Left is how much may be reserved yet.
func (b *Budget) Left() int64 { return b.left.Load() }

func (b *Budget) give(n int64) { b.left.Add(n) }

// lease is something that a reader holds. It is given back once the reader has ended or
// was closed, and no Read is under way.
type lease struct {
	mu      sync.Mutex
	reading bool
	over    bool
	back    []func()
}

// enter begins a Read; ok is false after the end.
func (l *lease) enter() (ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = !l.over
	return l.reading
}

// leave ends a Read, and what is held when nothing will be read any more.
func (l *lease) leave(ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reading = false
	l.over = l.over || ended
	l.giveBack()
}

// end is Close.
func (l *lease) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	l.giveBack()
}

// giveBack is called with mu.
func (l *lease) giveBack() {
	if l.over && !l.reading {
		for _, back := range l.back {
			back()
		}
		l.back = nil
	}
}

// hold has back called in the end. It is for a Read, or before the first.
func (l *lease) hold(back func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.back = append(l.back, back)
}
