package localapi

import "sync"

// turns lets one at a time do something with a name. A start waits for the server's
// answer, which must not hold up those who start something else. The zero value works.
type turns struct {
	mu   sync.Mutex
	held map[string]*turn
}

type turn struct {
	free  chan struct{} // holds a value while nobody has the turn
	users int           // who have it or wait for it
}

// take waits for the turn of a name; done gives it on.
func (t *turns) take(name string) (done func()) {
	one := t.join(name)
	<-one.free
	return func() {
		one.free <- struct{}{}
		t.leave(name, one)
	}
}

func (t *turns) join(name string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	one := t.held[name]
	if one == nil {
		if t.held == nil {
			t.held = make(map[string]*turn)
		}
		one = &turn{free: make(chan struct{}, 1)}
		one.free <- struct{}{}
		t.held[name] = one
	}
	one.users++
	return one
}

func (t *turns) leave(name string, one *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if one.users--; one.users == 0 {
		delete(t.held, name)
	}
}
