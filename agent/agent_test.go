package agent_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/link"
)

// started is an agent that is online.
type started struct {
	*agent.Agent
	online chan agent.Online
	cancel context.CancelFunc
	done   chan error
}

func start(t *testing.T, s *server, endpoints ...config.Endpoint) *started {
	t.Helper()
	st := &started{online: make(chan agent.Online, 16), done: make(chan error, 1)}
	c := agent.Config{
		Server: s.addr, Roots: s.roots, Authtoken: goodToken, Version: "1.2.3", Logger: testkit.Logger(t),
		Events: agent.Events{Online: func(o agent.Online) { st.online <- o }},
	}
	for _, e := range endpoints {
		c.Endpoints = append(c.Endpoints, agent.Endpoint{Endpoint: e})
	}
	st.run(t, c)
	return st
}

func (st *started) run(t *testing.T, c agent.Config) {
	t.Helper()
	var err error
	if st.Agent, err = agent.New(c); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	st.cancel = cancel
	go func() { st.done <- st.Run(ctx) }()
	t.Cleanup(func() { st.stop(t) })
}

func (st *started) stop(t *testing.T) {
	t.Helper()
	st.cancel()
	if err := <-st.done; err != nil {
		t.Errorf("Run = %v", err)
	}
	st.done <- nil // for a second stop
}

func web(name, upstream string) config.Endpoint {
	return config.Endpoint{Name: name, URL: postern.URLRequest{Scheme: postern.HTTPS}, Upstream: upstream}
}

func httpHeader(id string) link.Header { return link.Header{Endpoint: id, Scheme: postern.HTTPS} }

// get sends one request down a stream and returns the answer's body.
func get(t *testing.T, stream link.Stream) string {
	t.Helper()
	response, err := http.ReadResponse(bufio.NewReader(stream), nil)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

const request = "GET /x HTTP/1.1\r\nHost: app.example.com\r\nConnection: close\r\n\r\n"

func echoHost(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto+" "+r.Host) }

func TestOverTheNativeWire(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(echoHost))
	t.Cleanup(service.Close)
	s := newServer(t)
	a := start(t, s, web("web", service.URL))
	online := <-a.online
	if online.URL != "https://bind1.localhost:8443" || online.Upstream != service.URL || online.Name != "web" {
		t.Errorf("online %+v", online)
	}
	if got := get(t, s.open(t, httpHeader("bind1"), request)); got != "HTTP/1.1 app.example.com" {
		t.Errorf("answer %q", got)
	}
	hello := s.hellos[0]
	if hello.Agent.Version != "1.2.3" || hello.Agent.UserAgent != "postern/1.2.3" || hello.Unsupported[link.Restart] == "" {
		t.Errorf("hello %+v", hello.Agent)
	}
	if r := s.bound["bind1"]; r.Name != "web" || r.ForwardsTo != service.URL {
		t.Errorf("bound %+v", r)
	}
}

// Upstreams on unix sockets and behind TLS, with and without verification; B5-14.
func TestUpstreams(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(echoHost))
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(http.HandlerFunc(echoHost))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	socket := filepath.Join(t.TempDir(), "app.sock")
	unix := httptest.NewUnstartedServer(http.HandlerFunc(echoHost))
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	unix.Listener = listener
	unix.Start()
	t.Cleanup(unix.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}

	verified, unverifiable := web("verified", secure.URL), web("unverifiable", secure.URL)
	verified.VerifyCAs = ca
	unverifiable.VerifyTLS = true
	plainPort := plain.URL[strings.LastIndexByte(plain.URL, ':')+1:]
	endpoints := []config.Endpoint{
		web("port", plainPort), web("localhost", "localhost:"+plainPort), web("unix", "unix://"+socket), web("https", secure.URL),
		verified, unverifiable, web("refused", ports.Address(t)),
	}
	s := newServer(t)
	a := start(t, s, endpoints...)
	for i, e := range endpoints {
		<-a.online
		stream := s.open(t, httpHeader("bind"+string(rune('1'+i))), request)
		if e.Name == "unverifiable" || e.Name == "refused" {
			began := time.Now()
			_, err := io.ReadAll(stream)
			if !postern.HasCode(err, postern.CodeUpstreamUnreachable) || time.Since(began) > time.Second {
				t.Errorf("%s: read %v after %s, want %s within a second", e.Name, err, time.Since(began), postern.CodeUpstreamUnreachable)
			}
			if err != nil && strings.Contains(err.Error(), "127.0.0.1") {
				t.Errorf("%s: a stranger is told a private address: %v", e.Name, err)
			}
			continue
		}
		if got := get(t, stream); got != "HTTP/1.1 app.example.com" {
			t.Errorf("%s: answer %q", e.Name, got)
		}
	}
}

