package edge

import (
	"github.com/postern-dev/postern/server/route"
)

// Needs is what a subscriber needs of the exchanges of one route, as a set of bits. The
// zero value is nothing. An exchange takes the cheapest path that gives everybody what
// they need.
type Needs uint8

// The needs.
const (
	// NeedOutcome is to be told how an exchange ended: Follower.Upgraded and End. Every
	// follower is told that, whatever else it needs.
	NeedOutcome Needs = 1 << iota
	// NeedHead is to see both heads before they go on, to edit them, and to answer
	// instead of the service: Follower.Request and Response.
	NeedHead
	// NeedBytes is to be shown the bytes of both bodies as they pass: Follower.Tap.
	NeedBytes
	// NeedChange is to read or replace bodies in Request and Response (Message.Body,
	// Message.SetBody). It includes NeedHead, and costs net/http's path.
	NeedChange
)

// Subscriber is told about requests: policy, inspection, the access log, metrics. All
// that an Edge has are in Config.Subscribers; the first is the nearest to visitors. It
// sees requests before the others, and answers after them.
type Subscriber interface {
	// Subscribe says what it needs of the exchanges of r; a nil r stands for requests
	// that find no endpoint. It is asked once for each route and each Edge.Reload, when
	// the first request comes, and possibly by two requests at a time: it must be safe
	// concurrently, and should not block.
	Subscribe(r *route.Route) Subscription
}

// Subscription is a Subscriber's interest in one route. The zero value is none.
type Subscription struct {
	Needs Needs
	// Follow is called once for every exchange, before the first method of the Follower
	// that it gives; nil lets this exchange pass. It must not block. A Follower that
	// keeps nothing about an exchange may be given for all of them.
	Follow func(x *Exchange) Follower
}

// Follower follows one exchange on behalf of a Subscriber. Nobody may use x, or what was
// got from it, after End. A panic ends the exchange with CodeInternal.
//
// All methods are called from one goroutine at a time, but for Tap with Upload, which
// may run beside Response and the Tap of the answer.
type Follower interface {
	// Request may look at the request's head (x.Request) and edit it before anything of
	// it goes to the service. An Answer is given instead of the service's, an error as a
	// page with its code and text (ErrHangUp: no answer at all); then those behind do not
	// hear of the request. It may block as long as x.Context lives. What was read of the
	// visitor's body then cannot be sent to a second member.
	Request(x *Exchange) (*Answer, error)
	// Response may look at the head of the final answer (x.Response) and edit it before
	// anything of it goes to the visitor. An Answer or an error is given instead of it,
	// and shown to those before. Answers that the edge makes itself are not shown, and
	// neither are interim ones (1xx), except 101.
	Response(x *Exchange) (*Answer, error)
	// Tap is shown the next bytes of a body, decoded where it is chunked, before they go
	// on. b is valid until it returns, and must not be written to. It must not block.
	Tap(x *Exchange, d Direction, b []byte)
	// Upgraded is called when the protocol was switched; x.Moved counts from then on.
	Upgraded(x *Exchange)
	// End is called once, in the end, however it ended. It must not block.
	End(x *Exchange)
}

// Direction tells the two bodies of an exchange apart.
type Direction uint8

// The directions.
const (
	Upload   Direction = iota // the request's body, from the visitor
	Download                  // the answer's body, to the visitor
)

// Passive does nothing with an exchange. Embedded, it leaves a Follower to implement
// what it needs.
type Passive struct{}

// Request implements Follower.
func (Passive) Request(*Exchange) (*Answer, error) { return nil, nil }

// Response implements Follower.
func (Passive) Response(*Exchange) (*Answer, error) { return nil, nil }

// Tap implements Follower.
func (Passive) Tap(*Exchange, Direction, []byte) {}

// Upgraded implements Follower.
func (Passive) Upgraded(*Exchange) {}

// End implements Follower.
func (Passive) End(*Exchange) {}

// plan is what all subscribers together need of a route. It is kept with the route.
type plan struct {
	live          *Live // it holds while these settings do
	needs         Needs
	subscriptions []Subscription
}

// newPlan asks every subscriber.
func newPlan(live *Live, r *route.Route) *plan {
	p := &plan{live: live}
	for _, subscriber := range live.subscribers {
		s := subscriber.Subscribe(r)
		if s.Needs == 0 || s.Follow == nil {
			continue
		}
		if s.Needs&NeedChange != 0 {
			s.Needs |= NeedHead
		}
		p.needs |= s.Needs
		p.subscriptions = append(p.subscriptions, s)
	}
	return p
}

// planFor gives the plan of a route, or of requests that find none.
func (l *Live) planFor(r *route.Route) *plan {
	if r == nil {
		return l.unrouted
	}
	if p, ok := r.Memo.Load().(*plan); ok && p.live == l {
		return p
	}
	p := newPlan(l, r)
	r.Memo.Store(p)
	return p
}

var _ Follower = Passive{}
