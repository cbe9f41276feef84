package localapi

import "sync"

// turns lets one at a time do something with a name. A start waits for the server's
// answer, which must not hold up those who start something else. The zero value works.
type turns struct {
	mu   sync.Mutex
	held map[string]*turn
}

type turn struct {
	sync.Mutex
	users int // who have it or wait for it
}

// take waits for the turn of a name; done gives it on.
func (t *turns) take(name string) (done func()) {
	t.mu.Lock()
	if t.held == nil {
		t.held = make(map[string]*turn)
	}
	one := t.held[name]
	if one == nil {
		one = &turn{}
		t.held[name] = one
	}
	one.users++
	t.mu.Unlock()
	one.Lock()
	return func() {
		one.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.users--; one.users == 0 {
			delete(t.held, name)
		}
	}
}