func TestHTTP2Upstreams(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.HandlerFunc(echoHost))
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	clear := httptest.NewUnstartedServer(http.HandlerFunc(echoHost))
	clear.Config.Protocols = new(http.Protocols)
	clear.Config.Protocols.SetUnencryptedHTTP2(true)
	clear.Start()
	t.Cleanup(clear.Close)
	s := newServer(t)
	h2s, h2c := web("h2", secure.URL), web("h2c", clear.URL)
	h2s.Protocol, h2c.Protocol = postern.HTTP2, postern.HTTP2
	a := start(t, s, h2s, h2c)
	for _, id := range []string{"bind1", "bind2"} {
		<-a.online
		stream := s.open(t, httpHeader(id), "")
		// The edge speaks HTTP/2 with prior knowledge, no TLS, over the stream.
		transport := &http.Transport{Protocols: new(http.Protocols), DialContext: func(context.Context, string, string) (net.Conn, error) { return stream, nil }}
		transport.Protocols.SetUnencryptedHTTP2(true)
		response, err := transport.RoundTrip(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://app.example.com/", nil))
		if err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if string(body) != "HTTP/2.0 app.example.com" {
			t.Errorf("%s: answer %q", id, body)
		}
		transport.CloseIdleConnections()
	}
	if s.bound["bind1"].Options.UpstreamProtocol != postern.HTTP2 {
		t.Error("the edge was not told of HTTP/2")
	}
}

// TLS that ends at the agent, with the PROXY header on its way to the service, and
// TLS that passes through.
func TestTLSEndpoints(t *testing.T) {
	certificate, roots := testkit.Certificate(t, "db.example.com")
	key, err := testkitKeyPEM(certificate)
	if err != nil {
		t.Fatal(err)
	}
	service, lines := lineService(t)
	s := newServer(t)
	e := config.Endpoint{
		Name: "db", URL: postern.URLRequest{Scheme: postern.TLS, Host: "db.example.com"}, Upstream: service,
		Termination: config.AtAgent, ProxyProtocol: 1,
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})), Key: key,
	}
	pass := config.Endpoint{Name: "pass", URL: postern.URLRequest{Scheme: postern.TLS}, Upstream: service}
	a := start(t, s, e, pass)
	<-a.online
	<-a.online
	if o := s.bound["bind1"].Options; o.ProxyProtocol != 1 || o.Termination != postern.Passthrough {
		t.Errorf("options %+v", o)
	}
	const proxied = "PROXY TCP4 203.0.113.7 192.0.2.1 4711 443\r\n"
	stream := s.open(t, link.Header{Endpoint: "bind1", Scheme: postern.TLS, PassthroughTLS: true}, proxied)
	visitor := tls.Client(stream, &tls.Config{ServerName: "db.example.com", RootCAs: roots})
	if _, err := io.WriteString(visitor, "select\n"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{strings.TrimSpace(proxied), "select"} {
		if got := <-lines; got != want {
			t.Errorf("the service read %q, want %q", got, want)
		}
	}
	visitor.Close()
	through := s.open(t, link.Header{Endpoint: "bind2", Scheme: postern.TLS, PassthroughTLS: true}, "not decrypted\n")
	if got := <-lines; got != "not decrypted" {
		t.Errorf("passed through %q", got)
	}
	through.Close()
}

