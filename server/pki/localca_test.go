package pki_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/pki"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

func config(dir string) pki.LocalConfig {
	return pki.LocalConfig{
		Dir:       dir,
		Domains:   []postern.Hostname{"example.com", "apps.example.net"},
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10"), netip.IPv4Unspecified()},
		Custom:    func(h postern.Hostname) bool { return h == "www.customer.org" },
		Logger:    slog.New(slog.DiscardHandler),
	}
}

func open(t testing.TB, c pki.LocalConfig) *pki.LocalCA {
	t.Helper()
	ca, err := pki.OpenLocalCA(c)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func ask(t testing.TB, ca *pki.LocalCA, name string) *tls.Certificate {
	t.Helper()
	cert, err := ca.GetCertificate(&tls.ClientHelloInfo{ServerName: name})
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	return cert
}

func trusting(ca *pki.LocalCA) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Root())
	return pool
}

func TestCertificatesVerify(t *testing.T) {
	ca := open(t, config(t.TempDir()))
	roots := trusting(ca)
	long := strings.Repeat("long-label.", 10) + "example.com"
	for _, name := range []string{"example.com", "app.example.com", "a.b.example.com", "x.apps.example.net", "localhost", "app.localhost", long} {
		cert := ask(t, ca, name)
		if cert == nil {
			t.Fatalf("no certificate for %s", name)
		}
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := cert.Leaf.VerifyHostname("other." + name); err == nil {
			t.Errorf("the certificate for %s is good for names below it", name)
		}
		if ask(t, ca, strings.ToUpper(name)) != cert {
			t.Errorf("%s: not kept", name)
		}
		if key := cert.PrivateKey.(*ecdsa.PrivateKey); !key.PublicKey.Equal(cert.Leaf.PublicKey) {
			t.Errorf("%s: the key is another's", name)
		}
	}
}

// Agents dial addresses too, and then name nobody.
func TestDefaultCertificate(t *testing.T) {
	ca := open(t, config(t.TempDir()))
	cert := ask(t, ca, "")
	for _, host := range []string{"127.0.0.1", "::1", "192.0.2.10", "2001:db8::10", "connect.example.com", "localhost"} {
		if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: trusting(ca), DNSName: host}); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"0.0.0.0", "192.0.2.11", "app.example.com"} {
		if cert.Leaf.VerifyHostname(host) == nil {
			t.Errorf("the default certificate is good for %s", host)
		}
	}
}

// B3 (Caddy CVE-2018-19148): an unknown name gets an alert, never a certificate.
func TestForeignNamesGetNothing(t *testing.T) {
	ca := open(t, config(t.TempDir()))
	for _, name := range []string{"example.org", "notexample.com", "com", "example.com.evil.org", "*.example.com", "a..example.com", "[::1]", strings.Repeat("a", 300)} {
		if cert := ask(t, ca, name); cert != nil {
			t.Errorf("%q has a certificate for %v", name, cert.Leaf.DNSNames)
		}
	}
	a, b := testkit.Pipe()
	defer a.Close()
	defer b.Close()
	go func() { _ = tls.Server(b, &tls.Config{GetCertificate: ca.GetCertificate}).Handshake() }()
	err := tls.Client(a, &tls.Config{ServerName: "example.org", RootCAs: trusting(ca)}).Handshake()
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Fatalf("got %v", err)
	}
}

func TestCustomNamesHaveAnUntrustedCA(t *testing.T) {
	ca := open(t, config(t.TempDir()))
	cert := ask(t, ca, "www.customer.org")
	if cert == nil || cert.Leaf.VerifyHostname("www.customer.org") != nil {
		t.Fatalf("no certificate for a custom name: %v", cert)
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: trusting(ca)}); err == nil {
		t.Fatal("the trusted root vouches for a custom name")
	}
}

// The root's key, if stolen, makes no good certificate for anybody else.
func TestRootIsConstrained(t *testing.T) {
	c := config(t.TempDir())
	ca := open(t, c)
	root := ca.Root()
	if !root.PermittedDNSDomainsCritical || !root.IsCA || !root.MaxPathLenZero || len(root.PermittedIPRanges) != 4 {
		t.Fatalf("root: critical %t, CA %t, path length 0 %t, ranges %v",
			root.PermittedDNSDomainsCritical, root.IsCA, root.MaxPathLenZero, root.PermittedIPRanges)
	}
	stolen := readKey(t, filepath.Join(c.Dir, "ca.key"))
	for _, host := range []string{"google.com", "192.0.2.11", "8.8.8.8", "2001:db8::11"} {
		forged := forge(t, root, stolen, host)
		if _, err := forged.Verify(x509.VerifyOptions{Roots: trusting(ca), DNSName: host}); err == nil {
			t.Errorf("a forged certificate for %s is good", host)
		}
	}
	if good := forge(t, root, stolen, "x.example.com"); good.VerifyHostname("x.example.com") != nil {
		t.Error("the forgery itself is broken: the test shows nothing")
	}
}

