package edge

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/server/route"
)

// exchange is one HTTP request and its answer, while it is under way.
type exchange struct {
	edge    *Edge
	live    *Live
	visitor *visitor
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	started time.Time

	host   postern.Hostname
	route  *route.Route
	client clientFacts
	count  *endpointMetrics

	upload  *upload // the request's body, nil for none
	status  int     // 0 until the answer's head was sent
	sent    int64   // bytes of the answer's body
	gotten  int64   // bytes from upgraded visitors
	failure *postern.Error
	member  postern.EndpointID

	idOnce sync.Once
	id     postern.RequestID
}

// forwarder is the seam behind which requests go to agents. It answers the visitor
// itself and returns an error only when nothing of an answer was sent.
type forwarder interface {
	forward(x *exchange) error
}

// errVisitorGone ends an exchange without an answer: nobody is there to read it.
var errVisitorGone = errors.New("the visitor has gone")

func (e *Edge) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	return &exchange{
		edge: e, live: e.live.Load(), visitor: visitorFrom(r.Context()), w: w, r: r,
		control: http.NewResponseController(w), started: time.Now(),
	}
}

// requestID is made when somebody first wants to see it.
func (x *exchange) requestID() postern.RequestID {
	x.idOnce.Do(func() { x.id = obs.NewRequestID() })
	return x.id
}

// serveRequest answers one visitor's request.
func (e *Edge) serveRequest(w http.ResponseWriter, r *http.Request) {
	x := e.newExchange(w, r)
	defer x.finish()
	if err := x.serve(); err != nil {
		if errors.Is(err, errVisitorGone) {
			x.abort(&postern.Error{Code: postern.CodeStreamReset})
		}
		x.fail(postern.AsError(err))
	}
}

func (x *exchange) serve() error {
	if err := x.check(); err != nil {
		return err
	}
	host, err := requestHost(x.r)
	if err != nil {
		return err
	}
	x.host = host
	if own := x.edge.config.Hosts[host]; own != nil {
		return x.serveOwn(own)
	}
	table := x.edge.config.Routes.Load()
	secure := x.visitor.secure
	if secure && (!table.Agree(x.visitor.serverName, host) || x.edge.config.Hosts[x.visitor.serverName] != nil) {
		return &postern.Error{Code: postern.CodeMisdirected}
	}
	x.route = table.HTTP(host, secure)
	switch {
	case x.route != nil:
		x.count = x.edge.metrics.endpoint(x.route)
		x.client = x.clientFacts()
		return x.edge.forwarder.forward(x)
	case !secure && table.HTTP(host, true) != nil:
		return x.redirect(host)
	}
	return offline(host)
}

// offline is worded as clients of ngrok expect.
func offline(host postern.Hostname) *postern.Error {
	return postern.Errorf(postern.CodeEndpointOffline, "Tunnel %s not found", host)
}

// serveOwn lets one of the server's own sites answer. Its certificate must have been
// asked for by its own name, so that no tenant's page can speak to it over a
// connection that was made for the tenant.
func (x *exchange) serveOwn(own http.Handler) error {
	if x.visitor.secure && x.visitor.serverName != "" && x.visitor.serverName != x.host {
		return &postern.Error{Code: postern.CodeMisdirected}
	}
	recorder := &statusRecorder{ResponseWriter: x.w}
	own.ServeHTTP(recorder, x.r)
	x.status, x.sent = recorder.status, recorder.sent
	return nil
}

// redirect sends a visitor of port 80 to the https endpoint of the same name.
func (x *exchange) redirect(host postern.Hostname) error {
	x.w.Header().Set("Location", x.edge.publicURL(postern.HTTPS, host, x.r.URL.RequestURI()))
	x.w.Header().Set("Content-Length", "0")
	x.status = http.StatusPermanentRedirect
	x.w.WriteHeader(x.status)
	return nil
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

// abort cuts the answer off so that it cannot be taken for complete: HTTP/2 resets
// the stream, HTTP/1 the connection. It does not return.
func (x *exchange) abort(why *postern.Error) {
	x.failure = why
	if x.r.ProtoMajor == 1 {
		x.visitor.abort(why)
	}
	panic(http.ErrAbortHandler)
}

// finish accounts for the exchange, however it ended.
func (x *exchange) finish() {
	if x.upload != nil {
		x.upload.stop()
	}
	took := time.Since(x.started)
	if x.status == http.StatusSwitchingProtocols {
		x.count.request(x.status, took, 0, 0) // the relay has counted its bytes
	} else {
		x.count.request(x.status, took, x.received(), x.sent)
	}
	if log := x.live.AccessLog; log != nil {
		log.LogAttrs(context.WithoutCancel(x.r.Context()), slog.LevelInfo, "request", x.attrs(took)...)
	}
}

// attrs are the access log's fields; docs/access-log.md says what they mean.
func (x *exchange) attrs(took time.Duration) []slog.Attr {
	attrs := []slog.Attr{
		slog.String("request_id", string(x.requestID())),
		slog.String("kind", "http"),
		slog.String("client", x.visitor.client.String()),
		slog.String("method", x.r.Method),
		slog.String("scheme", x.scheme()),
		slog.String("host", x.r.Host),
		slog.String("path", x.r.URL.EscapedPath()),
		slog.String("protocol", x.r.Proto),
		slog.Int("status", x.status),
		slog.Float64("duration_ms", milliseconds(took)),
		slog.Int64("bytes_in", x.received()),
		slog.Int64("bytes_out", x.sent),
		slog.String("user_agent", x.r.UserAgent()),
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

// received counts the bytes of the request's body, or from an upgraded visitor.
func (x *exchange) received() int64 {
	if x.upload != nil {
		return x.upload.received() + x.gotten
	}
	return x.gotten
}

func (x *exchange) scheme() string {
	if x.visitor.secure {
		return "https"
	}
	return "http"
}

// statusRecorder notes what one of our own sites answered.
type statusRecorder struct {
	http.ResponseWriter
	status int
	sent   int64
}

func (s *statusRecorder) WriteHeader(code int) {
	if s.status == 0 && code >= 200 {
		s.status = code
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *statusRecorder) Write(b []byte) (int, error) {
	s.status = either(s.status, http.StatusOK)
	n, err := s.ResponseWriter.Write(b)
	s.sent += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the writer below.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func portText(port uint16) string { return strconv.Itoa(int(port)) }
