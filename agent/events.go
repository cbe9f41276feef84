package agent

import (
	"slices"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/link"
)

// Events tell what happens. They are called one at a time and must not block, nor
// change the Agent's endpoints; nil functions are not called.
type Events struct {
	Status  func(session.Status)
	Online  func(Online)
	Refused func(name string, why *postern.Error) // asked for again from time to time
	Stopped func(name string, why *postern.Error) // taken offline by the server, or because its TTL has passed, for good
	Removed func(name, label string)              // forgotten: Remove, a configuration without it, or after Stopped
}

// Listen has events told to one more listener, from now on; Status and Endpoints say
// what was before. The function that it returns ends that.
func (a *Agent) Listen(e Events) (stop func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard = append(slices.Clone(a.heard), &e)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.heard = slices.DeleteFunc(slices.Clone(a.heard), func(other *Events) bool { return other == &e })
	}
}

// listeners is who hears of something now.
func (a *Agent) listeners() []*Events {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.heard // it is replaced, never changed
}

// events hands on what the session tells.
func (a *Agent) events() session.Events {
	return session.Events{
		Status: a.tellStatus,
		Bound:  a.tellOnline,
		Refused: func(name string, why *postern.Error) {
			for _, e := range a.listeners() {
				if e.Refused != nil {
					e.Refused(name, why)
				}
			}
		},
		Stopped: func(name string, why *postern.Error) {
			for _, e := range a.listeners() {
				if e.Stopped != nil {
					e.Stopped(name, why)
				}
			}
		},
		Removed: func(name, label string) {
			a.ended(name)
			for _, e := range a.listeners() {
				if e.Removed != nil {
					e.Removed(name, label)
				}
			}
		},
	}
}

func (a *Agent) tellStatus(s session.Status) {
	a.checkRegions(s)
	for _, e := range a.listeners() {
		if e.Status != nil {
			e.Status(s)
		}
	}
}

func (a *Agent) tellOnline(name, label string, b link.Bound) {
	a.mu.Lock()
	upstream := a.known[name].assembled.Address
	a.mu.Unlock()
	for _, e := range a.listeners() {
		if e.Online != nil {
			e.Online(Online{Name: name, Label: label, URL: b.PublicURL, Upstream: upstream})
		}
	}
}
