package edge

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
)

// fronts are the HTTP servers that visitors' connections are handed to. Reload makes
// new ones when timeouts change, because an http.Server's cannot change.
type fronts struct {
	timeouts Timeouts
	web      *front // requests for endpoints, plain or behind TLS
	advice   *front // plain HTTP on the TLS port
	carriers *front // HTTP on the agents' port
	inside   *front // calls of policies to internal endpoints
}

// all lists them.
func (f *fronts) all() []*front { return []*front{f.web, f.advice, f.carriers, f.inside} }

// front is an http.Server that takes connections one by one.
type front struct {
	edge   *Edge
	server *http.Server
	queue  *queue
}

func (e *Edge) newFronts(t Timeouts) *fronts {
	return &fronts{
		timeouts: t,
		web:      e.newFront(t, http.HandlerFunc(e.serveRequest)),
		advice:   e.newFront(t, http.HandlerFunc(e.serveAdvice)),
		carriers: e.newFront(t, http.HandlerFunc(e.serveCarriers)),
		inside:   e.newFront(t, http.HandlerFunc(e.serveRequest)),
	}
}

// HTTP/2 settings beside those of Limits. A visitor may have 1 MiB on the way in a
// connection and 256 KiB in a stream: what is not read yet is ours to hold.
const (
	http2ConnectionBuffer = 1 << 20
	http2StreamBuffer     = 256 << 10
	http2PingAfter        = time.Minute // of silence, so that a dead visitor is noticed
)

func (e *Edge) newFront(t Timeouts, handler http.Handler) *front {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: t.RequestHeader,
		IdleTimeout:       t.Idle,
		MaxHeaderBytes:    e.config.Limits.HeaderBytes,
		ConnContext:       connContext,
		ErrorLog:          slog.NewLogLogger(e.logger.Handler(), slog.LevelDebug), // visitors' mistakes
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          e.config.Limits.HTTP2Streams,
			MaxReadFrameSize:              16 << 10, // the protocol's own default: small frames, small buffers
			MaxReceiveBufferPerConnection: http2ConnectionBuffer,
			MaxReceiveBufferPerStream:     http2StreamBuffer,
			SendPingTimeout:               http2PingAfter,
			WriteByteTimeout:              t.Transfer,
		},
		// OPTIONS * belongs to the service behind the endpoint.
		DisableGeneralOptionsHandler: true,
	}
	f := &front{edge: e, server: server, queue: newQueue()}
	e.all.Go(func() { _ = server.Serve(f.queue) })
	return f
}

// takeHTTP1 hands conn over as take does, and looks on at the framing of its requests.
func (f *front) takeHTTP1(v *visitor, conn relay.Conn) {
	v.onlooker = newOnlooker(conn, &v.lingers)
	f.take(v, v.onlooker)
}

// take hands conn, which stands on v, over. From here on the server's deadlines hold.
func (f *front) take(v *visitor, conn net.Conn) {
	v.paced(f.edge.live.Load().pace())
	if !f.queue.put(conn) {
		_ = v.Close()
	}
}

// drain lets visitors' requests finish until ctx ends. HTTP/2 visitors get GOAWAY.
func (f *fronts) drain(ctx context.Context) error {
	var err error
	for _, one := range []*front{f.web, f.advice, f.carriers} {
		err = errors.Join(err, one.server.Shutdown(ctx))
	}
	return err
}

func (f *fronts) close() {
	for _, one := range f.all() {
		_ = one.server.Close()
	}
}

// queue is a net.Listener of connections that were accepted elsewhere.
type queue struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newQueue() *queue {
	return &queue{conns: make(chan net.Conn), done: make(chan struct{})}
}

// put tells whether somebody took conn; false means that the queue is closed.
func (q *queue) put(conn net.Conn) bool {
	select {
	case q.conns <- conn:
		return true
	case <-q.done:
		return false
	}
}

// Accept implements net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case conn := <-q.conns:
		return conn, nil
	case <-q.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *queue) Close() error {
	q.once.Do(func() { close(q.done) })
	return nil
}

// Addr implements net.Listener; nobody can dial it.
func (q *queue) Addr() net.Addr { return &net.TCPAddr{} }

// serveAdvice answers plain HTTP on the TLS port.
func (e *Edge) serveAdvice(w http.ResponseWriter, r *http.Request) {
	x := e.newWebExchange(w, r)
	defer x.finish()
	w.Header().Set("Connection", "close")
	failure := &postern.Error{Code: postern.CodeTLSRequired}
	if host, err := requestHost(r.Host); err == nil {
		failure = postern.Errorf(postern.CodeTLSRequired,
			"This port speaks HTTPS only; use %s", e.publicURL(postern.HTTPS, host, r.RequestURI))
	}
	x.fail(failure)
}

var _ net.Listener = (*queue)(nil)
