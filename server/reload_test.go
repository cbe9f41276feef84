package server_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/service"
)

// file is a configuration file that a test rewrites.
type file struct {
	t    *testing.T
	path string
	base string
}

func newFile(t *testing.T, c server.Config) *file {
	t.Helper()
	f := &file{t: t, path: filepath.Join(t.TempDir(), "postern.yml")}
	f.base = fmt.Sprintf("domain: %s\ndata_dir: %s\nlisten: {https: '%s', http: '%s', admin: '%s', tcp_ports: '%s'}\n",
		c.Domain, c.DataDir, c.Listen.HTTPS, c.Listen.HTTP, c.Listen.Admin, c.Listen.TCPPorts)
	f.write("")
	return f
}

func (f *file) write(more string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(f.base+more), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

func (f *file) load() (server.Config, error) {
	return server.Load(f.path, func(string) string { return "" }, nil)
}

func (f *file) start(options server.Options) *node {
	f.t.Helper()
	c, err := f.load()
	if err != nil {
		f.t.Fatal(err)
	}
	options.Load = f.load
	return start(f.t, c, options)
}

// B5-29: a reload changes what may change while connections flow; a bad file is
// refused with its line, as a whole.
func TestReload(t *testing.T) {
	f := newFile(t, testConfig(t))
	level := new(slog.LevelVar)
	n := f.start(server.Options{Level: level})
	token := postern.Secret(n.Keys().Authtoken)
	client, _ := n.agent(link.Hello{Token: token})
	first := n.online(client, "https://", "still here")
	visitor := n.Visitor()

	f.write("limits: {endpoints_per_session: 1}\nlog: {level: debug}\nregions: [elsewhere]\n")
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if level.Level() != slog.LevelDebug {
		t.Errorf("the level is %v", level.Level())
	}
	one := link.BindRequest{URL: postern.URLRequest{Scheme: postern.HTTPS}}
	if _, err := client.Bind(t.Context(), one); !postern.HasCode(err, postern.CodeEndpointLimit) {
		t.Errorf("the new limit is not in force: %v", err)
	}
	if _, welcome := n.agent(link.Hello{Token: token}); welcome.Region != "local" {
		t.Errorf("the region, which needs a restart, is %q", welcome.Region)
	}

	f.write("limits: {endpoints_per_session: 100}\nlog:\n  level: shouting\n")
	err := n.Reload(t.Context())
	if err == nil || !strings.Contains(err.Error(), "postern.yml:6:10: log.level") {
		t.Errorf("a bad file: %v", err)
	}
	if _, err := client.Bind(t.Context(), one); !postern.HasCode(err, postern.CodeEndpointLimit) {
		t.Errorf("a bad file changed a limit: %v", err)
	}
	if status, body := n.get(visitor, first.PublicURL); status != http.StatusOK || body != "still here" {
		t.Errorf("after the reloads the visitor gets %d %q", status, body)
	}
}

// B5-29: the same for the control plane's keys: limits are in force at once, a wrong one
// is refused with its line and changes nothing, and what waits for a restart stays.
func TestReloadOfTheControlPlane(t *testing.T) {
	f := newFile(t, testConfig(t))
	f.write("limits: {requests_per_account: 100}\n")
	n := f.start(server.Options{})
	client, _ := n.agent(link.Hello{Token: postern.Secret(n.Keys().Authtoken)})
	bound := n.online(client, "https://", "still here")
	inForce := func(when string, want int64) {
		t.Helper()
		if u := n.Usage(); len(u) == 0 || u[0].Limits.RequestsPerMinute != want {
			t.Errorf("%s: %+v", when, u)
		}
		if status, body := n.get(n.Visitor(), bound.PublicURL); status != http.StatusOK || body != "still here" {
			t.Errorf("%s: the visitor gets %d %q", when, status, body)
		}
	}
	inForce("at first", 100)
	good := "limits: {requests_per_account: 50}\n"
	f.write(good)
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	inForce("after a change", 50)
	for bad, where := range map[string]string{
		"limits:\n  requests_per_account: -1\n":                                     "postern.yml:5:25: limits.requests_per_account",
		"limits:\n  requests_per_account: 7\n  bytes_per_credential: plenty\n":      "postern.yml:6:25: limits.bytes_per_credential",
		"limits:\n  requests_per_account: 7\n  api_requests: none\n":                "postern.yml:6:17: limits.api_requests",
		"limits: {requests_per_account: 7}\napi: {allowed_origins: [nobody]}\n":     "postern.yml:5:",
		"limits: {requests_per_account: 7}\nsealing: {key: short}\n":                "postern.yml:5:",
		"limits: {requests_per_account: 7, whatever: 1}\n":                          "postern.yml:4:",
		"# " + strings.Repeat("x", 2<<20) + "\nlimits: {requests_per_account: 7}\n": "larger than", // B5-30
	} {
		f.write(bad)
		if err := n.Reload(t.Context()); !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), where) {
			t.Errorf("%.80q: %v, want %s", bad, err, where)
		}
		inForce(where, 50)
	}
	f.write("limits: {requests_per_account: 60, api_requests: 1}\napi: {allowed_origins: ['https://console.example.org']}\n")
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	inForce("with keys that wait", 60)
}

