package server_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/server"
)

// record is everything that a process writes.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// B2: whatever happens, and however much is logged, no secret is in the log.
func TestNoSecretIsLogged(t *testing.T) {
	var written record
	logger := slog.New(obs.NewHandler(&written, obs.JSON, slog.LevelDebug))
	c := testConfig(t)
	c.AccessLog = "stdout"
	n := start(t, c, server.Options{Logger: logger, Stdout: &written, Stderr: &written})
	keys := n.Keys()
	_, tokenSecret, _ := strings.Cut(keys.Authtoken, "_")
	_, keySecret, _ := strings.Cut(keys.APIKey, "_")
	secrets := map[string]string{"authtoken": tokenSecret, "API key": keySecret}
	if again := n.Keys(); again.Authtoken != "" || again.APIKey != "" {
		t.Error("bootstrap told the secrets twice")
	}

	config := func() native.ClientConfig { return native.ClientConfig{Logger: slog.New(slog.DiscardHandler)} }
	connect := func(token, clientID, cookie string) (*native.Client, link.Welcome, error) {
		conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), &tls.Config{RootCAs: n.Roots(), ServerName: "127.0.0.1", NextProtos: []string{native.ALPN}})
		if err != nil {
			t.Fatal(err)
		}
		with := config()
		with.Hello = link.Hello{Token: postern.Secret(token), ClientID: clientID, Cookie: cookie}
		return native.Connect(t.Context(), conn, with)
	}

	// Tokens that are nobody's, and one whose secret is wrong.
	wrongSecret := strings.Repeat("W", len(tokenSecret))
	id, _, _ := strings.Cut(keys.Authtoken, "_")
	for what, token := range map[string]string{"malformed token": "malformed-secret-token", "wrong token": id + "_" + wrongSecret} {
		_, secret, found := strings.Cut(token, "_")
		if !found {
			secret = token
		}
		secrets[what] = secret
		if client, _, err := connect(token, "", ""); err == nil {
			client.Close(nil)
			t.Fatalf("a %s is admitted", what)
		}
	}

	// A life with a return by cookie and token, an own certificate, and refusals.
	client, welcome, err := connect(keys.Authtoken, "", "")
	if err != nil {
		t.Fatal(err)
	}
	bound := n.online(client, "https://app."+domain, "hello")
	certificate, key := certify.New(t, "own."+domain, nil).PEM(t)
	own := link.BindRequest{URL: postern.URLRequest{Scheme: postern.TLS, Host: "own." + domain}, Options: postern.EndpointOptions{
		UpstreamProtocol: postern.HTTP1, Termination: postern.AtEdge, CertificatePEM: certificate, KeyPEM: postern.Secret(key)}}
	ownBound, err := client.Bind(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	own.Options.CertificatePEM = strings.ReplaceAll(certificate, "A", "B")
	own.URL.Host = "broken." + domain
	if _, err := client.Bind(t.Context(), own); err == nil {
		t.Error("a broken certificate is accepted")
	}
	n.get(n.Visitor(), "https://app."+domain+"/")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://app."+domain+"/page?key=query-secret", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer visitor-secret")
	request.Header.Set("Cookie", "session=visitor-cookie")
	if response, err := n.Visitor().Do(request); err != nil {
		t.Error(err)
	} else {
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
	}
	secrets["Authorization header"], secrets["Cookie header"] = "visitor-secret", "visitor-cookie"

	again, second, err := connect(keys.Authtoken, welcome.ClientID, welcome.Cookie)
	if err != nil {
		t.Fatal(err)
	}
	if rebound, err := again.Bind(t.Context(), link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS}, ID: bound.ID, Token: bound.Token,
		Options: postern.EndpointOptions{UpstreamProtocol: postern.HTTP1}}); err != nil || rebound.URL != bound.URL {
		t.Errorf("the return gave %v, %v", rebound.URL, err)
	}
	again.Close(nil)
	client.Close(nil)
	secrets["cookie"], secrets["second cookie"] = welcome.Cookie, second.Cookie
	secrets["bind token"], secrets["second bind token"] = bound.Token, ownBound.Token
	secrets["private key"] = strings.Split(key, "\n")[1]

	garbage(t, n, keys.Authtoken)
	n.Shutdown()
	for _, name := range []string{"signing.key", "names.key"} {
		raw, err := os.ReadFile(filepath.Join(c.DataDir, name))
		if err != nil {
			t.Fatal(err)
		}
		secrets[name] = string(raw)
	}

	sealing, err := os.ReadFile(filepath.Join(c.DataDir, "sealing.keys"))
	if err != nil {
		t.Fatal(err)
	}
	secrets["sealing.keys"] = strings.Split(strings.TrimSpace(string(sealing)), "\n")[2]

	log := written.String()
	for _, expected := range []string{"session started", "endpoint online", "agent refused", "route table in force", "app." + domain} {
		if !strings.Contains(log, expected) {
			t.Errorf("nothing of %q is in the log: this test sees too little", expected)
		}
	}
	for what, secret := range secrets {
		if secret == "" {
			t.Errorf("no %s was seen", what)
		} else if at := strings.Index(log, secret); at >= 0 {
			t.Errorf("the %s is in the log: …%s…", what, strings.ReplaceAll(log[max(0, at-200):at], "\n", "⏎"))
		}
	}
}

// garbage sends a token where none belongs, so that it is part of what cannot be read.
func garbage(t *testing.T, n *node, token string) {
	t.Helper()
	var all sync.WaitGroup
	for _, alpn := range [][]string{nil, {native.ALPN}} {
		for _, text := range []string{`{"Extra":{"Authtoken":"` + token + `"`, `{"Version":["3"],"Extra":{"Authtoken":["` + token + `"]}}`, token} {
			all.Go(func() { sendGarbage(t, n, alpn, text) })
		}
	}
	all.Wait()
}

// sendGarbage says Auth with text, and waits for the server to end the session.
func sendGarbage(t *testing.T, n *node, alpn []string, text string) {
	// SYN and FIN on stream 3, of the type Auth.
	frame := append([]byte{0, 0, byte(4 + len(text)), 1<<4 | 3, 0, 0, 0, 3, 0, 0, 0, 0}, text...)
	conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), &tls.Config{RootCAs: n.Roots(), ServerName: "127.0.0.1", NextProtos: alpn})
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write(frame); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the server did not end a session of garbage: %v", err)
	}
}
