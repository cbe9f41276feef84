package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/pki"
)

const month = 30 * 24 * time.Hour

func pool(certs ...*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, cert := range certs {
		p.AddCert(cert)
	}
	return p
}

// given are the certificates that clients are given to trust.
func given(t *testing.T, ca *pki.LocalCA) (certs []*x509.Certificate) {
	t.Helper()
	rest, err := os.ReadFile(ca.RootFile())
	if err != nil {
		t.Fatal(err)
	}
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return certs
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		certs = append(certs, cert)
	}
}

// handshake is that of a real client.
func handshake(ca *pki.LocalCA, trust *x509.CertPool, name string, alpn ...string) error {
	a, b := testkit.Pipe()
	defer a.Close()
	defer b.Close()
	served := make(chan error, 1)
	go func() {
		served <- tls.Server(b, &tls.Config{GetCertificate: ca.GetCertificate, NextProtos: alpn}).Handshake()
	}()
	client := tls.Client(a, &tls.Config{ServerName: name, RootCAs: trust, NextProtos: alpn})
	if err := client.Handshake(); err != nil {
		return err
	}
	return <-served
}

// clients checks who of those that trust something is served, in all kinds of handshakes.
func clients(t *testing.T, when string, ca *pki.LocalCA, good, bad map[string]*x509.CertPool) {
	t.Helper()
	for _, name := range []string{"app.example.com", "x.apps.example.net", "127.0.0.1", "192.0.2.10"} {
		for _, alpn := range [][]string{nil, {"postern/1"}} {
			for who, trust := range good {
				if err := handshake(ca, trust, name, alpn...); err != nil {
					t.Errorf("%s: who trusts %s is not served %s %v: %v", when, who, name, alpn, err)
				}
			}
			for who, trust := range bad {
				if err := handshake(ca, trust, name, alpn...); !errors.As(err, new(x509.UnknownAuthorityError)) {
					t.Errorf("%s: who trusts %s is served %s %v: %v", when, who, name, alpn, err)
				}
			}
		}
	}
}

type trusted = map[string]*x509.CertPool

func TestRotationOverlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := config(t.TempDir())
		ca := open(t, c)
		first := ca.Root()
		clients(t, "before", ca, trusted{"the first": pool(first)}, nil)
		begun := time.Now()
		r, err := ca.Rotate(begun.Add(month))
		if err != nil {
			t.Fatal(err)
		}
		second := r.Next
		if second.Equal(first) || !r.Root.Equal(first) || !ca.Newest().Equal(second) || r.SwitchAt.Sub(begun) > month {
			t.Errorf("rotation %+v", r)
		}
		if second.Subject.String() == first.Subject.String() {
			t.Error("both roots have one name")
		}
		if certs := given(t, ca); len(certs) != 2 || !certs[0].Equal(first) || !certs[1].Equal(second) {
			t.Errorf("clients are given %d certificates", len(certs))
		}
		all := trusted{"the first": pool(first), "the second": pool(second), "both": pool(first, second)}
		clients(t, "during the overlap", ca, all, nil)

		// A restart in between changes nothing, nor does the clock until it is time.
		ca = open(t, c)
		if !ca.Root().Equal(first) || !ca.Rotation().Next.Equal(second) || !ca.Rotation().SwitchAt.Equal(r.SwitchAt) {
			t.Errorf("after a restart %+v", ca.Rotation())
		}
		time.Sleep(month - time.Minute)
		if advanced, err := ca.Advance(); advanced || err != nil {
			t.Errorf("too early: %t, %v", advanced, err)
		}
		clients(t, "at the end of the overlap", ca, all, nil)
		time.Sleep(time.Minute)
		if advanced, err := ca.Advance(); !advanced || err != nil {
			t.Errorf("in time: %t, %v", advanced, err)
		}
		if advanced, err := ca.Advance(); advanced || err != nil {
			t.Errorf("again: %t, %v", advanced, err)
		}
		delete(all, "the first")
		clients(t, "after the overlap", ca, all, trusted{"the first": pool(first)})
		if certs := given(t, ca); len(certs) != 1 || !certs[0].Equal(second) || ca.Rotation().Next != nil {
			t.Errorf("clients are given %d certificates", len(certs))
		}
		clients(t, "after a restart", open(t, c), all, trusted{"the first": pool(first)})

		// The next rotation is like the first one. A server that was down when it was time
		// has the new root when it starts.
		r, err = ca.Rotate(time.Now().Add(month))
		if err != nil {
			t.Fatal(err)
		}
		clients(t, "the second time", ca, trusted{"the second": pool(second), "the third": pool(r.Next)}, trusted{"the first": pool(first)})
		time.Sleep(2 * month)
		clients(t, "the third root", open(t, c), trusted{"the third": pool(r.Next)}, trusted{"the second": pool(second)})
	})
}

