package agent_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
)

const goodToken = postern.Secret("2id_goodtoken")

// server is a real native server on loopback with a small registrar of its own: one
// good token, names that come back with their tokens.
type server struct {
	t     *testing.T
	addr  string
	roots *x509.CertPool
	certs tls.Certificate

	mu       sync.Mutex
	listener net.Listener
	conns    []net.Conn
	sessions []link.Session
	hellos   []link.Hello
	bound    map[string]link.BindRequest // by bind id
	unbound  []string
	serving  sync.WaitGroup
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{t: t, bound: map[string]link.BindRequest{}}
	s.certs, s.roots = testkit.Certificate(t, "localhost")
	s.start(ports.Address(t))
	t.Cleanup(s.kill)
	return s
}

func (s *server) start(addr string) {
	s.t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.listener = listener
	s.mu.Unlock()
	if s.addr == "" {
		_, number, _ := net.SplitHostPort(addr)
		s.addr = "localhost:" + number
	}
	s.serving.Go(func() { s.accept(listener) })
}

func (s *server) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.conns = append(s.conns, conn)
		s.mu.Unlock()
		s.serving.Go(func() {
			secured := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{s.certs}, NextProtos: []string{native.ALPN}})
			if secured.Handshake() != nil {
				conn.Close()
				return
			}
			_ = native.Serve(context.Background(), secured, native.Config{Registrar: s, Logger: testkit.Logger(s.t)})
		})
	}
}

// kill is kill -9: the listener is gone and every connection is reset.
func (s *server) kill() {
	s.mu.Lock()
	s.listener.Close()
	for _, conn := range s.conns {
		_ = conn.(*net.TCPConn).SetLinger(0)
		conn.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.serving.Wait()
}

// open opens a stream to the endpoint with this bind id over the latest session.
func (s *server) open(t *testing.T, h link.Header, first string) link.Stream {
	t.Helper()
	s.mu.Lock()
	latest := s.sessions[len(s.sessions)-1]
	s.mu.Unlock()
	h.ClientAddr = netip.MustParseAddrPort("203.0.113.7:4711")
	stream, err := latest.Open(t.Context(), h, []byte(first))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Close() })
	_ = stream.SetDeadline(time.Now().Add(20 * time.Second))
	return stream
}

func (s *server) Region() string { return "test" }

func (s *server) Admit(_ context.Context, session link.Session, h link.Hello) (link.Binder, link.Welcome, error) {
	if !h.Token.Equal(goodToken) {
		return nil, link.Welcome{}, postern.Errorf(postern.CodeTokenInvalid, "the authtoken is not known")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions = append(s.sessions, session)
	s.hellos = append(s.hellos, h)
	return &binder{s}, link.Welcome{SessionID: "ts_1", ClientID: "client", Cookie: "cookie", Region: "test", AccountName: "tester"}, nil
}

type binder struct{ *server }

func (b *binder) Bind(_ context.Context, r link.BindRequest) (link.Bound, error) {
	if strings.HasPrefix(string(r.URL.Host), "taken.") {
		return link.Bound{}, postern.Errorf(postern.CodeAlreadyOnline, "%s is online already", r.URL.Host)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.ID == "" {
		r.ID = fmt.Sprintf("bind%d", len(b.bound)+1)
		r.Token = "token-" + r.ID
	}
	b.bound[r.ID] = r
	host := r.URL.Host
	if host == "" {
		host = postern.Hostname(r.ID + ".localhost")
	}
	url := postern.URL{Scheme: r.URL.Scheme, Host: host, Port: r.URL.Port}
	return link.Bound{ID: r.ID, EndpointID: "ep_1", Token: r.Token, URL: url, PublicURL: url.Public(8443)}, nil
}

func (b *binder) BindLabels(context.Context, string, map[string]string) (link.Bound, error) {
	return link.Bound{}, postern.Errorf(postern.CodeOptionUnsupported, "no labels")
}

func (b *binder) Unbind(_ context.Context, id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unbound = append(b.unbound, id)
	return nil
}

func (b *binder) Patch(context.Context, link.Patch) error { return nil }
func (b *binder) Release(error)                           {}

// Interface guards.
var (
	_ link.Registrar = (*server)(nil)
	_ link.Binder    = (*binder)(nil)
)
