package edge_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/route"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// netHTTPOnly runs all tests over the other path for HTTP/1.1.
var netHTTPOnly = flag.Bool("nethttp", false, "serve HTTP/1.1 through net/http instead of the relay")

// patience bounds what a test waits for; nothing that works comes near it.
const patience = 10 * time.Second

// site is an edge with real listeners on loopback.
type site struct {
	t      testing.TB
	edge   *edge.Edge
	routes *route.Current
	https  string
	http   string
	agent  string
	authority
	sessions chan session // what Agents was called with

	mu     sync.Mutex
	routed []*route.Route
}

// session is one call of Agents.
type session struct {
	alpn  string
	first byte
	peer  string
	names []postern.Hostname
}

// authority is a CA made for one test.
type authority struct {
	root  *certify.Made
	roots *x509.CertPool
}

func newAuthority(t testing.TB) authority {
	t.Helper()
	root := certify.New(t, "Test CA", nil, certify.Authority)
	return authority{root, root.Pool()}
}

// issue makes a certificate for a name or address, also during a handshake.
func (a authority) issue(name string) (*tls.Certificate, error) {
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, a.root.Certificate, a.root.Key.Public(), a.root.Key)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.root.Key}, err
}

// certificate is for names below test and for no server name at all.
func (a authority) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	switch {
	case hello.ServerName == "":
		return a.issue("127.0.0.1")
	case hello.ServerName == domain || strings.HasSuffix(hello.ServerName, "."+domain):
		return a.issue(hello.ServerName)
	}
	return nil, nil
}

const domain = "postern.test"

// start runs an edge until the test ends.
func start(t testing.TB, change ...func(*edge.Config)) *site {
	t.Helper()
	s := &site{t: t, routes: new(route.Current), authority: newAuthority(t), sessions: make(chan session, 16)}
	config := edge.Config{
		Domain: domain, Routes: s.routes, Certificate: s.certificate, Agents: s.serveAgent,
		Public: edge.PublicPorts{HTTPS: 8443, HTTP: 8080}, PortAddr: netip.MustParseAddr("127.0.0.1"),
		Logger: testkit.Logger(t), NetHTTPOnly: *netHTTPOnly,
	}
	for _, c := range change {
		c(&config)
	}
	s.edge = edge.New(config)
	ctx, cancel := context.WithCancel(context.Background())
	var serving sync.WaitGroup
	listen := func(serve func(context.Context, net.Listener) error) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		serving.Go(func() {
			if err := serve(ctx, ln); err != nil {
				t.Errorf("serving: %v", err)
			}
		})
		return ln.Addr().String()
	}
	s.https, s.http, s.agent = listen(s.edge.ServeHTTPS), listen(s.edge.ServeHTTP), listen(s.edge.ServeAgents)
	t.Cleanup(func() {
		cancel()
		drain, stop := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer stop()
		_ = s.edge.Shutdown(drain) // idle connections of the tests' clients may be cut
		serving.Wait()
	})
	return s
}

// serveAgent notes what it was called with and echoes.
func (s *site) serveAgent(ctx context.Context, conn net.Conn, alpn string) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return
	}
	s.sessions <- session{alpn, first[0], conn.RemoteAddr().String(), link.ServerNames(ctx)}
	_, _ = conn.Write(first[:])
}

// add puts a route in force.
func (s *site) add(r *route.Route) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.routed = append(s.routed, r)
	table, err := route.New(s.routed)
	must(s.t, err)
	s.routes.Store(table)
}

// serve puts an endpoint online whose service listens on addr.
func (s *site) serve(url, addr string, change ...func(*member)) *member {
	s.t.Helper()
	m := newMember(addr)
	for _, c := range change {
		c(m)
	}
	request, err := postern.ParseURLRequest(url, postern.HTTPS)
	must(s.t, err)
	s.add(&route.Route{
		URL:         postern.URL{Scheme: request.Scheme, Host: request.Host, Port: request.Port},
		Termination: m.options.Termination, CertificatePEM: m.options.CertificatePEM, Key: m.options.KeyPEM,
		Owner: &owner{members: []*member{m}}, Meter: m.meter.Account(), Policies: policies(m.policy),
	})
	s.t.Cleanup(m.stop)
	return m
}

// policies are those of a route whose only member has p.
func policies(p *policy.Program) []*policy.Program {
	if p == nil {
		return nil
	}
	return []*policy.Program{p}
}

