package policy

import (
	"sync"
	"weak"
)

// Library compiles programs, and gives the same one again for the same endpoint and text
// for as long as somebody has it: an agent that comes back finds its counters, not new
// ones. All methods may be called from anywhere at once. Its zero value is not ready: use
// NewLibrary.
type Library struct {
	editable Editable
	unset    []Unset

	mu     sync.Mutex
	known  map[volume]weak.Pointer[Program]
	recent []*Program // held on to, so that a short absence forgets nothing
	next   int
	swept  int // how many were known after the last sweep
}

type volume struct{ owner, before, text string }

// recentPrograms is how many programs nobody uses are kept.
const recentPrograms = 1000

// NewLibrary returns an empty one. e says which headers policies may edit, and unset what is
// not known to them.
func NewLibrary(e Editable, unset ...Unset) *Library {
	return &Library{editable: e, unset: unset, known: make(map[volume]weak.Pointer[Program])}
}

// Compile is the function of that name, for the endpoint that owner names. Nobody waits for
// another's text, which may take its time.
func (l *Library) Compile(owner, text string, t Target) (*Program, error) {
	key := volume{owner, t.Before.Reveal(), text}
	if p := l.find(key); p != nil {
		return p, nil
	}
	p, err := l.Try(text, t)
	if err != nil {
		return nil, err
	}
	return l.add(key, p), nil
}

func (l *Library) find(key volume) *Program {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[key].Value()
}

// add gives the program that everybody has: p, or that of who was quicker.
func (l *Library) add(key volume, p *Program) *Program {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first := l.known[key].Value(); first != nil {
		return first
	}
	l.keep(p)
	l.known[key] = weak.Make(p)
	return p
}

// Try compiles a text for a trial: what the program counts is its own.
func (l *Library) Try(text string, t Target) (*Program, error) {
	t.Editable, t.Unset = l.editable, l.unset
	return Compile(text, t)
}

// keep holds on to p for a while, and forgets whom nobody has any more.
func (l *Library) keep(p *Program) {
	if len(l.recent) < recentPrograms {
		l.recent = append(l.recent, p)
	} else {
		l.recent[l.next] = p
		l.next = (l.next + 1) % recentPrograms
	}
	if len(l.known) < 2*l.swept+recentPrograms {
		return
	}
	for key, known := range l.known {
		if known.Value() == nil {
			delete(l.known, key)
		}
	}
	l.swept = len(l.known)
}