// A file that is valid by itself is refused if the part of it that can take effect at
// once would be wrong without the part that waits for a restart.
func TestReloadOfHalfAChange(t *testing.T) {
	f := newFile(t, testConfig(t))
	both := "proxy_protocol: [http]\ntrusted_proxies: [127.0.0.1]\n"
	f.write(both)
	level := new(slog.LevelVar)
	n := f.start(server.Options{Level: level})
	f.write("log: {level: warn}\n")
	err := n.Reload(t.Context())
	if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), "trusted_proxies is empty") || !strings.Contains(err.Error(), "proxy_protocol cannot change before a restart") {
		t.Errorf("half a change: %v", err)
	}
	if level.Level() == slog.LevelWarn {
		t.Error("some of a refused file is in force")
	}
	f.write(both + "log: {level: warn}\n")
	if err := n.Reload(t.Context()); err != nil || level.Level() != slog.LevelWarn {
		t.Errorf("after that: %v, level %v", err, level.Level())
	}
}

// The file is watched, and SIGHUP asks for a look at once.
func TestReloadByItself(t *testing.T) {
	for name, nudge := range nudges() {
		t.Run(name, func(t *testing.T) {
			f := newFile(t, testConfig(t))
			level := new(slog.LevelVar)
			n := f.start(server.Options{Level: level})
			f.write("log: {level: warn}\n")
			if err := nudge(); err != nil {
				t.Fatal(err)
			}
			n.eventuallyLevel(level, slog.LevelWarn)
		})
	}
}

