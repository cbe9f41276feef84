package e2e_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func echoListener(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go echoAll(listener)
	return listener.Addr().String()
}

// S0-21, S0-27: an assigned name is hexadecimal and stays over restarts of the
// agent and of the server.
func TestAssignedNameStays(t *testing.T) {
	s := startServer(t)
	upstream, _ := slowBody(t)
	first, url := s.agent("http", upstream)
	if !regexp.MustCompile(`^https://[0-9a-f]{8,}\.` + regexp.QuoteMeta(domain)).MatchString(url) {
		t.Errorf("assigned %s", url)
	}
	first.signal(15)
	first.wait(35 * time.Second)
	s.restart()
	if _, again := s.agent("http", upstream); again != url {
		t.Errorf("was %s, is %s", url, again)
	}
}

// The visitor's request reaches the service as it was sent, with the facts that
// the edge vouches for and none that a stranger made up.
func TestRequestArrivesAsSent(t *testing.T) {
	seen := make(chan *http.Request, 1)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen <- r }))
	defer upstream.Close()
	s := startServer(t)
	_, url := s.agent("http", upstream.URL)
	request, _ := http.NewRequest("PUT", url+"/a%2Fb/../c?x=1;y=%20", strings.NewReader("body"))
	for name, value := range map[string]string{"Authorization": "Bearer a.b.c", "X-Forwarded-For": "1.2.3.4",
		"X-Forwarded-Proto": "gopher", "Forwarded": "for=1.2.3.4", "X_Forwarded_For": "1.2.3.4", "Cookie": "a=b; c=d"} {
		request.Header.Set(name, value)
	}
	response, err := s.visitor().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	got := <-seen
	if got.Method != "PUT" || got.RequestURI != "/a%2Fb/../c?x=1;y=%20" {
		t.Errorf("arrived as %s %s", got.Method, got.RequestURI)
	}
	for name, want := range map[string]string{"Authorization": "Bearer a.b.c", "Cookie": "a=b; c=d",
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": "https", "Forwarded": "", "X_forwarded_for": ""} {
		if value := got.Header.Get(name); value != want {
			t.Errorf("%s: %q, want %q", name, value, want)
		}
	}
}

// S0-43
func TestHostHeaderRewrite(t *testing.T) {
	hosts := make(chan [3]string, 1)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hosts <- [3]string{r.Host, r.Header.Get("X-Original-Host"), r.Header.Get("X-Forwarded-Host")}
	}))
	defer upstream.Close()
	s := startServer(t)
	address := strings.TrimPrefix(upstream.URL, "http://")
	for value, want := range map[string]string{"rewrite": address, "app.internal": "app.internal"} {
		agent, url := s.agent("http", address, "--host-header", value)
		fetch(t, s.visitor(), url)
		public := strings.TrimPrefix(url, "https://")
		if got := <-hosts; got != [3]string{want, public, public} {
			t.Errorf("--host-header %s: the service saw %v", value, got)
		}
		agent.signal(15)
		agent.wait(35 * time.Second)
	}
}

// Upstreams of every form that the agent knows.
func TestUpstreamForms(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") })
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	socket := filepath.Join(t.TempDir(), "app.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	onSocket := &http.Server{Handler: handler}
	go onSocket.Serve(listener) //nolint:errcheck // ends with Close
	defer onSocket.Close()
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(plain.URL, "http://"))

	s := startServer(t)
	for _, upstream := range []string{port, "localhost:" + port, plain.URL, secure.URL, "unix://" + socket} {
		_, url := s.agent("http", upstream, "--name", upstream)
		if response, body := fetch(t, s.visitor(), url); body != "here" {
			t.Errorf("%s: %s %s", upstream, response.Status, tail(body, 200))
		}
	}
}

// S0-46: TLS that ends at the service, at the agent, and at the edge.
func TestTLSEndpoints(t *testing.T) {
	s := startServer(t)
	certificate, pool := selfSigned(t, "own."+domain)
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go echoAll(listener)
	s.agent("tls", listener.Addr().String(), "--url", "tls://own."+domain)
	echoOverTLS(t, s, "own."+domain, pool)

	atAgent, agentPool := selfSigned(t, "agent."+domain)
	certFile, keyFile := writePair(t, atAgent)
	s.agent("tls", echoListener(t), "--url", "tls://agent."+domain, "--crt", certFile, "--key", keyFile, "--terminate-at", "agent")
	echoOverTLS(t, s, "agent."+domain, agentPool)

	s.agent("tls", echoListener(t), "--url", "tls://edge."+domain, "--terminate-at", "edge")
	echoOverTLS(t, s, "edge."+domain, s.pool())
}

