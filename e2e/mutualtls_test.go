package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	ngrokapi "github.com/ngrok/ngrok-api-go/v9"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/resource"
)

// clientAuthority is a directory with ca.pem, and certificates of clients beside it.
type clientAuthority struct {
	t    *testing.T
	dir  string
	root *certify.Made
	next int64 // serial number, from 11
}

func newClientAuthority(t *testing.T) *clientAuthority {
	t.Helper()
	a := &clientAuthority{t: t, dir: t.TempDir(), root: certify.New(t, "Clients of the site", nil, certify.Authority), next: 10}
	a.write("ca.pem", certify.Chain(a.root))
	return a
}

func (a *clientAuthority) path(name string) string { return filepath.Join(a.dir, name) }

func (a *clientAuthority) write(name, text string) string {
	a.t.Helper()
	if err := os.WriteFile(a.path(name), []byte(text), 0o600); err != nil {
		a.t.Fatal(err)
	}
	return a.path(name)
}

// client makes NAME.pem and NAME.key, and gives the serial number.
func (a *clientAuthority) client(name string) *big.Int {
	a.t.Helper()
	a.next++
	own := certify.New(a.t, name, a.root, certify.Serial(a.next), certify.Names(), certify.For(x509.ExtKeyUsageClientAuth))
	chain, key := own.PEM(a.t)
	a.write(name+".pem", chain)
	a.write(name+".key", key)
	return own.SerialNumber
}

// revoke makes a revocation list that is good for an hour.
func (a *clientAuthority) revoke(serial *big.Int) string {
	a.t.Helper()
	return certify.Block("X509 CRL", a.root.Revoke(a.t, time.Now(), time.Now().Add(time.Hour), 0, serial))
}

// curl visits a URL of the server's, with the certificate of a client or "" for none. It
// gives what curl printed, and its complaint where it failed.
func (a *clientAuthority) curl(s *server, url, client string, more ...string) (out, complaint string) {
	a.t.Helper()
	args := []string{"--silent", "--show-error", "--max-time", "20", "--cacert", s.caFile, "--connect-to", fmt.Sprintf("::127.0.0.1:%d", s.https)}
	if client != "" {
		args = append(args, "--cert", a.path(client+".pem"), "--key", a.path(client+".key"))
	}
	command := exec.Command("curl", append(append(args, more...), url)...)
	var stderr strings.Builder
	command.Stderr = &stderr
	printed, err := command.Output()
	if err != nil {
		complaint = err.Error() + ": " + stderr.String()
	}
	return string(printed), complaint
}

// guards visits as everybody: ann is let in and seen by the service, nobody else is.
func (a *clientAuthority) guards(s *server, url string, others ...string) {
	a.t.Helper()
	for _, protocol := range []string{"--http1.1", "--http2"} {
		out, complaint := a.curl(s, url, "ann", protocol, "--header", "Postern-Client-Cert-Subject: CN=forged")
		if complaint != "" || out != "CN=ann true" {
			a.t.Errorf("%s with ann's certificate: %q %s", protocol, out, complaint)
		}
		for _, other := range append([]string{""}, others...) {
			out, complaint := a.curl(s, url, other, protocol)
			if complaint == "" || out != "" || other == "" && !strings.Contains(complaint, "certificate required") {
				a.t.Errorf("%s with the certificate %q: %q %s", protocol, other, out, complaint)
			}
		}
	}
}

// Mutual TLS at the edge: our own agent, with a revocation list.
func TestMutualTLSAtTheEdge(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a, strangers := newClientAuthority(t), newClientAuthority(t)
	a.client("ann")
	revoked := a.client("bob")
	strangers.client("mallory")
	a.brings(strangers, "mallory")
	crl := a.write("crl.pem", a.revoke(revoked))
	port := service(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("Postern-Client-Cert-Subject")+" "+r.Header.Get("Postern-Client-Cert-Verified"))
	})
	_, url := s.agent("http", port, "--url", "https://guarded."+domain, "--mutual-tls-cas", a.path("ca.pem"), "--mutual-tls-crl", crl)
	a.guards(s, url, "bob", "mallory")

	// A tls endpoint that ends at the edge.
	echo := tcpService(t, func(conn net.Conn) { io.WriteString(conn, "hello"); conn.Close() })
	p := s.agentProcess("tls", echo, "--url", "tls://db."+domain, "--terminate-at", "edge", "--mutual-tls-cas", a.path("ca.pem"))
	p.onlineURL()
	pair, err := tls.LoadX509KeyPair(a.path("ann.pem"), a.path("ann.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range [][]tls.Certificate{{pair}, nil} {
		conn, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.https), &tls.Config{RootCAs: s.pool(), ServerName: "db." + domain, Certificates: shown})
		var got []byte
		if err == nil {
			got, err = io.ReadAll(conn)
			conn.Close()
		}
		if (string(got) == "hello") != (shown != nil) {
			t.Errorf("%d shown: %q, %v", len(shown), got, err)
		}
	}
}

