package server_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server"
)

// The main job: a visitor reaches a page through an agent that dialled in.
func TestVisitorReachesAgent(t *testing.T) {
	n := start(t, testConfig(t), server.Options{Version: "test"})
	keys := n.Keys()
	client, welcome := n.agent(link.Hello{Token: postern.Secret(keys.Authtoken)})
	if welcome.Region != "local" || welcome.AccountName == "" {
		t.Errorf("welcome %+v", welcome)
	}
	bound := n.online(client, "https://", "hello from behind")
	if want := fmt.Sprintf("https://%s:%d", bound.URL.Host, n.HTTPSAddr().Port()); bound.PublicURL != want {
		t.Errorf("public URL %s, want %s", bound.PublicURL, want)
	}
	if status, body := n.get(n.Visitor(), bound.PublicURL); status != http.StatusOK || body != "hello from behind" {
		t.Errorf("the visitor got %d %q", status, body)
	}
	if status, metrics := n.admin("/metrics"); status != http.StatusOK || !strings.Contains(metrics, `postern_agent_sessions{transport="postern/1"} 1`) {
		t.Errorf("metrics (%d) do not show the session", status)
	}
}

// Who serves HTTP/1.1 is the operator's to say. What tells them apart is how long a line
// between two chunks may be: net/http takes 4 KiB of extensions, the relay 1.
func TestWhoServesHTTP1(t *testing.T) {
	for who, want := range map[string]string{server.HTTP1Relay: "HTTP/1.1 400", server.HTTP1Standard: "HTTP/1.1 200"} {
		t.Run(who, func(t *testing.T) {
			c := testConfig(t)
			c.HTTP1 = who
			n := start(t, c, server.Options{})
			client, _ := n.agent(link.Hello{Token: postern.Secret(n.Keys().Authtoken)})
			bound := n.online(client, "http://", "page")
			visitor, err := net.Dial("tcp", n.HTTPAddr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer visitor.Close()
			_, _ = fmt.Fprintf(visitor, "POST / HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n\r\n1;%s\r\nx\r\n0\r\n\r\n",
				bound.URL.Host, strings.Repeat("x", 2<<10))
			_ = visitor.SetReadDeadline(time.Now().Add(10 * time.Second))
			answer := make([]byte, len(want))
			if _, err := io.ReadFull(visitor, answer); err != nil || string(answer) != want {
				t.Errorf("the answer begins with %q (%v), want %q", answer, err, want)
			}
		})
	}
}

// An unmodified SDK, which sends neither ALPN nor, dialling an address, SNI.
func TestVisitorReachesSDK(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	agent, err := ngrok.NewAgent(ngrok.WithAuthtoken(n.Keys().Authtoken),
		ngrok.WithAgentConnectURL(n.HTTPSAddr().String()), ngrok.WithAgentConnectCAs(n.Roots()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = agent.Disconnect() }()
	ln, err := agent.Listen(t.Context(), ngrok.WithURL("https://sdk."+domain))
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: page("hello from the SDK"), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(ln) }()
	defer s.Close()
	if status, body := n.get(n.Visitor(), ln.URL().String()); status != http.StatusOK || body != "hello from the SDK" {
		t.Errorf("the visitor got %d %q", status, body)
	}
}

func TestTCPEndpoint(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	client, _ := n.agent(link.Hello{Token: postern.Secret(n.Keys().Authtoken)})
	bound := n.online(client, "tcp://", "over plain tcp")
	if !n.config.Listen.TCPPorts.Contains(bound.URL.Port) {
		t.Fatalf("port %d is outside the range", bound.URL.Port)
	}
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", bound.URL.Port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(answer), "over plain tcp") {
		t.Errorf("got %q, %v", answer, err)
	}
}

// B5-3: the same URL after a restart, for an agent that remembers and for one that
// has forgotten everything.
func TestRestartKeepsNames(t *testing.T) {
	c := testConfig(t)
	n := start(t, c, server.Options{})
	token := postern.Secret(n.Keys().Authtoken)
	client, welcome := n.agent(link.Hello{Token: token})
	before := n.online(client, "https://", "x")
	n.Shutdown()

	n = start(t, c, server.Options{})
	fresh, _ := n.agent(link.Hello{Token: token})
	if after := n.online(fresh, "https://", "x"); after.URL != before.URL {
		t.Errorf("a fresh agent got %s, before %s", after.URL, before.URL)
	}
	fresh.Close(postern.Errorf(postern.CodeLinkLost, "gone"))
	back, again := n.agent(link.Hello{Token: token, ClientID: welcome.ClientID, Cookie: welcome.Cookie})
	if again.ClientID != welcome.ClientID {
		t.Error("the agent's id changed with the restart")
	}
	bound, err := back.Bind(t.Context(), link.BindRequest{ID: before.ID, Token: before.Token, URL: postern.URLRequest{Scheme: postern.HTTPS}})
	if err != nil || bound.URL != before.URL || bound.ID != before.ID {
		t.Errorf("a returning agent got %+v (%v), before %+v", bound, err, before)
	}
}