// Without an overlap, and for one that was announced, the new root takes over at once.
func TestRotationAtOnce(t *testing.T) {
	c := config(t.TempDir())
	ca := open(t, c)
	first := ca.Root()
	r, err := ca.Rotate(time.Now())
	if err != nil || r.Next != nil || r.Root.Equal(first) {
		t.Fatalf("%+v, %v", r, err)
	}
	second := ca.Root()
	clients(t, "at once", ca, trusted{"the second": pool(second)}, trusted{"the first": pool(first)})
	announced, err := ca.Rotate(time.Now().Add(month))
	if err != nil {
		t.Fatal(err)
	}
	_, err = ca.Rotate(time.Now().Add(month))
	if !postern.HasCode(err, postern.CodeConflict) || !strings.Contains(err.Error(), "under way") {
		t.Errorf("another one: %v", err)
	}
	r, err = ca.Rotate(time.Now())
	if err != nil || !r.Root.Equal(announced.Next) {
		t.Errorf("%+v, %v", r, err)
	}
	clients(t, "the announced one", ca, trusted{"the third": pool(r.Root)}, trusted{"the second": pool(second)})
	if _, err := ca.Rotate(r.Root.NotAfter.Add(time.Second)); !postern.HasCode(err, postern.CodeFieldInvalid) {
		t.Errorf("after the root's end: %v", err)
	}
	for file, want := range map[string]os.FileMode{"ca.key": 0o600, "ca.pem": 0o644} {
		if info, err := os.Stat(filepath.Join(c.Dir, file)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	files, err := filepath.Glob(filepath.Join(c.Dir, "*"))
	if err != nil || len(files) != 4 {
		t.Errorf("left in the directory: %v, %v", files, err)
	}
}

// A crash between any two steps: the next start has a root that works, the older one
// until the change was noted and the new one once it takes over.
func TestRotationAfterACrash(t *testing.T) {
	move := func(t *testing.T, dir, from, to string) {
		t.Helper()
		text, err := os.ReadFile(filepath.Join(dir, from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, to), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	note := func(t *testing.T, dir, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "rotation.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(t *testing.T, dir string, names ...string) {
		t.Helper()
		for _, name := range names {
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	switching := fmt.Sprintf(`{"switch_at":%q,"switching":true}`, time.Now().Add(month).Format(time.RFC3339)) // and the clock was set back
	for name, test := range map[string]struct {
		leave func(t *testing.T, dir string)
		takes bool
	}{
		"a key that nobody noted":  {func(t *testing.T, dir string) { remove(t, dir, "rotation.json", "next-ca.pem") }, false},
		"a root that nobody noted": {func(t *testing.T, dir string) { remove(t, dir, "rotation.json") }, false},
		"noted to switch":          {func(t *testing.T, dir string) { note(t, dir, switching) }, true},
		"the key is replaced": {func(t *testing.T, dir string) {
			note(t, dir, switching)
			move(t, dir, "next-ca.key", "ca.key")
		}, true},
		"both are replaced": {func(t *testing.T, dir string) {
			note(t, dir, switching)
			move(t, dir, "next-ca.key", "ca.key")
			move(t, dir, "next-ca.pem", "ca.pem")
		}, true},
		"the next root's files are left": {func(t *testing.T, dir string) {
			move(t, dir, "next-ca.key", "ca.key")
			move(t, dir, "next-ca.pem", "ca.pem")
			remove(t, dir, "rotation.json")
		}, true},
		"the bundle was not written": {func(t *testing.T, dir string) {
			text, err := os.ReadFile(filepath.Join(dir, "ca.pem"))
			if err != nil {
				t.Fatal(err)
			}
			block, _ := pem.Decode(text)
			if err := os.WriteFile(filepath.Join(dir, "ca.pem"), pem.EncodeToMemory(block), 0o600); err != nil {
				t.Fatal(err)
			}
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			c := config(t.TempDir())
			before := open(t, c)
			r, err := before.Rotate(time.Now().Add(month))
			if err != nil {
				t.Fatal(err)
			}
			test.leave(t, c.Dir)
			ca := open(t, c)
			want := r.Root
			if test.takes {
				want = r.Next
			}
			if !ca.Root().Equal(want) {
				t.Errorf("signs %s", ca.Root().Subject)
			}
			clients(t, "after the crash", ca, trusted{"its root": pool(ca.Root()), "the file": pool(given(t, ca)...)}, nil)
			if next := ca.Rotation().Next; next != nil && len(given(t, ca)) != 2 {
				t.Error("clients are not given the next root")
			}
			if _, err := ca.Rotate(time.Now()); err != nil {
				t.Errorf("a rotation after the crash: %v", err)
			}
			clients(t, "after another rotation", ca, trusted{"its root": pool(ca.Root())}, trusted{"the first": pool(r.Root)})
		})
	}
}

// What is lost or was changed by hand is refused, and nothing is made in its place:
// clients may trust it already.
func TestRotationRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		spoil func(dir string) error
		code  postern.Code
	}{
		"no key":        {func(dir string) error { return os.Remove(filepath.Join(dir, "next-ca.key")) }, postern.CodeFileUnreadable},
		"no root":       {func(dir string) error { return os.Remove(filepath.Join(dir, "next-ca.pem")) }, postern.CodeFileUnreadable},
		"no note":       {func(dir string) error { return os.WriteFile(filepath.Join(dir, "rotation.json"), []byte("{}"), 0o600) }, postern.CodeFileUnreadable},
		"a broken note": {func(dir string) error { return os.WriteFile(filepath.Join(dir, "rotation.json"), []byte("{"), 0o600) }, postern.CodeFileUnreadable},
		"an open key":   {func(dir string) error { return os.Chmod(filepath.Join(dir, "next-ca.key"), 0o644) }, postern.CodeConfigInvalid},
	} {
		c := config(t.TempDir())
		if _, err := open(t, c).Rotate(time.Now().Add(month)); err != nil {
			t.Fatal(err)
		}
		if err := test.spoil(c.Dir); err != nil {
			t.Fatal(err)
		}
		if _, err := pki.OpenLocalCA(c); !postern.HasCode(err, test.code) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Neither the next root nor its cross certificate vouches for anybody else's names.
func TestNextRootIsConstrained(t *testing.T) {
	c := config(t.TempDir())
	ca := open(t, c)
	r, err := ca.Rotate(time.Now().Add(month))
	if err != nil {
		t.Fatal(err)
	}
	if !r.Next.PermittedDNSDomainsCritical || len(r.Next.PermittedIPRanges) != 4 || r.Next.MaxPathLen != 1 {
		t.Errorf("the next root: %+v", r.Next)
	}
	cross, err := x509.ParseCertificate(ask(t, ca, "app.example.com").Certificate[1])
	if err != nil || !cross.PermittedDNSDomainsCritical || !cross.MaxPathLenZero || cross.MaxPathLen != 0 || cross.NotAfter.After(r.SwitchAt.Add(8*24*time.Hour)) {
		t.Fatalf("the cross certificate: %+v, %v", cross, err)
	}
	stolen := readKey(t, filepath.Join(c.Dir, "ca.key"))
	between := pool(cross)
	for host, good := range map[string]bool{"google.com": false, "8.8.8.8": false, "x.example.com": true} {
		forged := forge(t, r.Root, stolen, host)
		_, err := forged.Verify(x509.VerifyOptions{Roots: pool(r.Next), Intermediates: between, DNSName: host})
		if (err == nil) != good {
			t.Errorf("%s: %v", host, err)
		}
	}
	if cert := ask(t, ca, "www.customer.org"); len(cert.Certificate) != 1 {
		t.Error("a custom name's certificate has the cross certificate")
	}
}

// OpenSSL, too, is content with either root.
func TestOpenSSLAgreesDuringRotation(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Log("no openssl here; crypto/x509 has been asked above")
		return
	}
	ca := open(t, config(t.TempDir()))
	r, err := ca.Rotate(time.Now().Add(month))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name string, der ...[]byte) string {
		var text []byte
		for _, d := range der {
			text = append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d})...)
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert := ask(t, ca, "app.example.com")
	leaf, cross := write("leaf.pem", cert.Certificate[0]), write("cross.pem", cert.Certificate[1])
	for name, roots := range map[string]string{"the first": write("first.pem", r.Root.Raw), "the second": write("second.pem", r.Next.Raw), "both": ca.RootFile()} {
		out, err := exec.CommandContext(t.Context(), openssl, "verify", "-purpose", "sslserver", "-x509_strict", "-CAfile", roots,
			"-untrusted", cross, "-verify_hostname", "app.example.com", leaf).CombinedOutput()
		if err != nil {
			t.Errorf("%s: openssl says %s", name, out)
		}
	}
}