// What OpenSSL thinks of it counts for curl, Python, Ruby and most of the rest.
func TestOpenSSLAgrees(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("no openssl here; crypto/x509 has been asked above")
		return
	}
	c := config(t.TempDir())
	ca := open(t, c)
	verify := func(cert *x509.Certificate, how ...string) (string, bool) {
		file := filepath.Join(t.TempDir(), "leaf.pem")
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		args := append([]string{"verify", "-purpose", "sslserver", "-x509_strict", "-CAfile", ca.RootFile()}, how...)
		out, err := exec.CommandContext(t.Context(), openssl, append(args, file)...).CombinedOutput()
		return string(out), err == nil
	}
	for name, how := range map[string][]string{
		"app.example.com": {"-verify_hostname", "app.example.com"},
		"localhost":       {"-verify_hostname", "localhost"},
		"":                {"-verify_ip", "192.0.2.10"},
	} {
		if out, ok := verify(ask(t, ca, name).Leaf, how...); !ok {
			t.Errorf("%q: openssl says %s", name, out)
		}
	}
	stolen := readKey(t, filepath.Join(c.Dir, "ca.key"))
	for _, host := range []string{"google.com", "8.8.8.8"} {
		if out, ok := verify(forge(t, ca.Root(), stolen, host)); ok || !strings.Contains(out, "subtree violation") {
			t.Errorf("forged %s: openssl says %s", host, out)
		}
	}
}

func TestRootIsMadeOnce(t *testing.T) {
	c := config(t.TempDir())
	first := open(t, c)
	cert := ask(t, first, "app.example.com")
	again := open(t, c)
	if !first.Root().Equal(again.Root()) {
		t.Fatal("the second opening made another root")
	}
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: trusting(again)}); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]os.FileMode{"ca.key": 0o600, "custom-ca.key": 0o600, "ca.pem": 0o644} {
		info, err := os.Stat(filepath.Join(c.Dir, file))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	if first.RootFile() != filepath.Join(c.Dir, "ca.pem") {
		t.Errorf("root file %s", first.RootFile())
	}
	// A crash between the two files leaves a key without certificate.
	if err := os.Remove(first.RootFile()); err != nil {
		t.Fatal(err)
	}
	if ask(t, open(t, c), "app.example.com") == nil {
		t.Fatal("no certificate after recovery")
	}
	// An address that came later is left out; the rest stays good.
	c.Addresses = append(c.Addresses, netip.MustParseAddr("198.51.100.1"))
	moved := open(t, c)
	if _, err := ask(t, moved, "").Leaf.Verify(x509.VerifyOptions{Roots: trusting(moved), DNSName: "127.0.0.1"}); err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	other := config(t.TempDir())
	open(t, other)
	cases := map[string]struct {
		spoil   func(c *pki.LocalConfig) error
		message string
	}{
		"another domain": {func(c *pki.LocalConfig) error { c.Domains = []postern.Hostname{"other.org"}; return nil }, "other.org is not among"},
		"open key":       {func(c *pki.LocalConfig) error { return os.Chmod(filepath.Join(c.Dir, "ca.key"), 0o644) }, "can be read by others"},
		"no key":         {func(c *pki.LocalConfig) error { return os.Remove(filepath.Join(c.Dir, "ca.key")) }, "is missing"},
		"another's key": {func(c *pki.LocalConfig) error {
			return os.Rename(filepath.Join(other.Dir, "ca.key"), filepath.Join(c.Dir, "ca.key"))
		}, "does not belong"},
		"cert is a key": {func(c *pki.LocalConfig) error {
			return os.WriteFile(filepath.Join(c.Dir, "ca.pem"), []byte("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n"), 0o600)
		}, "holds no CERTIFICATE"},
		"empty key":          {func(c *pki.LocalConfig) error { return os.WriteFile(filepath.Join(c.Dir, "ca.key"), nil, 0o600) }, "holds no PRIVATE KEY"},
		"no domain":          {func(c *pki.LocalConfig) error { c.Domains = nil; return nil }, "at least one domain"},
		"directory's a file": {func(c *pki.LocalConfig) error { c.Dir = filepath.Join(c.Dir, "ca.pem"); return nil }, "cannot be made"},
	}
	for what, cs := range cases {
		c := config(t.TempDir())
		open(t, c)
		if err := cs.spoil(&c); err != nil {
			t.Fatal(err)
		}
		if _, err := pki.OpenLocalCA(c); !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), cs.message) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// B5-23: certificates are renewed at two thirds of their life, in memory.
func TestCertificatesAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := open(t, config(t.TempDir()))
		first := ask(t, ca, "app.example.com")
		if life := time.Until(first.Leaf.NotAfter); life < 90*24*time.Hour-time.Minute || life > 90*24*time.Hour {
			t.Errorf("lives %s", life)
		}
		if !first.Leaf.NotBefore.Before(time.Now().Add(-23 * time.Hour)) {
			t.Errorf("not backdated: %s", first.Leaf.NotBefore)
		}
		time.Sleep(59 * 24 * time.Hour)
		if ask(t, ca, "app.example.com") != first {
			t.Error("renewed too early")
		}
		time.Sleep(2 * 24 * time.Hour)
		second := ask(t, ca, "app.example.com")
		if second == first || time.Until(second.Leaf.NotAfter) < 89*24*time.Hour {
			t.Error("not renewed")
		}
		time.Sleep(10 * 365 * 24 * time.Hour)
		if _, err := pki.OpenLocalCA(config(filepath.Dir(ca.RootFile()))); err == nil || !strings.Contains(err.Error(), "expired") {
			t.Errorf("an expired root: %v", err)
		}
	})
}

// B5-16: certificates are judged anew when the clock is set, by a day too far or back:
// who asks gets one that is good by the new time, of the same CA.
func TestClockIsSet(t *testing.T) {
	const day = 24 * time.Hour
	for _, jump := range []time.Duration{day, -day, 100 * day, -3 * day} {
		off := time.Duration(0)
		c := config(t.TempDir())
		c.Now = func() time.Time { return time.Now().Add(off) }
		ca := open(t, c)
		first := ask(t, ca, "app.example.com")
		for _, off = range []time.Duration{jump, 0} { // and right again
			cert := ask(t, ca, "app.example.com")
			if now := c.Now(); now.Before(cert.Leaf.NotBefore) || now.Add(leastLeft).After(cert.Leaf.NotAfter) {
				t.Errorf("%s: the certificate is good from %s to %s", jump, cert.Leaf.NotBefore, cert.Leaf.NotAfter)
			}
			if jump.Abs() <= day { // no further back than certificates are dated back
				verify(t, ca, cert, c.Now())
			}
		}
		if jump == day && ask(t, ca, "app.example.com") != first {
			t.Error("a day made all certificates new")
		}
	}
}

const leastLeft = 30 * 24 * time.Hour

func verify(t *testing.T, ca *pki.LocalCA, cert *tls.Certificate, at time.Time) {
	t.Helper()
	if _, err := cert.Leaf.Verify(x509.VerifyOptions{Roots: trusting(ca), DNSName: "app.example.com", CurrentTime: at}); err != nil {
		t.Errorf("at %s: %v", at, err)
	}
}

func TestManyNamesAtOnce(t *testing.T) {
	ca := open(t, config(t.TempDir()))
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := range 1100 { // more in all than are kept
				name := fmt.Sprintf("n%d-%d.example.com", g, i)
				if cert, err := ca.GetCertificate(&tls.ClientHelloInfo{ServerName: name}); err != nil || cert.Leaf.DNSNames[0] != name {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
	all.Wait()
	if ask(t, ca, "n0-0.example.com").Leaf.VerifyHostname("n0-0.example.com") != nil {
		t.Error("a name that was dropped gets no certificate again")
	}
}

func TestHandshakes(t *testing.T) {
	ca := open(t, config(t.TempDir()))
	for _, name := range []string{"app.example.com", "127.0.0.1", "192.0.2.10"} {
		a, b := testkit.Pipe()
		server := tls.Server(b, &tls.Config{GetCertificate: ca.GetCertificate})
		done := make(chan error, 1)
		go func() { done <- server.Handshake() }()
		if err := tls.Client(a, &tls.Config{ServerName: name, RootCAs: trusting(ca)}).Handshake(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := <-done; err != nil {
			t.Errorf("%s, server: %v", name, err)
		}
		_, _ = a.Close(), b.Close()
	}
}

func BenchmarkCertificate(b *testing.B) {
	ca := open(b, config(b.TempDir()))
	b.Run("kept", func(b *testing.B) {
		for b.Loop() {
			ask(b, ca, "app.example.com")
		}
	})
	b.Run("new", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			ask(b, ca, fmt.Sprintf("n%d.example.com", i))
		}
	})
}