// routeTo is an endpoint that is served by o.
func routeTo(url string, o route.Owner) *route.Route {
	request, err := postern.ParseURLRequest(url, postern.HTTPS)
	if err != nil {
		panic(err)
	}
	return &route.Route{URL: postern.URL{Scheme: request.Scheme, Host: request.Host, Port: request.Port}, Owner: o}
}

// pool puts an endpoint of several members online.
func (s *site) pool(url string, all ...*member) {
	s.t.Helper()
	request, err := postern.ParseURLRequest(url, postern.HTTPS)
	must(s.t, err)
	s.add(&route.Route{
		URL: postern.URL{Scheme: request.Scheme, Host: request.Host, Port: request.Port}, Owner: &owner{members: all},
		Meter: all[0].meter.Account(),
	})
	for _, m := range all {
		s.t.Cleanup(m.stop)
	}
}

type config = edge.Config

// trustLoopback makes the tests' own address a trusted proxy.
func trustLoopback(c *config) {
	c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
}

// upstream is an HTTP service; it lives until the test ends.
func (s *site) upstream(h http.HandlerFunc) string {
	server := httptest.NewUnstartedServer(h)
	server.Config.DisableGeneralOptionsHandler = true
	server.Start()
	s.t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

// client speaks to the TLS port whatever host a URL names.
func (s *site) client(protocols ...string) *http.Client {
	dial := func(port string) func(context.Context, string, string) (net.Conn, error) {
		return func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", port)
		}
	}
	transport := &http.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: s.roots},
		DialTLSContext:     nil,
		DisableCompression: true,
		Protocols:          new(http.Protocols),
	}
	plain, secure := dial(s.http), dial(s.https)
	transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasSuffix(addr, ":80") {
			return plain(ctx, network, addr)
		}
		return secure(ctx, network, addr)
	}
	transport.Protocols.SetHTTP1(len(protocols) == 0 || protocols[0] == "http/1.1")
	transport.Protocols.SetHTTP2(len(protocols) == 0 || protocols[0] == "h2")
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: patience,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dialTLS makes a raw TLS connection to the shared port.
func (s *site) dialTLS(serverName string, alpn ...string) *tls.Conn {
	s.t.Helper()
	conn, err := tls.Dial("tcp", s.https, &tls.Config{
		RootCAs: s.roots, ServerName: serverName, NextProtos: alpn, InsecureSkipVerify: serverName == "",
	})
	must(s.t, err)
	must(s.t, conn.SetDeadline(time.Now().Add(patience)))
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// connected is a client on one connection that is there already.
func (s *site) connected(conn *tls.Conn, alpn string) *http.Client {
	s.t.Helper()
	transport := &http.Transport{
		DialTLSContext: func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		Protocols:      new(http.Protocols),
	}
	transport.Protocols.SetHTTP1(alpn != "h2")
	transport.Protocols.SetHTTP2(alpn == "h2")
	s.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// dial makes a raw TCP connection.
func (s *site) dial(addr string) *net.TCPConn {
	s.t.Helper()
	conn, err := net.Dial("tcp", addr)
	must(s.t, err)
	must(s.t, conn.SetDeadline(time.Now().Add(patience)))
	s.t.Cleanup(func() { conn.Close() })
	return conn.(*net.TCPConn)
}

// raw sends bytes to the plain HTTP port and reads one answer.
func (s *site) raw(request string) *http.Response {
	s.t.Helper()
	conn := s.dial(s.http)
	_, err := io.WriteString(conn, request)
	must(s.t, err)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(s.t, err)
	return response
}

// tcpPort opens a TCP endpoint on a free port and returns its address.
func (s *site) tcpPort(addr string, change ...func(*member)) (string, *member) {
	s.t.Helper()
	number := ports.For(s.t, 1).First
	must(s.t, s.edge.OpenPort(postern.TCP, uint16(number)))
	return fmt.Sprintf("127.0.0.1:%d", number), s.serve(fmt.Sprintf("tcp://tcp.%s:%d", domain, number), addr, change...)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func body(t testing.TB, r *http.Response) string {
	t.Helper()
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	must(t, err)
	return string(b)
}

// get makes a request and reads the answer.
func get(t testing.TB, c *http.Client, url string, change ...func(*http.Request)) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, url, nil)
	must(t, err)
	for _, f := range change {
		f(r)
	}
	response, err := c.Do(r)
	must(t, err)
	return response, body(t, response)
}

// eventually waits until done says so.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	timeout := time.After(patience)
	for !done() {
		select {
		case <-ticker.C:
		case <-timeout:
			t.Fatalf("still waiting: %s", what)
		}
	}
}
