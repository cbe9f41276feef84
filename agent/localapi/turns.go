package localapi

import "github.com/postern-dev/postern/internal/run"

// turns lets one at a time do something with a name. A start waits for the server's
// answer, which must not hold up those who start something else. The zero value works.
type turns struct {
	names run.Keyed[string, chan struct{}] // each holds a value while nobody has the turn
}

// take waits for the turn of a name; done gives it on.
func (t *turns) take(name string) (done func()) {
	free, leave := t.names.Use(name, func(free *chan struct{}) {
		*free = make(chan struct{}, 1)
		*free <- struct{}{}
	})
	<-*free
	return func() {
		*free <- struct{}{}
		leave()
	}
}