func echoOverTLS(t *testing.T, s *server, name string, pool *x509.CertPool) {
	t.Helper()
	conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.https), &tls.Config{ServerName: name, RootCAs: pool})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "to %s\n", name)
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "to "+name+"\n" {
		t.Errorf("%s: %q %v", name, line, err)
	}
}

// A TCP endpoint keeps half-closed connections open in the other direction.
func TestTCPHalfClose(t *testing.T) {
	counts := tcpService(t, func(conn net.Conn) {
		all, err := io.ReadAll(conn)
		fmt.Fprintf(conn, "%d bytes, %v", len(all), err)
	})
	s := startServer(t)
	_, url := s.agent("tcp", counts)
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "tcp://"))
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(make([]byte, 3<<20))
	conn.(*net.TCPConn).CloseWrite()
	if answer, err := io.ReadAll(conn); string(answer) != "3145728 bytes, <nil>" {
		t.Errorf("answer %q %v", answer, err)
	}
}

// A crowd that comes in one instant is served, all of it.
func TestBurstsOfVisitors(t *testing.T) {
	const visitors = 1000
	s := startServer(t)
	_, url := s.agent("tcp", echoListener(t))
	_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "tcp://"))
	crowd := make([]net.Conn, visitors)
	for i := range crowd {
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		crowd[i] = conn
	}
	lost := 0
	for _, conn := range crowd {
		io.WriteString(conn, "!")
	}
	for _, conn := range crowd {
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
			lost++
		}
		conn.Close()
	}
	if lost > 0 {
		t.Errorf("%d of %d connections were lost", lost, visitors)
	}

	upstream, _ := slowBody(t)
	_, url = s.agent("http", upstream)
	transport := s.transport()
	transport.ForceAttemptHTTP2 = false
	transport.DisableKeepAlives = true
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	failures := make(chan error, visitors)
	var all sync.WaitGroup
	for range visitors {
		all.Go(func() {
			if response, body, err := tryFetch(client, url); err != nil || body != "quick" {
				failures <- fmt.Errorf("%v %q %v", response, tail(body, 100), err)
			}
		})
	}
	all.Wait()
	close(failures)
	if n := len(failures); n > 0 {
		t.Errorf("%d of %d requests failed, one of them: %v", n, visitors, <-failures)
	}
}

func TestProxyProtocolToTheUpstream(t *testing.T) {
	s := startServer(t)
	for _, version := range []string{"1", "2"} {
		upstream, sources := proxyHeaders(t)
		_, url := s.agent("tcp", upstream, "--proxy-proto", version, "--name", "v"+version)
		_, port, _ := net.SplitHostPort(strings.TrimPrefix(url, "tcp://"))
		conn, err := net.Dial("tcp", "127.0.0.1:"+port)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-sources:
			if got != conn.LocalAddr().String() {
				t.Errorf("version %s: the upstream was told %s, the visitor is %s", version, got, conn.LocalAddr())
			}
		case <-time.After(10 * time.Second):
			t.Errorf("version %s: no header arrived", version)
		}
		conn.Close()
	}
}

// S0-36: several endpoints of one file in one process, http and https for one name,
// and a wildcard.
func TestStartFromAFile(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host) }))
	defer upstream.Close()
	s := startServer(t)
	config := filepath.Join(t.TempDir(), "ngrok.yml")
	text := fmt.Sprintf(`version: 3
endpoints:
  - name: secure
    url: https://both.%[1]s
    upstream: {url: %[2]s}
  - name: plain
    url: http://both.%[1]s
    upstream: {url: %[2]s}
  - name: every
    url: https://*.site.%[1]s
    upstream: {url: %[2]s}
`, domain, upstream.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	agent := s.agentProcess("start", "--all", "--config", config)
	eventually(t, 10*time.Second, func() error {
		if n := strings.Count(agent.output(), `msg="started tunnel"`); n != 3 {
			return fmt.Errorf("%d endpoints are online", n)
		}
		return nil
	})
	visitor := s.visitor()
	for url, host := range map[string]string{
		fmt.Sprintf("https://both.%s:%d", domain, s.https):     fmt.Sprintf("both.%s:%d", domain, s.https),
		fmt.Sprintf("http://both.%s:%d", domain, s.http):       fmt.Sprintf("both.%s:%d", domain, s.http),
		fmt.Sprintf("https://a.b.site.%s:%d", domain, s.https): fmt.Sprintf("a.b.site.%s:%d", domain, s.https),
	} {
		if response, body := fetch(t, visitor, url); body != host {
			t.Errorf("%s: %s %q", url, response.Status, tail(body, 200))
		}
	}
	if response, _ := fetch(t, visitor, fmt.Sprintf("https://site.%s:%d", domain, s.https)); response.StatusCode != 404 {
		t.Errorf("a wildcard served its parent: %s", response.Status)
	}
}
