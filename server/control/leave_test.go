package control_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// mover is an agent that can be asked to go over to another process.
type mover struct {
	*agent
	asked sync.Once
	ask   func()
}

func (m *mover) AskToMove() bool {
	m.asked.Do(m.ask)
	return true
}

func (a *agent) open(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.streams = n
}

func (a *agent) isDrained() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.drained
}

// leave runs Leave until the test has what it wants.
func (w *world) leave(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		w.Leave(ctx, time.Second)
	}()
	return func() { cancel(); <-over }
}

func (w *world) online(host postern.Hostname) bool {
	return len(w.cluster.Holders(postern.URL{Scheme: postern.HTTPS, Host: host})) > 0
}

// succeed registers what the agent's next session has in another process.
func (w *world) succeed(t *testing.T, c *connected, bound link.Bound) {
	t.Helper()
	before, found := w.cluster.Find(bound.EndpointID)
	if !found {
		t.Error("the endpoint is offline before another session has it")
		return
	}
	next := before
	next.Endpoint.ID, next.Since, next.Borrowed, next.Session = "ep_next", before.Since+time.Second, true, newAgent("198.51.100.8:1")
	if _, err := w.cluster.Register(next); err != nil {
		t.Error(err)
	}
	t.Cleanup(func() { next.Session.Close(&postern.Error{Code: postern.CodeLinkLost}) })
}

// B5-4: an agent that can be asked keeps its session here until the next one has its
// endpoints and the last stream has ended.
func TestLeaveAsksAgents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a := newAgent("198.51.100.7:4000")
		asked := make(chan struct{})
		m := &mover{agent: a, ask: func() { close(asked) }}
		binder, _, err := w.Admit(t.Context(), m, link.Hello{Token: "alpha"})
		if err != nil {
			t.Fatal(err)
		}
		c := &connected{Binder: binder, agent: a}
		bound := c.bind(t, request(t, "https://app.example.com"))
		a.open(1)
		stop := w.leave(t)
		defer stop()
		<-asked
		time.Sleep(time.Minute) // however long it takes
		if a.isDrained() || !w.online("app.example.com") {
			t.Fatal("the session was given up before there is another")
		}
		w.succeed(t, c, bound)
		time.Sleep(time.Hour)
		if a.Cause() != nil || !a.isDrained() || !w.online("app.example.com") {
			t.Fatalf("with a stream that goes on: %v, drained %v", a.Cause(), a.isDrained())
		}
		a.open(0)
		time.Sleep(time.Second)
		if !postern.HasCode(a.Cause(), postern.CodeLinkDraining) || w.Connected() != 0 {
			t.Fatalf("in the end: %v, %d sessions", a.Cause(), w.Connected())
		}
		if !w.online("app.example.com") {
			t.Fatal("the other process's endpoint went with it")
		}
	})
}

// B5-4: a session that cannot be asked is closed in a pause of its traffic; while
// something goes on it keeps its endpoints, but for short moments in which visitors
// wait.
func TestLeaveInAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.connect(link.Hello{Token: "alpha"})
		c.bind(t, request(t, "https://app.example.com"))
		c.open(1)
		stop := w.leave(t)
		defer stop()
		offline, looks := 0, 0
		for range 6000 {
			time.Sleep(10 * time.Millisecond)
			looks++
			if w.online("app.example.com") {
				continue
			}
			offline++
			if w.cluster.Recent().HTTP("app.example.com", true).IsZero() {
				t.Fatal("visitors are told that it is offline")
			}
		}
		if c.Cause() != nil || c.isDrained() {
			t.Fatalf("with a stream that goes on: %v, drained %v", c.Cause(), c.isDrained())
		}
		if offline == 0 || offline > 6*26 { // tried after 0, 1, 3, 7, 15 and 31 s, for 250 ms each
			t.Errorf("offline at %d of %d looks", offline, looks)
		}
		c.open(0)
		time.Sleep(2 * time.Second) // it need not wait for the next attempt
		if !postern.HasCode(c.Cause(), postern.CodeLinkDraining) || w.online("app.example.com") || w.Connected() != 0 {
			t.Fatalf("in the end: %v, %d sessions", c.Cause(), w.Connected())
		}
	})
}

// What an agent takes offline during the pause stays offline.
func TestUnbindDuringThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := w.connect(link.Hello{Token: "alpha"})
		bound := c.bind(t, request(t, "https://app.example.com"))
		c.open(1)
		stop := w.leave(t)
		defer stop()
		time.Sleep(100 * time.Millisecond)
		if w.online("app.example.com") {
			t.Fatal("not in the pause")
		}
		if err := c.Unbind(t.Context(), bound.ID); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		if w.online("app.example.com") {
			t.Error("it came back")
		}
		if !w.cluster.Recent().HTTP("app.example.com", true).IsZero() {
			t.Error("visitors wait for it")
		}
	})
}

var (
	_ link.Mover   = (*mover)(nil)
	_ link.Session = (*mover)(nil)
)