func TestBadToken(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	for token, code := range map[postern.Secret]postern.Code{
		"nonsense": postern.CodeTokenMalformed,
		"3MRDLBnx1F5Nvne3mSytBs5oIIf_b90XbZkeYutZyOKMSUvfA": postern.CodeTokenInvalid,
	} {
		if _, _, err := n.tryAgent(link.Hello{Token: token}); !postern.HasCode(err, code) {
			t.Errorf("token %q: %v, want %s", token.Reveal(), err, code)
		}
	}
}

// D14: what is under way at SIGTERM is finished.
func TestShutdownDrains(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	client, _ := n.agent(link.Hello{Token: postern.Secret(n.Keys().Authtoken)})
	bound, err := client.Bind(t.Context(), link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS}})
	if err != nil {
		t.Fatal(err)
	}
	arrived, finish := make(chan struct{}), make(chan struct{})
	go serve(client, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
		close(arrived)
		<-finish
		_, _ = io.WriteString(w, "last")
	}))
	visitor := n.Visitor()
	response, err := visitor.Get(bound.PublicURL)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	<-arrived
	n.Stop()
	n.eventually("new connections are refused", func() error {
		conn, err := net.Dial("tcp", n.HTTPSAddr().String())
		if err == nil {
			_ = conn.Close()
			return errors.New("still accepted")
		}
		return nil
	})
	select {
	case <-client.Draining():
	case <-time.After(10 * time.Second):
		t.Error("the agent was not told")
	}
	close(finish)
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "first last" {
		t.Errorf("the response that was under way: %q, %v", body, err)
	}
	n.Shutdown()
}

func TestAdmin(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	for path, want := range map[string]int{
		"/healthz": 200, "/readyz": 200, "/metrics": 200, "/debug/pprof/": 200, "/debug/pprof/goroutine": 200,
		"/": 404, "/debug/": 404, "/debug/vars": 404, "/api": 404,
	} {
		if status, _ := n.admin(path); status != want {
			t.Errorf("%s answers %d, want %d", path, status, want)
		}
	}
	// B2, DNS rebinding: a name in Host is refused whatever it resolves to.
	for _, host := range []string{"evil.example", "localhost.evil.example", "127.0.0.1.evil.example", ""} {
		conn, err := net.Dial("tcp", n.AdminAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
		answer, _ := io.ReadAll(conn)
		_ = conn.Close()
		if !strings.HasPrefix(string(answer), "HTTP/1.1 421") {
			t.Errorf("Host %q: %.40q", host, answer)
		}
	}
}

// B2: nothing of the admin listener can be reached from outside.
func TestAdminIsNotPublic(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	for _, path := range []string{"/metrics", "/debug/pprof/", "/healthz"} {
		for _, host := range []string{"connect." + domain, "admin." + domain, "localhost"} {
			if status, body := n.get(n.Visitor(), "https://"+host+path); status == http.StatusOK {
				t.Errorf("https://%s%s answers 200 %.60q", host, path, body)
			}
		}
	}
}

func TestPortTaken(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := testConfig(t)
	c.Listen.HTTP = ln.Addr().String()
	_, err = server.New(c, server.Options{Logger: testkit.Logger(t)})
	if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), "listen.http: "+c.Listen.HTTP) {
		t.Fatalf("New: %v", err)
	}
	// Nothing is left behind: the same directory works with another port.
	c.Listen.HTTP = "127.0.0.1:0"
	start(t, c, server.Options{})
}

func TestDataDirIsExclusive(t *testing.T) {
	c := testConfig(t)
	start(t, c, server.Options{})
	if _, err := server.New(c, server.Options{Logger: testkit.Logger(t)}); !postern.HasCode(err, postern.CodeDataDirLocked) {
		t.Fatalf("a second server in one directory: %v", err)
	}
}

func TestSecretsArePrivate(t *testing.T) {
	c := testConfig(t)
	n := start(t, c, server.Options{})
	n.Shutdown()
	err := filepath.WalkDir(c.DataDir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, ".pem") {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(c.DataDir, "signing.key")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := server.New(c, server.Options{Logger: testkit.Logger(t)}); !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), key) {
		t.Errorf("a key that everybody can read: %v", err)
	}
}

// The local CA covers the listening address and exact names, and nobody else's.
func TestCertificates(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	for name, ok := range map[string]bool{"": true, "connect." + domain: true, "any.name." + domain: true, "foreign.example": false} {
		config := &tls.Config{ServerName: name, InsecureSkipVerify: true} //nolint:gosec // verified below
		conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), config)
		if !ok {
			if err == nil {
				t.Errorf("%q got a certificate", name)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		wanted := name
		if name == "" {
			wanted = "127.0.0.1"
		}
		if _, err := conn.ConnectionState().PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: wanted, Roots: n.Roots()}); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		_ = conn.Close()
	}
}