// B5-3 on a real wire: the server is killed and comes back on the same port.
func TestServerIsKilledAndComesBack(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(echoHost))
	t.Cleanup(service.Close)
	s := newServer(t)
	a := start(t, s, web("web", service.URL))
	<-a.online
	_, port, _ := net.SplitHostPort(s.addr)
	s.kill()
	s.mu.Lock()
	s.sessions = nil
	s.mu.Unlock()
	restarted := time.Now()
	s.start("127.0.0.1:" + port)
	for !s.rebound() {
		if time.Since(restarted) > 5*time.Second {
			t.Fatal("the agent did not come back")
		}
		select {
		case <-t.Context().Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	if took := time.Since(restarted); took > time.Second {
		t.Errorf("back after %s, want a second at most", took)
	}
	if got := get(t, s.open(t, httpHeader("bind1"), request)); got != "HTTP/1.1 app.example.com" {
		t.Errorf("answer %q", got)
	}
	if h := s.hellos[len(s.hellos)-1]; h.ClientID != "client" || h.Cookie != "cookie" {
		t.Errorf("came back as %q with cookie %q", h.ClientID, h.Cookie)
	}
}

func (s *server) rebound() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions) > 0 && s.bound["bind1"].URL.Host == "bind1.localhost"
}

func TestHostHeaderAndOptions(t *testing.T) {
	s := newServer(t)
	rewritten, fixed := web("rewritten", "intranet.example:8080"), web("fixed", "8080")
	rewritten.HostHeader, fixed.HostHeader = "rewrite", "fixed.example"
	rewritten.Pooling, fixed.Metadata = true, "m"
	a := start(t, s, rewritten, fixed)
	<-a.online
	<-a.online
	if got := s.bound["bind1"]; got.Options.HostHeader != "intranet.example:8080" || !got.Pooling {
		t.Errorf("rewritten: %+v", got)
	}
	if got := s.bound["bind2"]; got.Options.HostHeader != "fixed.example" || got.Metadata != "m" {
		t.Errorf("fixed: %+v", got)
	}
	a.stop(t)
	if len(s.unbound) != 2 {
		t.Errorf("unbound %v at the end", s.unbound)
	}
}

func TestRefusals(t *testing.T) {
	s := newServer(t)
	_, strangers := testkit.Certificate(t, "localhost")
	other := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	otherRoots := other.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	taken := web("a", "8080")
	taken.URL.Host = "taken.localhost"
	for name, c := range map[string]struct {
		config agent.Config
		want   postern.Code
	}{
		"token": {agent.Config{Server: s.addr, Roots: s.roots, Authtoken: "2id_wrong"}, postern.CodeTokenInvalid},
		"trust": {agent.Config{Server: s.addr, Roots: strangers, Authtoken: goodToken}, postern.CodeServerUntrusted},
		"other": {agent.Config{Server: strings.TrimPrefix(other.URL, "https://"), Roots: otherRoots, Authtoken: goodToken}, postern.CodeIntercepted},
		"taken": {agent.Config{Server: s.addr, Roots: s.roots, Authtoken: goodToken, Endpoints: []agent.Endpoint{{Endpoint: taken}}}, postern.CodeAlreadyOnline},
	} {
		t.Run(name, func(t *testing.T) {
			a, err := agent.New(c.config)
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Run(t.Context()); !postern.HasCode(err, c.want) {
				t.Errorf("Run = %v, want %s", err, c.want)
			}
		})
	}
}

func TestNewRefuses(t *testing.T) {
	bad := web("a", "http://host/path")
	bad.Where = "f.yml:3:5"
	noFile := config.Endpoint{Name: "t", URL: postern.URLRequest{Scheme: postern.TLS}, Upstream: "1", Termination: config.AtAgent, Certificate: "/nosuch", Key: "/nosuch"}
	for name, c := range map[string]struct {
		config agent.Config
		want   postern.Code
		text   string
	}{
		"no server": {agent.Config{Authtoken: "x"}, postern.CodeNoServer, ""},
		"no token":  {agent.Config{Server: "x"}, postern.CodeNoToken, ""},
		"address":   {agent.Config{Server: "a b", Authtoken: "x"}, postern.CodeFlagInvalid, "a b"},
		"cas":       {agent.Config{Server: "x", CAs: "/nosuch.pem", Authtoken: "x"}, postern.CodeFileUnreadable, "/nosuch.pem"},
		"upstream":  {agent.Config{Server: "x", Authtoken: "x", Endpoints: []agent.Endpoint{{Endpoint: bad}}}, postern.CodeUpstreamAddressInvalid, "f.yml:3:5: "},
		"key file":  {agent.Config{Server: "x", Authtoken: "x", Endpoints: []agent.Endpoint{{Endpoint: noFile}}}, postern.CodeFileUnreadable, "/nosuch"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := agent.New(c.config)
			if !postern.HasCode(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("New = %v, want %s with %q", err, c.want, c.text)
			}
		})
	}
}