// A file that is looked at while somebody writes it, or that was left half written, is
// refused, and looked at again once it changes: whoever writes it need not ask twice.
func TestReloadOfAHalfWrittenFile(t *testing.T) {
	for name, nudge := range nudges() {
		t.Run(name, func(t *testing.T) {
			f := newFile(t, testConfig(t))
			c, err := f.load()
			if err != nil {
				t.Fatal(err)
			}
			level, loads := new(slog.LevelVar), make(chan error, 100)
			n := start(t, c, server.Options{Level: level, Load: func() (server.Config, error) {
				next, err := f.load()
				loads <- err
				return next, err
			}})
			f.write("log: {level: warn}\nlimits: {conn")
			if err := nudge(); err != nil {
				t.Fatal(err)
			}
			select {
			case err := <-loads:
				if !postern.HasCode(err, postern.CodeConfigInvalid) || level.Level() == slog.LevelWarn {
					t.Fatalf("half a file: %v, level %v", err, level.Level())
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the file is not looked at")
			}
			f.write("log: {level: warn}\nlimits: {connections: 40000}\n")
			n.eventuallyLevel(level, slog.LevelWarn)
		})
	}
}

// eventuallyLevel waits until a reload has set the level.
func (n *node) eventuallyLevel(level *slog.LevelVar, want slog.Level) {
	n.t.Helper()
	n.eventually("the change arrives", func() error {
		if got := level.Level(); got != want {
			return fmt.Errorf("the level is %v", got)
		}
		return nil
	})
}

func TestAccessLog(t *testing.T) {
	f := newFile(t, testConfig(t))
	log := filepath.Join(t.TempDir(), "access.log")
	f.write("access_log: " + log + "\n")
	n := f.start(server.Options{})
	client, _ := n.agent(link.Hello{Token: postern.Secret(n.Keys().Authtoken)})
	bound := n.online(client, "https://", "x")
	lines := func(path string) int {
		text, err := os.ReadFile(path)
		if err != nil {
			return -1
		}
		count := 0
		for line := range strings.Lines(string(text)) {
			if !json.Valid([]byte(line)) {
				t.Fatalf("not JSON: %s", line)
			}
			count++
		}
		return count
	}
	n.get(n.Visitor(), bound.PublicURL)
	n.eventually("a line", func() error { return want(lines(log), 1) })

	// Rotation: the file is renamed, the server told, and the next line is in a new one.
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.get(n.Visitor(), bound.PublicURL)
	n.eventually("a line in the new file", func() error { return want(lines(log), 1) })
	if err := want(lines(log+".1"), 1); err != nil {
		t.Errorf("the rotated file: %v", err)
	}
	f.write("access_log: off\n")
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.get(n.Visitor(), bound.PublicURL)
	if err := want(lines(log), 1); err != nil {
		t.Errorf("after it was switched off: %v", err)
	}
}

func want(got, want int) error {
	if got != want {
		return fmt.Errorf("%d lines, want %d", got, want)
	}
	return nil
}

// Certificates from files, renewed under the running server's feet.
func TestCertificateFiles(t *testing.T) {
	c := testConfig(t)
	dir := t.TempDir()
	pair := server.CertificateFiles{Certificate: filepath.Join(dir, "a.pem"), Key: filepath.Join(dir, "a.key")}
	c.TLS = server.TLS{Mode: server.ModeFiles, Certificates: []server.CertificateFiles{pair}}
	if _, err := server.New(c, server.Options{}); !postern.HasCode(err, postern.CodeFileUnreadable) || !strings.Contains(err.Error(), pair.Certificate) {
		t.Fatalf("without the files: %v", err)
	}
	writeCertificate(t, pair, 1)
	n := start(t, c, server.Options{})
	if n.CAFile() != "" || n.Keys().CAFile != "" {
		t.Error("a CA file although there is no local CA")
	}
	serial := func() int64 {
		config := &tls.Config{ServerName: "any." + domain, InsecureSkipVerify: true} //nolint:gosec // looks only
		conn, err := tls.Dial("tcp", n.HTTPSAddr().String(), config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		return conn.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	if got := serial(); got != 1 {
		t.Fatalf("serial %d", got)
	}
	writeCertificate(t, pair, 22222)
	n.eventually("the new certificate", func() error {
		if got := serial(); got != 22222 {
			return fmt.Errorf("serial %d", got)
		}
		return nil
	})
}

func writeCertificate(t *testing.T, pair server.CertificateFiles, serial int64) {
	t.Helper()
	chain, key := certify.New(t, "*."+domain, nil, certify.Serial(serial)).PEM(t)
	for path, text := range map[string]string{pair.Key: key, pair.Certificate: chain} {
		// In one step, as those who renew certificates do.
		if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

// A revoked credential's agents are cut off, in use or not.
func TestRevocation(t *testing.T) {
	n := start(t, testConfig(t), server.Options{})
	keys := n.Keys()
	credential, token, err := n.Service().CreateCredential(t.Context(), service.NewCredential{Account: keys.AccountID, Owner: keys.UserID})
	if err != nil {
		t.Fatal(err)
	}
	client, _ := n.agent(link.Hello{Token: token})
	if err := n.Service().RevokeCredential(t.Context(), credential.ID); err != nil {
		t.Fatal(err)
	}
	select {
	case <-client.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the session lives on")
	}
	if cause := client.Cause(); cause == nil || cause.Code != postern.CodeCredentialRevoked {
		t.Errorf("the agent was told %v", cause)
	}
	if _, _, err := n.tryAgent(link.Hello{Token: token}); err == nil {
		t.Error("the token is still good")
	}
}
