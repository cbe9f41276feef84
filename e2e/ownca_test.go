package e2e_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// ownCA is a CA of a person's, in a folder of its own.
type ownCA struct {
	t   *testing.T
	dir string
}

func newOwnCA(t *testing.T, domains ...string) *ownCA {
	t.Helper()
	ca := &ownCA{t, filepath.Join(t.TempDir(), "ca")}
	ca.run(append([]string{"init"}, domains...)...)
	return ca
}

// run is "postern ca …"; it gives what the command prints.
func (ca *ownCA) run(args ...string) string {
	ca.t.Helper()
	out, err := exec.CommandContext(ca.t.Context(), posternBinary, append(append([]string{"ca"}, args...), "--dir", ca.dir)...).CombinedOutput()
	if err != nil {
		ca.t.Fatalf("postern ca %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// curlSays is the real curl, which knows no network but the server's.
func (s *server) curlSays(name string, args ...string) (string, error) {
	s.t.Helper()
	host := fmt.Sprintf("%s:%d", name, s.https)
	args = append([]string{"-sS", "--max-time", "20", "--resolve", host + ":127.0.0.1"}, args...)
	out, err := exec.CommandContext(s.t.Context(), "curl", append(args, "https://"+host+"/any/endpoint")...).CombinedOutput()
	return string(out), err
}

// S1-46, S1-53, with postern ca in place of the openssl script: the lines that the command
// prints start the tunnel, curl needs no -k, who has no certificate stays out, and who has
// one that is revoked, too.
func TestTunnelWithAnOwnCA(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	service := service(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "private "+r.URL.Path) })
	name := "api.customer1." + domain
	ca := newOwnCA(t, "customer1."+domain)
	printed := ca.run("server", "*.customer1."+domain)
	ca.run("client", "alice@example.com")
	ca.run("client", "bob")

	_, lines, found := strings.Cut(printed, "  tunnels:\n")
	if !found || !strings.Contains(lines, "domain: "+name+"\n") {
		t.Fatalf("the command prints %s", printed)
	}
	file := filepath.Join(t.TempDir(), "site.yml")
	text := "version: 2\ntunnels:\n" + strings.Replace(strings.ReplaceAll("\n"+lines, "\n  ", "\n"), "addr: 3000", "addr: "+service, 1)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	agent, _ := s.agent("start", "api", "--config", file)
	if strings.Contains(agent.output(), "defect=") {
		t.Errorf("something is wrong with the certificates: %s", agent.output())
	}
	as := func(who string) []string {
		folder := filepath.Join(ca.dir, "clients", who)
		return []string{"--cacert", filepath.Join(folder, "ca.pem"), "--cert", filepath.Join(folder, "client.pem"), "--key", filepath.Join(folder, "client.key")}
	}
	for _, who := range []string{"alice@example.com", "bob"} {
		if out, err := s.curlSays(name, as(who)...); err != nil || out != "private /any/endpoint" {
			t.Errorf("%s: %q, %v", who, out, err)
		}
	}
	if out, err := s.curlSays(name, as("bob")[:2]...); err == nil {
		t.Errorf("without a certificate: %q", out)
	}
	if out := ca.run("revoke", "bob", "--reason", "key-compromise"); !strings.Contains(out, "Revoked bob") {
		t.Error(out)
	}
	eventually(t, 30*time.Second, func() error {
		if out, err := s.curlSays(name, as("bob")...); err == nil {
			return fmt.Errorf("revoked, and still let in: %q", out)
		}
		return nil
	})
	if out, err := s.curlSays(name, as("alice@example.com")...); err != nil || out != "private /any/endpoint" {
		t.Errorf("who was not revoked: %q, %v", out, err)
	}
}

// S0-49: a certificate of one's own domain in one's own web server, a matching domain on
// the server, and a file with region and hostname: no warning. S0-46 is the same below the
// server's domain with a certificate that nobody trusts.
func TestWebServerWithItsOwnCertificate(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	ca := newOwnCA(t)
	ca.run("server", "secureservice.example.org")
	folder := filepath.Join(ca.dir, "servers", "secureservice.example.org")
	pair, err := tls.LoadX509KeyPair(filepath.Join(folder, "server.pem"), filepath.Join(folder, "server.key"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "secure service") }), ReadHeaderTimeout: 20 * time.Second}
	defer web.Close()
	go web.Serve(listener) //nolint:errcheck // ends with the test
	if _, err := client.For(s.api(), resource.ReservedDomains()).Create(t.Context(), resource.ReservedDomainCreate{Domain: "secureservice.example.org"}); err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ngrok.yml")
	text := fmt.Sprintf("region: us\ntunnels:\n  secure:\n    proto: tls\n    addr: localhost:%[1]s\n    hostname: secureService.example.org\n  plain:\n    proto: tls\n    addr: localhost:%[1]s\n    subdomain: plain\n", port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, public := s.agent("start", "secure", "--config", file)
	if u, err := url.Parse(public); err != nil || u.Hostname() != "secureservice.example.org" || u.Scheme != "tls" {
		t.Errorf("online at %q, %v", public, err)
	}
	if out, err := s.curlSays("secureservice.example.org", "--cacert", filepath.Join(folder, "ca.pem")); err != nil || out != "secure service" {
		t.Errorf("%q, %v", out, err)
	}
	s.agent("start", "plain", "--config", file)
	if out, err := s.curlSays("plain."+domain, "--cacert", filepath.Join(folder, "ca.pem")); err == nil || !strings.Contains(out, "plain."+domain) {
		t.Errorf("a certificate for another name: %q, %v", out, err)
	}
	if out, err := s.curlSays("plain."+domain, "--insecure"); err != nil || out != "secure service" {
		t.Errorf("--insecure: %q, %v", out, err)
	}
}
