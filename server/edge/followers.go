package edge

import (
	"io"
	"runtime/debug"
	"time"

	"github.com/postern-dev/postern"
)

// follower is a Follower and what it said it needs.
type follower struct {
	Follower
	needs Needs
}

// follow has the subscribers of x's route follow it. Only the first call counts.
func (x *Exchange) follow() {
	if x.begun {
		return
	}
	x.begun = true
	p := x.live.planFor(x.route)
	for i := range p.subscriptions {
		s := &p.subscriptions[i]
		if f := x.start(s); f != nil {
			x.followers = append(x.followers, follower{f, s.Needs})
		}
	}
}

func (x *Exchange) start(s *Subscription) (f Follower) {
	defer x.survive(nil)
	return s.Follow(x)
}

// ask shows the request to the followers, the one nearest to the visitor first. An error
// is a *verdict: the request goes no further.
func (x *Exchange) ask() error {
	defer func() { x.request.fields = nil }()
	x.reach = len(x.followers)
	for i := range x.followers {
		if v := x.show(i, Upload); v != nil {
			return v
		}
	}
	return nil
}

// newHost is the Host that followers want the service to be sent, "" for none.
func (x *Exchange) newHost() string {
	if !x.request.moved {
		return ""
	}
	return x.request.host
}

// review shows x.response to the first n followers, the one nearest to the visitor last.
// A verdict means that something else is to be answered.
func (x *Exchange) review(n int) *verdict {
	x.reach = n
	for i := n - 1; i >= 0; i-- {
		if v := x.show(i, Download); v != nil {
			return v
		}
	}
	return nil
}

// show shows the message that goes in the direction to the follower at i, as far as the
// follower said that it needs it. nil: the message goes on.
func (x *Exchange) show(i int, d Direction) *verdict {
	f := &x.followers[i]
	m := &x.request.Message
	if d == Download {
		m = &x.response.Message
	}
	if f.needs&NeedBytes != 0 && m.body != nil {
		m.body = &tapped{Reader: m.body, x: x, f: f.Follower, direction: d}
	}
	if f.needs&NeedHead == 0 {
		return nil
	}
	m.sealed = f.needs&NeedChange == 0
	answer, err := x.tellHead(f.Follower, d)
	if err == nil && m.problem != nil {
		err = m.problem
	}
	if err != nil || answer != nil {
		return &verdict{at: i, answer: answer, err: err}
	}
	return nil
}

func (x *Exchange) tellHead(f Follower, d Direction) (answer *Answer, err error) {
	defer x.survive(&err)
	if d == Download {
		return f.Response(x)
	}
	return f.Request(x)
}

// tap shows bytes of a body to those who want them, on the relay.
func (x *Exchange) tap(d Direction, b []byte) {
	if len(b) == 0 {
		return
	}
	n := len(x.followers)
	if d == Download {
		n = x.reach
	}
	for i := range n {
		if f := &x.followers[i]; f.needs&NeedBytes != 0 {
			if err := x.tellTap(f.Follower, d, b); err != nil {
				x.broken.Store(postern.AsError(err))
			}
		}
	}
}

func (x *Exchange) tellTap(f Follower, d Direction, b []byte) (err error) {
	defer x.survive(&err)
	f.Tap(x, d, b)
	return nil
}

// tapFailure is why the exchange must end because of a Tap, nil for no reason.
func (x *Exchange) tapFailure() error {
	if failure := x.broken.Load(); failure != nil {
		return &verdict{err: failure}
	}
	return nil
}

// tapped is a body whose bytes a follower is shown, on net/http's path.
type tapped struct {
	io.Reader
	x         *Exchange
	f         Follower
	direction Direction
}

// Read implements io.Reader. The transport may call it after the exchange has ended.
func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.Reader.Read(b)
	if n == 0 {
		return n, err
	}
	t.x.tapping.Lock()
	defer t.x.tapping.Unlock()
	if t.x.over {
		return 0, errUploadOver
	}
	if problem := t.x.tellTap(t.f, t.direction, b[:n]); problem != nil {
		return 0, problem
	}
	return n, err
}

// upgraded tells the followers that the protocol was switched.
func (x *Exchange) upgraded() {
	x.follow()
	for i := range x.followers {
		x.tellUpgraded(x.followers[i].Follower)
	}
}

func (x *Exchange) tellUpgraded(f Follower) {
	defer x.survive(nil)
	f.Upgraded(x)
}

// account tells the followers how the exchange ended. Nothing else may be called of them
// afterwards.
func (x *Exchange) account() {
	x.follow()
	if len(x.followers) == 0 {
		return
	}
	x.times.Ended = time.Now()
	x.tapping.Lock()
	x.over = true
	x.tapping.Unlock()
	for i := len(x.followers) - 1; i >= 0; i-- {
		x.tellEnd(x.followers[i].Follower)
	}
	clear(x.followers)
}

func (x *Exchange) tellEnd(f Follower) {
	defer x.survive(nil)
	f.End(x)
}

// survive is deferred around every call of a subscriber: a mistake there must end the
// exchange at most. It is noted in failed, where that is given.
func (x *Exchange) survive(failed *error) {
	problem := recover()
	if problem == nil {
		return
	}
	x.edge.logger.ErrorContext(x.edge.ctx, "a subscriber to requests panicked", "request_id", x.ID(),
		"panic", problem, "stack", string(debug.Stack()))
	if failed != nil {
		*failed = &postern.Error{Code: postern.CodeInternal}
	}
}
