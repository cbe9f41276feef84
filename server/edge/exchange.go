package edge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/route"
)

// Exchange is one HTTP request and its answer while it is under way, whichever of the two
// paths serves it: webExchange on net/http, conversation on the relay. Subscribers look at
// it through a Follower; where there are none nothing is allocated for it. Its methods may
// be called from a Follower's methods only.
type Exchange struct {
	edge    *Edge
	live    *Live
	visitor *visitor
	head    requestHead
	times   Times

	// Decisions.
	host   postern.Hostname
	route  *route.Route
	client clientFacts

	forwarded forwarding         // by a policy, to an internal endpoint
	member    postern.EndpointID // the last that was tried

	// Outcome.
	status   int   // 0 until the answer's head was sent
	received int64 // bytes of the request's body, or from an upgraded visitor
	sent     int64 // bytes of the answer's body, or to an upgraded visitor
	moved    *relay.Counters
	joined   *joined // after a switch, until both ends have ended; nil for others
	failure  *postern.Error

	id postern.RequestID

	followers []follower
	begun     bool // followers were asked for
	reach     int  // how many of them get the answer, from the visitor's side
	request   Request
	response  Response
	picked    route.Member                  // to be tried first
	obeyed    *policy.Program               // what the request was held to; nil for none
	visit     quota.Visit                   // at the meters of the account and the member's credential
	parts     bool                          // the connection must take no further request
	retry     time.Duration                 // after how long a refused request may be let through; 0 is not known
	paused    time.Duration                 // because too many bytes were moved before
	broken    atomic.Pointer[postern.Error] // a Tap panicked

	tapping sync.Mutex
	over    bool // nothing may be tapped any more
}

// requestHead is what the visitor asked for, in the words of whoever parsed it. The
// texts are made when they are asked for.
type requestHead interface {
	method() string
	hostText() string       // with the port, as sent
	path() string           // without the query
	below(path string) bool // whether path() begins so
	protocol() string
	values(name string) []string // of a header by its canonical name
	context() context.Context    // of the exchange
}

// errVisitorGone ends an exchange without an answer: nobody is there to read it.
var errVisitorGone = errors.New("the visitor has gone")

// destination is who answers a request, where that is no route.
type destination struct {
	own        http.Handler // one of the server's own sites
	connectors bool         // those of private gateways
	redirect   bool         // to https
	proof      string       // is the answer: an authority asks for it
}

// find decides who answers a request for x.host, and sets x.route where that is an
// endpoint.
func (x *Exchange) find() (destination, error) {
	to, err := x.look()
	if err != nil {
		return x.lookPatiently(to, err)
	}
	return to, nil
}

// look is find at this moment.
func (x *Exchange) look() (destination, error) {
	if text := x.proof(); text != "" {
		return destination{proof: text}, nil
	}
	if own := x.edge.config.Hosts[x.host]; own != nil {
		return destination{own: own}, nil
	}
	if x.edge.named(x.host) {
		return destination{connectors: true}, nil
	}
	table := x.edge.config.Routes.Load()
	secure := x.visitor.secure
	if secure && (!table.Agree(x.visitor.serverName, x.host) || x.edge.config.Hosts[x.visitor.serverName] != nil || x.edge.named(x.visitor.serverName)) {
		return destination{}, &postern.Error{Code: postern.CodeMisdirected}
	}
	x.route = table.HTTP(x.host, secure)
	switch {
	case x.route != nil:
		x.client = x.clientFacts()
		if err := x.certify(); err != nil {
			return destination{}, err
		}
		return destination{}, x.closed()
	case !secure && table.HTTP(x.host, true) != nil:
		return destination{redirect: true}, nil
	}
	if err := x.closed(); err != nil {
		return destination{}, err
	}
	return destination{}, offline(x.host)
}

// offline is worded as clients of ngrok expect.
func offline(host postern.Hostname) *postern.Error {
	return postern.Errorf(postern.CodeEndpointOffline, "Tunnel %s not found", host)
}

// forwarder sends one request to one member and its answer to the visitor. An error
// means that nothing of an answer was sent.
type forwarder interface {
	// serves tells whether it can speak to the member at all.
	serves(m route.Member) bool
	try(m route.Member) error
	// untouched tells whether the request can still be sent to another member.
	untouched() bool
	// pause waits, for as long as the visitor does; an error says that it has gone.
	pause(m *quota.Meter, wait time.Duration) error
}

// errOtherPath says that the request needs the other path. Nothing was done.
var errOtherPath = errors.New("the request cannot be served on this path")

