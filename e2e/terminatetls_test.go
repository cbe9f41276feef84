package e2e_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	ngrok "golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/resource"
)

// terminating is a traffic policy with terminate-tls alone.
func terminating(t *testing.T, config map[string]any) string {
	t.Helper()
	action := map[string]any{"type": "terminate-tls", "config": config}
	text, err := json.Marshal(map[string]any{"on_tcp_connect": []any{map[string]any{"actions": []any{action}}}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// terminates puts an https endpoint online, whose service says who came.
func (a *clientAuthority) terminates(s *server, name string, config map[string]any) (url string) {
	a.t.Helper()
	file := a.write(name+".json", terminating(a.t, config))
	port := service(a.t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("Postern-Client-Cert-Subject")+" "+r.Header.Get("Postern-Client-Cert-Verified"))
	})
	_, url = s.agent("http", port, "--url", "https://"+name+"."+domain, "--traffic-policy-file", file)
	return url
}

// terminate-tls on a running server, our agent behind and curl before it: the three
// strategies, the versions, and the ways around it.
func TestTerminateTLSAtTheEdge(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, strangers := newClientAuthority(t), newClientAuthority(t)
	a.client("ann")
	revoked := a.client("bob")
	strangers.client("mallory")
	a.brings(strangers, "mallory")
	authority, err := os.ReadFile(a.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := []string{string(authority) + a.revoke(revoked)}

	verified := a.terminates(s, "verified", map[string]any{"mutual_tls_certificate_authorities": trusted})
	a.guards(s, verified, "bob", "mallory")
	for _, c := range []struct {
		strategy string
		want     map[string]string // by visitors, "" is one without a certificate
	}{
		{"require-any", map[string]string{"ann": "CN=ann false", "mallory": "CN=mallory false", "": "certificate required"}},
		{"request", map[string]string{"ann": "CN=ann false", "mallory": "CN=mallory false", "": " "}},
	} {
		url := a.terminates(s, c.strategy, map[string]any{"mutual_tls_verification_strategy": c.strategy})
		for who, want := range c.want {
			for _, protocol := range []string{"--http1.1", "--http2"} {
				if out, complaint := a.curl(s, url, who, protocol); out != want && !strings.Contains(complaint, want) {
					t.Errorf("%s, %q over %s: %q %s", c.strategy, who, protocol, out, complaint)
				}
			}
		}
	}
	for name, config := range map[string]map[string]any{"newest": {"min_version": "1.3"}, "older": {"max_version": "1.2"}} {
		url := a.terminates(s, name, config)
		for _, c := range []struct{ protocol, version string }{{"--http1.1", "--tls-max 1.2"}, {"--http2", "--tls-max 1.2"}, {"--http1.1", "--tlsv1.3"}, {"--http2", "--tlsv1.3"}} {
			out, complaint := a.curl(s, url, "", append([]string{c.protocol}, strings.Fields(c.version)...)...)
			if comesIn := (name == "newest") == (c.version == "--tlsv1.3"); comesIn != (out == " ") || comesIn != (complaint == "") {
				t.Errorf("%s, curl %s %s: %q %s", name, c.protocol, c.version, out, complaint)
			}
		}
	}
	s.holdsTermination(a, "verified."+domain)
}

// holdsTermination tries to get at an endpoint by connections that were made for others.
func (s *server) holdsTermination(a *clientAuthority, name string) {
	t := a.t
	_, open := s.agent("http", service(t, func(http.ResponseWriter, *http.Request) {}), "--url", "https://unguarded."+domain)
	if out, complaint := a.curl(s, open, ""); complaint != "" {
		t.Fatalf("%q %s", out, complaint)
	}
	pair, err := tls.LoadX509KeyPair(a.path("ann.pem"), a.path("ann.key"))
	if err != nil {
		t.Fatal(err)
	}
	sessions := tls.NewLRUClientSessionCache(8)
	ask := func(sni, protocol string, shown ...tls.Certificate) (status int, resumed bool) {
		// The cache is told one name for all, so that it brings what it has anywhere.
		config := &tls.Config{ServerName: sni, InsecureSkipVerify: true, NextProtos: []string{protocol}, Certificates: shown, ClientSessionCache: oneSession{sessions}}
		transport := &http.Transport{Protocols: new(http.Protocols), DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", s.https))
		}}
		transport.Protocols.SetHTTP1(protocol != "h2")
		transport.Protocols.SetHTTP2(protocol == "h2")
		defer transport.CloseIdleConnections()
		answer, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get(fmt.Sprintf("https://%s:%d/", name, s.https))
		if err != nil {
			return 0, false
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		return answer.StatusCode, answer.TLS != nil && answer.TLS.DidResume
	}
	for _, protocol := range []string{"http/1.1", "h2"} {
		if status, _ := ask("unguarded."+domain, protocol, pair); status != http.StatusMisdirectedRequest {
			t.Errorf("a connection for another name over %s: %d", protocol, status)
		}
		if status, _ := ask("", protocol, pair); status != http.StatusMisdirectedRequest {
			t.Errorf("a connection for no name over %s: %d", protocol, status)
		}
		// The session of the open endpoint, which that connection left, is no way in.
		if status, resumed := ask(name, protocol); status != 0 || resumed {
			t.Errorf("a session of another endpoint over %s: %d, resumed %v", protocol, status, resumed)
		}
		for range 2 {
			if status, _ := ask(name, protocol, pair); status != http.StatusOK {
				t.Errorf("its own session over %s: %d", protocol, status)
			}
		}
	}
}

// oneSession is a cache that brings one session to everybody.
type oneSession struct{ tls.ClientSessionCache }

// Get implements tls.ClientSessionCache.
func (c oneSession) Get(string) (*tls.ClientSessionState, bool) { return c.ClientSessionCache.Get("") }

// Put implements tls.ClientSessionCache.
func (c oneSession) Put(_ string, session *tls.ClientSessionState) {
	c.ClientSessionCache.Put("", session)
}

// An unmodified SDK has a tls endpoint whose TLS the server ends: with its own certificate,
// whose key is in a vault, or with the server's. An authority that the account does not
// have is refused where it stands.
func TestTerminateTLSOfTheSDK(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := newClientAuthority(t)
	a.client("ann")
	authority, err := os.ReadFile(a.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	uploaded, err := client.For(s.api(), resource.CertificateAuthorities()).Create(t.Context(), resource.CertificateAuthorityCreate{CAPEM: string(authority)})
	if err != nil {
		t.Fatal(err)
	}
	own := certify.New(t, "own", nil, certify.Names("db."+domain))
	certificate, key := own.PEM(t)
	if _, err := client.For(s.api(), resource.Vaults()).Create(t.Context(), resource.VaultCreate{Name: "tls"}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.For(s.api(), resource.VaultSecrets()).Create(t.Context(), resource.VaultSecretCreate{Name: "key", Value: key, VaultName: "tls"}); err != nil {
		t.Fatal(err)
	}
	pair, err := tls.LoadX509KeyPair(a.path("ann.pem"), a.path("ann.key"))
	if err != nil {
		t.Fatal(err)
	}
	agent := s.sdk()
	for name, c := range map[string]struct {
		config map[string]any
		client *tls.Config
	}{
		"its own":      {map[string]any{"server_certificate": certificate, "server_private_key": "${secrets.get('tls', 'key')}"}, &tls.Config{RootCAs: own.Pool()}},
		"the server's": {map[string]any{"min_version": "1.3"}, &tls.Config{RootCAs: s.pool()}},
	} {
		c.config["mutual_tls_certificate_authorities"] = []string{uploaded.ID}
		listener, err := agent.Listen(sdkContext(t), ngrok.WithURL("tls://db."+domain), ngrok.WithTrafficPolicy(terminating(t, c.config)))
		if err != nil {
			t.Fatal(err)
		}
		go greet(listener)
		c.client.ServerName = "db." + domain
		visit := func(shown ...tls.Certificate) string {
			c.client.Certificates = shown
			conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.https), c.client)
			if err != nil {
				return err.Error()
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			got, _ := io.ReadAll(conn)
			return string(got)
		}
		eventually(t, 20*time.Second, func() error { // the edge reads authorities a moment after the API
			if got := visit(pair); got != "hello" {
				return fmt.Errorf("%s certificate, with the client's: %q", name, got)
			}
			return nil
		})
		if got := visit(); got == "hello" {
			t.Errorf("%s certificate: whoever shows none comes in", name)
		}
		_ = listener.Close()
	}
	_, err = agent.Listen(sdkContext(t), ngrok.WithURL("https://unknown."+domain), ngrok.WithTrafficPolicy(terminating(t, map[string]any{"mutual_tls_certificate_authorities": []string{"ca_gone"}})))
	if err == nil || !strings.Contains(err.Error(), "line 1, column ") || !strings.Contains(err.Error(), "no certificate authority ca_gone") {
		t.Errorf("an authority that is not there: %v", err)
	}
	_, err = agent.Listen(sdkContext(t), ngrok.WithURL("https://old."+domain), ngrok.WithTrafficPolicy(terminating(t, map[string]any{"min_version": "1.0"})))
	if err == nil || !strings.Contains(err.Error(), "there are: 1.2, 1.3") {
		t.Errorf("a version that is too old: %v", err)
	}
}

// greet says hello to everybody.
func greet(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "hello")
		_ = conn.Close()
	}
}
