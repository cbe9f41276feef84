package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/server/route"
)

// exchange is one HTTP request and its answer while it is under way, whichever of the
// two paths serves it: webExchange on net/http, conversation on the relay. What looks
// at requests (access log, metrics) looks at this. It asks the head for text when it
// needs some: where nobody looks nothing is allocated.
type exchange struct {
	edge    *Edge
	live    *Live
	visitor *visitor
	head    requestHead
	started time.Time

	// Decisions.
	host   postern.Hostname
	route  *route.Route
	client clientFacts
	count  *endpointMetrics
	member postern.EndpointID // the last that was tried

	// Outcome.
	status   int   // 0 until the answer's head was sent
	received int64 // bytes of the request's body, or from an upgraded visitor
	sent     int64 // bytes of the answer's body, or to an upgraded visitor
	failure  *postern.Error

	id postern.RequestID
}

// requestHead is what the visitor asked for, in the words of whoever parsed it. The
// texts are made when they are asked for.
type requestHead interface {
	method() string
	hostText() string // with the port, as sent
	path() string     // without the query
	protocol() string
	values(name string) []string // of a header by its canonical name
}

// errVisitorGone ends an exchange without an answer: nobody is there to read it.
var errVisitorGone = errors.New("the visitor has gone")

// requestID is made when somebody first wants to see it.
func (x *exchange) requestID() postern.RequestID {
	if x.id == "" {
		x.id = obs.NewRequestID()
	}
	return x.id
}

// destination is who answers a request, where that is no route.
type destination struct {
	own      http.Handler // one of the server's own sites
	redirect bool         // to https
}

// find decides who answers a request for x.host, and sets x.route where that is an
// endpoint.
func (x *exchange) find() (destination, error) {
	to, err := x.look()
	if err != nil {
		return x.lookPatiently(to, err)
	}
	return to, nil
}

// look is find at this moment.
func (x *exchange) look() (destination, error) {
	if own := x.edge.config.Hosts[x.host]; own != nil {
		return destination{own: own}, nil
	}
	table := x.edge.config.Routes.Load()
	secure := x.visitor.secure
	if secure && (!table.Agree(x.visitor.serverName, x.host) || x.edge.config.Hosts[x.visitor.serverName] != nil) {
		return destination{}, &postern.Error{Code: postern.CodeMisdirected}
	}
	x.route = table.HTTP(x.host, secure)
	switch {
	case x.route != nil:
		x.client = x.clientFacts()
		return destination{}, nil
	case !secure && table.HTTP(x.host, true) != nil:
		return destination{redirect: true}, nil
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
}

// errOtherPath says that the request needs the other path. Nothing was done.
var errOtherPath = errors.New("the request cannot be served on this path")

// mostTries bounds how many members of a pool one request is offered to.
const mostTries = 16

// forward offers the request to members of its route. Another one is tried only where
// nothing of the request can have been read.
func (x *exchange) forward(f forwarder) error {
	m, err := x.route.Owner.Pick(nil)
	if err != nil {
		return x.forwardLater(f, offline(x.host), nil)
	}
	failed := x.offer(m, f)
	if failed == nil || !unseen(failed) || !f.untouched() {
		return failed
	}
	return x.forwardElsewhere(m, failed, f)
}

// forwardElsewhere goes on where forward failed with the first member. It is a function
// of its own so that the common case need not allocate what is remembered here.
func (x *exchange) forwardElsewhere(m route.Member, failed error, f forwarder) error {
	tried := []route.Member{m}
	for len(tried) < mostTries && unseen(failed) && f.untouched() {
		m, err := x.route.Owner.Pick(func(m route.Member) bool { return slices.Contains(tried, m) })
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

func (x *exchange) offer(m route.Member, f forwarder) error {
	if !f.serves(m) {
		return errOtherPath
	}
	x.member = m.ID()
	end := m.Begin()
	err := f.try(m)
	end(reachable(err))
	return err
}

// unseen tells whether the service cannot have seen anything of the request.
func unseen(err error) bool {
	var opening *openError
	return errors.As(err, &opening) || isCode(err, postern.CodeStreamRefused)
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

// account writes down how the exchange ended.
func (x *exchange) account() {
	log := x.live.AccessLog
	if log == nil && x.count == nil {
		return
	}
	took := time.Since(x.started)
	if x.status == http.StatusSwitchingProtocols {
		x.count.request(x.status, took, 0, 0) // the relay has counted its bytes
	} else {
		x.count.request(x.status, took, x.received, x.sent)
	}
	if log != nil {
		log.LogAttrs(context.Background(), slog.LevelInfo, "request", x.attrs(took)...)
	}
}

// attrs are the access log's fields; docs/access-log.md says what they mean.
func (x *exchange) attrs(took time.Duration) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("request_id", string(x.requestID())),
		slog.String("kind", "http"),
		slog.String("client", x.visitor.client.String()),
		slog.String("method", x.head.method()),
		slog.String("scheme", x.scheme()),
		slog.String("host", x.head.hostText()),
		slog.String("path", x.head.path()),
		slog.String("protocol", x.head.protocol()),
		slog.Int("status", x.status),
		slog.Float64("duration_ms", milliseconds(took)),
		slog.Int64("bytes_in", x.received),
		slog.Int64("bytes_out", x.sent),
		slog.String("user_agent", first(x.head.values("User-Agent"))),
	}
	if x.route != nil {
		attrs = append(attrs, slog.String("endpoint", x.route.URL.String()))
	}
	if x.member != "" {
		attrs = append(attrs, slog.String("endpoint_id", string(x.member)))
	}
	if x.client.addr.IsValid() && x.client.addr != x.visitor.client.Addr() {
		attrs = append(attrs, slog.String("forwarded_for", x.client.addr.String()))
	}
	if x.failure != nil {
		attrs = append(attrs, slog.String("error_code", string(x.failure.Code)))
	}
	return attrs
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

func (x *exchange) scheme() string {
	if x.visitor.secure {
		return "https"
	}
	return "http"
}

func portText(port uint16) string { return strconv.Itoa(int(port)) }