// An authority that was uploaded through the API counts by its id, and no longer once it
// is deleted; one that the account does not have is refused.
func TestMutualTLSWithAnUploadedAuthority(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := newClientAuthority(t)
	a.client("ann")
	text, err := os.ReadFile(a.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	authorities := apiDriver{s.apiClient(s.APIKey)}.authorities()
	made, err := authorities.Create(t.Context(), &ngrokapi.CertificateAuthorityCreate{CAPEM: string(text)})
	if err != nil {
		t.Fatal(err)
	}
	port := service(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("Postern-Client-Cert-Subject")+" "+r.Header.Get("Postern-Client-Cert-Verified"))
	})
	_, url := s.agent("http", port, "--url", "https://uploaded."+domain, "--mutual-tls-cas", made.ID)
	eventually(t, 20*time.Second, func() error { // the edge reads it a moment after the API
		if out, complaint := a.curl(s, url, "ann"); out != "CN=ann true" {
			return fmt.Errorf("%q %s", out, complaint)
		}
		return nil
	})
	a.guards(s, url)
	// A list that the authority is given counts from then on, for sessions that are resumed
	// as well, and no longer once it is taken away.
	bob := a.client("bob")
	a.guards(s, url)
	if out, complaint := a.curl(s, url, "bob"); out != "CN=bob true" {
		t.Errorf("bob before he is revoked: %q %s", out, complaint)
	}
	pair, err := tls.LoadX509KeyPair(a.path("bob.pem"), a.path("bob.key"))
	if err != nil {
		t.Fatal(err)
	}
	again := &tls.Config{RootCAs: s.pool(), ServerName: "uploaded." + domain, Certificates: []tls.Certificate{pair}, ClientSessionCache: tls.NewLRUClientSessionCache(4)}
	visit := func() (status int, resumed bool, err error) {
		transport := s.transport()
		defer transport.CloseIdleConnections()
		transport.TLSClientConfig = again
		answer, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get(fmt.Sprintf("https://uploaded.%s:%d/", domain, s.https))
		if err != nil {
			return 0, false, err
		}
		_, err = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return answer.StatusCode, answer.TLS.DidResume, err
	}
	for i := range 2 {
		if status, resumed, err := visit(); status != http.StatusOK || resumed != (i > 0) || err != nil {
			t.Errorf("bob's visit %d: %d, resumed %v, %v", i, status, resumed, err)
		}
	}
	lists := client.For(s.api(), resource.CertificateAuthorities())
	crl := a.revoke(bob)
	if changed, err := lists.Update(t.Context(), made.ID, resource.CertificateAuthorityUpdate{CRLPEM: &crl}); err != nil || changed.CRLPEM == nil || *changed.CRLPEM != crl {
		t.Fatalf("%+v, %v", changed, err)
	}
	eventually(t, 20*time.Second, func() error {
		if out, complaint := a.curl(s, url, "bob"); complaint == "" {
			return fmt.Errorf("still let in: %q", out)
		}
		return nil
	})
	if status, _, err := visit(); err == nil {
		t.Errorf("bob's old session is let in: %d", status)
	}
	a.guards(s, url, "bob")
	if known, err := authorities.Get(t.Context(), made.ID); err != nil || known.CAPEM != string(text) {
		t.Errorf("ngrok's client reads %+v, %v", known, err)
	}
	crl = ""
	if _, err := lists.Update(t.Context(), made.ID, resource.CertificateAuthorityUpdate{CRLPEM: &crl}); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		if out, complaint := a.curl(s, url, "bob"); out != "CN=bob true" {
			return fmt.Errorf("%q %s", out, complaint)
		}
		return nil
	})
	unknown := s.agentProcess("http", port, "--url", "https://unknown."+domain, "--mutual-tls-cas", "ca_"+strings.Repeat("x", 27))
	unknown.waitFor("has no such certificate authority", 20*time.Second)
	if err := authorities.Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		if out, complaint := a.curl(s, url, "ann"); complaint == "" {
			return fmt.Errorf("still let in: %q", out)
		}
		return nil
	})
}

// ngrok's SDK for JavaScript, as it is published, asks for the same.
func TestMutualTLSOfTheNodeSDK(t *testing.T) {
	s := startServer(t)
	a := newClientAuthority(t)
	a.client("ann")
	authority, err := os.ReadFile(a.path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	options, err := json.Marshal(map[string]any{"mutual_tls_cas": []string{string(authority)}, "domain": "node-guarded." + domain})
	if err != nil {
		t.Fatal(err)
	}
	agent := s.nodeAgent(s.authtoken, string(options))
	if agent.URL == "" {
		t.Fatalf("%+v", agent)
	}
	if out, complaint := a.curl(s, agent.URL+"/x", "ann"); out != "node saw GET /x over https" {
		t.Errorf("with a certificate: %q %s", out, complaint)
	}
	if out, complaint := a.curl(s, agent.URL+"/x", ""); out != "" || !strings.Contains(complaint, "certificate required") {
		t.Errorf("without: %q %s", out, complaint)
	}
}
