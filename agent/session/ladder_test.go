package session_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/link/websocket"
)

const ladderToken = "good-token-of-the-ladder"

// network is a port of this machine and what stands at it.
type network struct {
	t         *testing.T
	addr      string
	registrar *linktest.Registrar
	server    tls.Certificate // the Postern server's
	roots     *x509.CertPool
	outer     tls.Certificate // of whoever intercepts
	system    *x509.CertPool  // that trusts him

	mu       sync.Mutex
	arrivals int
	seen     bytes.Buffer // by whoever intercepts, inside of his TLS
	serving  sync.WaitGroup
}

// stand starts a network on which every connection is given to arrive.
func stand(t *testing.T, arrive func(*network, net.Conn)) *network {
	t.Helper()
	n := &network{t: t, registrar: linktest.NewRegistrar(ladderToken)}
	n.server, n.roots = testkit.Certificate(t, "localhost")
	n.outer, n.system = testkit.Certificate(t, "localhost")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	n.addr = "localhost:" + port
	n.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			n.mu.Lock()
			n.arrivals++
			n.mu.Unlock()
			n.serving.Go(func() {
				defer conn.Close()
				arrive(n, conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		n.serving.Wait()
	})
	return n
}

// postern is the server, on a connection that reached it.
func (n *network) postern(conn net.Conn) {
	secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{n.server}, NextProtos: []string{native.ALPN}})
	if secured.HandshakeContext(n.t.Context()) == nil {
		_ = native.Serve(n.t.Context(), secured, native.Config{Registrar: n.registrar, Logger: testkit.Logger(n.t)})
	}
}

// intercept ends TLS as the server and lets HTTP alone pass.
func (n *network) intercept(conn net.Conn) {
	outer := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{n.outer}, NextProtos: []string{"http/1.1"}})
	if outer.HandshakeContext(n.t.Context()) != nil {
		return
	}
	one := &oneConn{conn: &recorded{Conn: outer, n: n}, done: make(chan struct{})}
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer one.Close()
		carrier, err := websocket.Accept(w, r, nil, netip.Addr{})
		if err == nil {
			defer carrier.Close()
			n.postern(carrier)
		}
	})}
	_ = web.Serve(one)
}

// recorded notes what is read from it.
type recorded struct {
	net.Conn
	n *network
}

func (r *recorded) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.n.mu.Lock()
	r.n.seen.Write(b[:n])
	r.n.mu.Unlock()
	return n, err
}

// oneConn is a listener of one connection.
type oneConn struct {
	mu   sync.Mutex
	conn net.Conn
	done chan struct{}
	once sync.Once
}

func (l *oneConn) Accept() (net.Conn, error) {
	l.mu.Lock()
	conn := l.conn
	l.conn = nil
	l.mu.Unlock()
	if conn != nil {
		return conn, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { l.once.Do(func() { close(l.done) }); return nil }
func (l *oneConn) Addr() net.Addr { return &net.TCPAddr{} }

func (n *network) dialer(change ...func(*session.Dialer)) *session.Dialer {
	d := &session.Dialer{Server: n.addr, Roots: n.roots, SystemRoots: n.system, Logger: testkit.Logger(n.t)}
	for _, f := range change {
		f(d)
	}
	return d
}

// connect makes a session and ends it; arrived counts the connections that it took.
func (n *network) connect(d *session.Dialer, token postern.Secret) (arrived int, err error) {
	n.t.Helper()
	n.mu.Lock()
	before := n.arrivals
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	client, _, err := d.Connect(ctx, link.Hello{Token: token}, session.Callbacks{})
	if err == nil {
		client.Close(nil)
		<-client.(*native.Client).Closed()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.arrivals - before, err
}

func (n *network) must(d *session.Dialer, token postern.Secret, wantArrived int, want postern.Code) {
	n.t.Helper()
	arrived, err := n.connect(d, token)
	if arrived != wantArrived || err == nil != (want == "") || err != nil && postern.AsError(err).Code != want {
		n.t.Errorf("%d connections, %v; want %d, %q", arrived, err, wantArrived, want)
	}
}

func TestTheBestWayIsTakenWhereItWorks(t *testing.T) {
	n := stand(t, (*network).postern)
	n.must(n.dialer(), ladderToken, 1, "")
}

func TestAServersOwnWordEndsTheClimb(t *testing.T) {
	n := stand(t, (*network).postern)
	n.must(n.dialer(), "another-token", 1, postern.CodeTokenInvalid)
	stranger := func(d *session.Dialer) { d.Roots = x509.NewCertPool() }
	n.must(n.dialer(stranger), ladderToken, 1, postern.CodeServerUntrusted)
}

func TestInterceptionIsClimbedOverAndRemembered(t *testing.T) {
	n := stand(t, (*network).intercept)
	d := n.dialer()
	n.must(d, ladderToken, 2, "") // TLS, then the WebSocket
	n.must(d, ladderToken, 1, "") // the WebSocket at once
	n.must(n.dialer(func(d *session.Dialer) { d.Transport = session.TLS }), ladderToken, 1, postern.CodeIntercepted)
	n.must(n.dialer(func(d *session.Dialer) { d.Transport = session.WebSocket }), ladderToken, 1, "")
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.seen.Len() == 0 || bytes.Contains(n.seen.Bytes(), []byte(ladderToken)) {
		t.Errorf("whoever intercepts has read %d bytes, and the token with them", n.seen.Len())
	}
}

// Nobody who ends the outer TLS can play the server: the inner one is checked as ever.
func TestAnInterceptorCannotPlayTheServer(t *testing.T) {
	n := stand(t, (*network).intercept)
	n.server = n.outer
	n.must(n.dialer(), ladderToken, 2, postern.CodeIntercepted)
	n.must(n.dialer(func(d *session.Dialer) { d.Transport = session.WebSocket }), ladderToken, 1, postern.CodeServerUntrusted)
	n.mu.Lock()
	defer n.mu.Unlock()
	if bytes.Contains(n.seen.Bytes(), []byte(ladderToken)) {
		t.Error("the token left for a server that is not the one")
	}
}

func TestAnInterceptorThatNobodyTrusts(t *testing.T) {
	n := stand(t, (*network).intercept)
	n.must(n.dialer(func(d *session.Dialer) { d.SystemRoots = x509.NewCertPool() }), ladderToken, 2, postern.CodeIntercepted)
	n.must(n.dialer(func(d *session.Dialer) {
		d.SystemRoots, d.Transport = x509.NewCertPool(), session.WebSocket
	}), ladderToken, 1, postern.CodeServerUntrusted)
}

func TestConnectionsThatAreCutOff(t *testing.T) {
	n := stand(t, func(_ *network, conn net.Conn) { _, _ = io.ReadFull(conn, make([]byte, 100)) })
	n.must(n.dialer(), ladderToken, 2, postern.CodeServerUnreachable)
}

func TestHTTPWhereTheServerShouldBe(t *testing.T) {
	n := stand(t, func(_ *network, conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
	})
	n.must(n.dialer(), ladderToken, 2, postern.CodeIntercepted)
}

// A server that does not run costs no climb: an agent must be back at once.
func TestARefusedConnectionEndsTheClimb(t *testing.T) {
	d := &session.Dialer{Server: ports.Address(t), Roots: x509.NewCertPool()}
	began := time.Now()
	_, _, err := d.Connect(t.Context(), link.Hello{Token: ladderToken}, session.Callbacks{})
	if !postern.HasCode(err, postern.CodeServerUnreachable) || session.WorthAnother(session.TLS, err) {
		t.Errorf("Connect = %v", err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}
