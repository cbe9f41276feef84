package truststore_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"crypto/tls"

	"github.com/postern-dev/postern/internal/authority"
	"github.com/postern-dev/postern/internal/truststore"
)

// nss runs NSS's real certutil.
func nss(t testing.TB, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "certutil", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("certutil %q: %v\n%s", args, err, out)
	}
	return string(out)
}

func user(home string) truststore.Machine {
	return truststore.Machine{OS: "linux", Home: home, Look: exec.LookPath, Run: truststore.Execute, Records: filepath.Join(home, "records")}
}

// Real databases: Chromium's, which is made first, and a profile of Firefox, in which a
// certificate of somebody else's stays.
func TestDatabases(t *testing.T) {
	home, ca, other := t.TempDir(), newCA(t), newCA(t)
	profile := filepath.Join(home, ".mozilla/firefox/abcd1234.default release")
	if err := os.MkdirAll(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	nss(t, "-N", "-d", "sql:"+profile, "--empty-password")
	nss(t, "-A", "-d", "sql:"+profile, "-t", "C,,", "-n", "Somebody else's", "-a", "-i", other.CertificateFile())
	m := user(home)
	expect := func(what string, outcomes []truststore.Outcome, want string) {
		t.Helper()
		if got := states(outcomes); got != want {
			t.Errorf("%s: %s", what, got)
		}
	}
	expect("dry run", m.Trust(t.Context(), ca.Certificate, truststore.Browsers, true), "would be added; would be added")
	if _, err := os.Stat(filepath.Join(home, ".pki")); err == nil {
		t.Error("a dry run has made a database")
	}
	expect("trust", m.Trust(t.Context(), ca.Certificate, truststore.Browsers, false), "added; added")
	expect("again", m.Trust(t.Context(), ca.Certificate, truststore.Browsers, false), "already there; already there")
	for _, folder := range []string{profile, filepath.Join(home, ".pki/nssdb")} {
		if list := nss(t, "-L", "-d", "sql:"+folder); !strings.Contains(list, truststore.Nickname(ca.Certificate)) || !strings.Contains(list, "C,,") {
			t.Errorf("%s: %s", folder, list)
		}
	}
	expect("somebody else's", m.Trust(t.Context(), other.Certificate, truststore.Browsers, false)[1:],
		"failed: the certificate is in the store under another name, which somebody else gave it; it was left there")
	expect("untrust somebody else's", m.Untrust(t.Context(), other.Certificate, truststore.Browsers, false), "removed; not there")
	expect("untrust", m.Untrust(t.Context(), ca.Certificate, truststore.Browsers, false), "removed; removed")
	expect("untrust again", m.Untrust(t.Context(), ca.Certificate, truststore.Browsers, false), "not there; not there")
	list := nss(t, "-L", "-d", "sql:"+profile)
	if strings.Contains(list, "Postern") || !strings.Contains(list, "Somebody else's") {
		t.Errorf("left: %s", list)
	}
	if err := os.WriteFile(filepath.Join(profile, "cert9.db"), []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := states(m.Trust(t.Context(), ca.Certificate, truststore.Browsers, false)); !strings.HasPrefix(got, "added; failed: certutil: ") {
		t.Errorf("a damaged database: %s", got)
	}
}

// Chromium opens the page of a server of the CA, which it does not before and after.
func TestChromium(t *testing.T) {
	home, ca := t.TempDir(), newCA(t)
	made, err := ca.Server([]string{"*.trusted.example"}, authority.Leaf{})
	if err != nil {
		t.Fatal(err)
	}
	identity, err := tls.LoadX509KeyPair(made.Certificate, made.Key)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte("<!doctype html><h1>No warning</h1>")) //nolint:errcheck // the browser judges
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{identity}}
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	opens := func(when string) bool {
		t.Helper()
		_, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
		browser := exec.CommandContext(t.Context(), "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
			"--user-data-dir="+filepath.Join(home, when), "--host-resolver-rules=MAP * 127.0.0.1", "--dump-dom", "https://app.trusted.example:"+port+"/")
		browser.Env = append(os.Environ(), "HOME="+home)
		out, err := browser.Output()
		if err != nil {
			t.Fatalf("chromium: %v", err)
		}
		return strings.Contains(string(out), "No warning")
	}
	if opens("before") {
		t.Error("it is trusted before")
	}
	m := user(home)
	if got := states(m.Trust(context.Background(), ca.Certificate, truststore.Browsers, false)); got != "added" {
		t.Fatal(got)
	}
	if !opens("after") {
		t.Error("it is not trusted")
	}
	if got := states(m.Untrust(context.Background(), ca.Certificate, truststore.Browsers, false)); got != "removed" {
		t.Fatal(got)
	}
	if opens("at the end") {
		t.Error("it is still trusted")
	}
}