// mostTries bounds how many members of a pool one request is offered to.
const mostTries = 16

// forward offers the request to members of its route. Another one is tried only where
// nothing of the request can have been read.
func (x *Exchange) forward(f forwarder) error {
	m, err := x.pick()
	if err != nil {
		return x.forwardLater(f, x.offline(), nil)
	}
	failed := x.offer(m, f)
	if failed == nil || !unseen(failed) || !f.untouched() {
		return failed
	}
	return x.forwardElsewhere(m, failed, f)
}

// forwardElsewhere goes on where forward failed with the first member. It is a function
// of its own so that the common case need not allocate what is remembered here.
func (x *Exchange) forwardElsewhere(m route.Member, failed error, f forwarder) error {
	tried := []route.Member{m}
	for len(tried) < mostTries && unseen(failed) && f.untouched() {
		m, err := x.serving().Owner.Pick(func(m route.Member) bool { return slices.Contains(tried, m) })
		if err != nil {
			break // nobody is left: the link's own error says more
		}
		failed = x.offer(m, f)
		tried = append(tried, m)
	}
	if away(failed) && f.untouched() {
		return x.forwardLater(f, failed, tried)
	}
	return failed
}

func (x *Exchange) offer(m route.Member, f forwarder) (err error) {
	if !f.serves(m) {
		return errOtherPath
	}
	if !x.obeys(m) {
		if !f.untouched() {
			return x.offline()
		}
		return x.judgeAnew(m)
	}
	if err := x.enter(m.Meter()); err != nil {
		return err
	}
	if wait, _ := m.Meter().Debt(); wait > 0 {
		began := time.Now()
		if err := f.pause(m.Meter(), wait); err != nil {
			return err
		}
		x.paused += time.Since(began)
	}
	x.member = m.ID()
	end := m.Begin()
	defer func() { // also where an answer is cut off by a panic
		if x.joined != nil {
			x.joined.leave = end
			return
		}
		end(reachable(err))
	}()
	return f.try(m)
}

// errMoved says that somebody else has the address now, who must be asked about the
// request: nothing of it was sent.
var errMoved = errors.New("the address belongs to another route now")

// mostMoves bounds how often the route of one request may change.
const mostMoves = 3

// serveRoute shows the request to the route's followers by begin, and forwards it.
func (x *Exchange) serveRoute(f forwarder, begin func() error) error {
	for moves := 0; ; moves++ {
		if refusal := x.edge.restricted(x.visitor.client, x.route); refusal != nil {
			return refusal
		}
		err := x.enter(x.route.Meter)
		if err == nil {
			err = begin()
		}
		if err == nil {
			err = x.forward(f)
		}
		if errors.Is(err, errOtherPath) {
			x.visit.Undo() // it is counted there
		}
		if err != errMoved {
			return err
		}
		if moves == mostMoves {
			return x.offline()
		}
		x.account()
		x.forwarded = forwarding{}
		x.begun, x.over, x.followers, x.obeyed = false, false, x.followers[:0], nil
	}
}

// enter takes the request's place at a meter; an error is a limit's.
func (x *Exchange) enter(m *quota.Meter) error {
	retry, refusal := x.visit.Enter(m, quota.Request)
	if refusal == nil {
		return nil
	}
	x.retry = retry
	return refusal
}

// elsewhere picks the first member, before anybody is shown the request, and tells whether
// f cannot speak to it.
func (x *Exchange) elsewhere(f forwarder) bool {
	m, err := x.choose(x.route)
	if err == nil {
		x.picked = m
	}
	return err == nil && !f.serves(m)
}

// pick gives the first member to try.
func (x *Exchange) pick() (route.Member, error) {
	if m := x.picked; m != nil {
		x.picked = nil
		return m, nil
	}
	return x.serving().Owner.Pick(nil)
}

// unseen tells whether the service cannot have seen anything of the request.
func unseen(err error) bool {
	var opening *openError
	return errors.As(err, &opening) || isCode(err, postern.CodeStreamRefused) || limited(err)
}

// publicURL is what people type for a path of one of our hosts.
func (e *Edge) publicURL(scheme postern.Scheme, host postern.Hostname, path string) string {
	if !strings.HasPrefix(path, "/") {
		path = "/"
	}
	return postern.URL{Scheme: scheme, Host: host}.Public(e.publicPort(scheme)) + path
}

func (e *Edge) publicPort(scheme postern.Scheme) uint16 {
	port := e.config.Public.HTTP
	if scheme == postern.HTTPS {
		port = e.config.Public.HTTPS
	}
	return either(port, scheme.DefaultPort())
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }
