package authority_test

import (
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/authority"
)

const day = 24 * time.Hour

func newCA(t testing.TB, r authority.Root) *authority.Authority {
	t.Helper()
	if r.Layout == "" {
		r.Layout = authority.Tree
	}
	ca, err := authority.Init(filepath.Join(t.TempDir(), "ca"), r, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func server(t testing.TB, ca *authority.Authority, names ...string) authority.Issued {
	t.Helper()
	made, err := ca.Server(names, authority.Leaf{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func client(t testing.TB, ca *authority.Authority, name string) authority.Issued {
	t.Helper()
	made, err := ca.Client(name, "", authority.Leaf{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// openssl runs the real one.
func openssl(t testing.TB, args ...string) (string, error) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
	return string(out), err
}

func verifies(t testing.TB, args ...string) {
	t.Helper()
	if out, err := openssl(t, append([]string{"verify", "-x509_strict"}, args...)...); err != nil {
		t.Errorf("openssl verify %q: %v\n%s", args, err, out)
	}
}

// What is made is accepted by openssl at its strictest, for its purpose and no other, for
// every kind of key.
func TestOpenSSLVerifies(t *testing.T) {
	for _, kind := range authority.KeyTypes() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ca := newCA(t, authority.Root{Domains: []string{"customer1.example.com"}, Key: authority.KeyType(kind)})
			leaf := authority.Leaf{Key: authority.KeyType(kind)}
			s, err := ca.Server([]string{"*.customer1.example.com", "127.0.0.1"}, leaf)
			if err != nil {
				t.Fatal(err)
			}
			c, err := ca.Client("alice@example.com", "", leaf, nil)
			if err != nil {
				t.Fatal(err)
			}
			verifies(t, "-CAfile", ca.CertificateFile(), "-purpose", "sslserver", "-verify_hostname", "api.customer1.example.com", s.Certificate)
			verifies(t, "-CAfile", ca.CertificateFile(), "-purpose", "sslserver", "-verify_ip", "127.0.0.1", s.Certificate)
			verifies(t, "-CAfile", ca.CertificateFile(), "-purpose", "sslclient", "-verify_email", "alice@example.com", c.Certificate)
			for purpose, file := range map[string]string{"sslclient": s.Certificate, "sslserver": c.Certificate} {
				if out, err := openssl(t, "verify", "-CAfile", ca.CertificateFile(), "-purpose", purpose, file); err == nil {
					t.Errorf("%s is good for %s: %s", file, purpose, out)
				}
			}
			for _, path := range []string{s.Key, c.Key} {
				if out, err := openssl(t, "pkey", "-in", path, "-noout", "-check"); err != nil {
					t.Errorf("%s: %v\n%s", path, err, out)
				}
			}
		})
	}
}

func TestExtensions(t *testing.T) {
	ca := newCA(t, authority.Root{Name: "Acme CA", Domains: []string{"example.com", "192.0.2.7"}})
	root := ca.Certificate
	if !root.IsCA || !root.MaxPathLenZero || root.KeyUsage != x509.KeyUsageCertSign|x509.KeyUsageCRLSign || !root.PermittedDNSDomainsCritical ||
		root.Subject.String() != "CN=Acme CA" || len(root.SubjectKeyId) == 0 {
		t.Errorf("the CA: %+v", root)
	}
	for _, made := range []authority.Issued{server(t, ca, "www.example.com", "192.0.2.7"), client(t, ca, "laptop-7")} {
		c := made.Record.Certificate
		critical := map[string]bool{}
		for _, e := range c.Extensions {
			critical[e.Id.String()] = e.Critical
		}
		if c.Version != 3 || c.IsCA || !c.BasicConstraintsValid || !critical["2.5.29.19"] || !critical["2.5.29.15"] ||
			len(c.ExtKeyUsage) != 1 || len(c.SubjectKeyId) == 0 || !slices.Equal(c.AuthorityKeyId, root.SubjectKeyId) || c.SerialNumber.BitLen() < 100 {
			t.Errorf("%s: %+v", made.Names(), c)
		}
		if life := time.Until(c.NotAfter); life < 89*day || life > 90*day {
			t.Errorf("%s is good for %v", made.Names(), life)
		}
	}
	if got, want := authority.Permitted(ca.Certificate), []string{"localhost", "example.com", "127.0.0.0/8", "::1/128", "192.0.2.7/32"}; !slices.Equal(got, want) {
		t.Errorf("vouches for %q", got)
	}
}

// A CA that is for some names signs no others, and says which it does.
func TestConstraints(t *testing.T) {
	ca := newCA(t, authority.Root{Domains: []string{"*.example.com"}})
	for _, name := range []string{"example.org", "evilexample.com", "192.0.2.1", "*.example.org"} {
		_, err := ca.Server([]string{name}, authority.Leaf{})
		if !postern.HasCode(err, postern.CodeFlagInvalid) || !strings.Contains(err.Error(), "It vouches for localhost, example.com") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ca.Client("laptop.example.org", "", authority.Leaf{}, nil); !postern.HasCode(err, postern.CodeFlagInvalid) {
		t.Errorf("a client of another domain: %v", err)
	}
	server(t, ca, "deep.below.example.com", "localhost", "::1")
	if records, err := ca.Records(); len(records) != 1 || err != nil {
		t.Errorf("%d are listed, %v", len(records), err)
	}
}

// The trap of the guide's script: a leaf with its CA's subject passes for self-signed.
func TestSubjectsDiffer(t *testing.T) {
	ca := newCA(t, authority.Root{Name: "api.example.com"})
	made := server(t, ca, "api.example.com")
	verifies(t, "-CAfile", ca.CertificateFile(), "-verify_hostname", "api.example.com", made.Certificate)
	if _, err := ca.Client("api.example.com", "", authority.Leaf{}, nil); !postern.HasCode(err, postern.CodeFlagInvalid) {
		t.Error(err)
	}
}

func TestLives(t *testing.T) {
	ca := newCA(t, authority.Root{Life: 30 * day})
	made := server(t, ca, "example.com")
	if !made.Shortened || !made.NotAfter.Equal(ca.Certificate.NotAfter) {
		t.Errorf("it ends %v, the CA %v", made.NotAfter, ca.Certificate.NotAfter)
	}
	for _, life := range []time.Duration{-day, 826 * day} {
		if _, err := ca.Server([]string{"example.com"}, authority.Leaf{Life: life, Replace: true}); !postern.HasCode(err, postern.CodeFlagInvalid) {
			t.Errorf("%v: %v", life, err)
		}
	}
	if _, err := authority.Init(t.TempDir(), authority.Root{Life: 40 * 365 * day, Layout: authority.Tree}, time.Now); !postern.HasCode(err, postern.CodeFlagInvalid) {
		t.Error(err)
	}
	later := func() time.Time { return time.Now().Add(31 * day) }
	old, err := authority.Open(ca.Dir(), later)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Server([]string{"example.com"}, authority.Leaf{Replace: true}); !postern.HasCode(err, postern.CodeAuthorityUnusable) || !strings.Contains(err.Error(), "expired") {
		t.Errorf("a CA that has expired: %v", err)
	}
}

// Nothing is lost by repeating a command, and nobody else reads the keys.
func TestFiles(t *testing.T) {
	ca := newCA(t, authority.Root{})
	made := client(t, ca, "alice")
	before, err := os.ReadFile(made.Key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ca.Client("alice", "", authority.Leaf{}, nil); !postern.HasCode(err, postern.CodeConflict) || !strings.Contains(err.Error(), "--force") {
		t.Errorf("again: %v", err)
	}
	if _, err := authority.Init(ca.Dir(), authority.Root{Layout: authority.Guide, Replace: true}, time.Now); !postern.HasCode(err, postern.CodeConflict) {
		t.Errorf("another layout over it: %v", err)
	}
	if after, err := os.ReadFile(made.Key); string(after) != string(before) || err != nil {
		t.Error("the key was replaced")
	}
	if records, err := ca.Records(); len(records) != 1 || err != nil {
		t.Errorf("%d are listed, %v", len(records), err)
	}
	again, err := ca.Client("alice", "", authority.Leaf{Replace: true}, nil)
	if err != nil || again.Folder != made.Folder {
		t.Fatalf("%v", err)
	}
	if records, err := ca.Records(); len(records) != 2 || err != nil {
		t.Errorf("%d are listed, %v", len(records), err)
	}
	if runtime.GOOS != "windows" {
		for path, want := range map[string]os.FileMode{
			ca.Dir(): 0o700, ca.KeyFile(): 0o600, ca.CertificateFile(): 0o644, ca.ListFile(): 0o644,
			made.Folder: 0o700, made.Key: 0o600, made.Certificate: 0o644, made.Readme: 0o644,
		} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	}
	left, err := filepath.Glob(filepath.Join(ca.Dir(), ".new-*"))
	if len(left) > 0 || err != nil {
		t.Errorf("left behind: %q", left)
	}
}

// The files of ngrok's guide, all in one folder.
func TestGuideLayout(t *testing.T) {
	ca := newCA(t, authority.Root{Layout: authority.Guide})
	server(t, ca, "*.customer1.example.com")
	client(t, ca, "client")
	for _, name := range []string{"ca-crt.pem", "ca-key.pem", "server-crt.pem", "server-key.pem", "client-crt.pem", "client-key.pem", "client-README.txt", "crl.pem"} {
		if _, err := os.Stat(filepath.Join(ca.Dir(), name)); err != nil {
			t.Error(err)
		}
	}
	verifies(t, "-CAfile", filepath.Join(ca.Dir(), "ca-crt.pem"), filepath.Join(ca.Dir(), "server-crt.pem"))
	opened, err := authority.Open(ca.Dir(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opened.Server([]string{"other.example.com"}, authority.Leaf{}); !postern.HasCode(err, postern.CodeConflict) {
		t.Errorf("over the first: %v", err)
	}
	apart, err := opened.Server([]string{"other.example.com"}, authority.Leaf{Folder: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	verifies(t, "-CAfile", filepath.Join(apart.Folder, "ca-crt.pem"), apart.Certificate)
}

func TestOpen(t *testing.T) {
	if _, err := authority.Open(t.TempDir(), time.Now); !postern.HasCode(err, postern.CodeAuthorityUnusable) || !strings.Contains(err.Error(), "postern ca init") {
		t.Error(err)
	}
	ca := newCA(t, authority.Root{})
	leaf := server(t, ca, "example.com")
	other := newCA(t, authority.Root{})
	if err := os.Chmod(ca.KeyFile(), 0o640); err != nil {
		t.Fatal(err)
	}
	unusable := func(what, text string) {
		t.Helper()
		opened, err := authority.Open(ca.Dir(), time.Now)
		if err == nil {
			_, err = opened.Client("bob", "", authority.Leaf{}, nil)
		}
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if runtime.GOOS != "windows" {
		unusable("a key that others read", "chmod 600")
	}
	copyFile(t, other.KeyFile(), ca.KeyFile())
	unusable("another's key", "is not that of the certificate")
	copyFile(t, leaf.Certificate, ca.CertificateFile())
	unusable("a leaf as the CA", "is not the certificate of a CA")
	copyFile(t, other.KeyFile(), ca.CertificateFile())
	unusable("a key as the CA", "is a private key, expected a certificate")
}

func copyFile(t testing.TB, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err == nil {
		err = os.Chmod(to, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// A CA whose key its owner has encrypted.
func TestEncryptedKey(t *testing.T) {
	ca := newCA(t, authority.Root{})
	encrypted := filepath.Join(t.TempDir(), "ca.key")
	if out, err := openssl(t, "pkcs8", "-topk8", "-v2", "aes256", "-in", ca.KeyFile(), "-out", encrypted, "-passout", "pass:correct horse"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	copyFile(t, encrypted, ca.KeyFile())
	if _, err := ca.Client("bob", "", authority.Leaf{}, nil); !postern.HasCode(err, postern.CodePassphraseNeeded) {
		t.Errorf("without the passphrase: %v", err)
	}
	ca.Passphrase = "correct horse"
	client(t, ca, "bob")
}

func TestRequests(t *testing.T) {
	ca, site := newCA(t, authority.Root{}), t.TempDir()
	asked, err := authority.RequestServer(site, []string{"api.example.com", "192.0.2.1"}, "", authority.Tree, false)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := openssl(t, "req", "-in", asked.Request, "-noout", "-verify"); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	request, err := authority.ReadRequest(asked.Request)
	if err != nil {
		t.Fatal(err)
	}
	made, err := ca.Server(nil, authority.Leaf{Request: request, Folder: site})
	if err != nil {
		t.Fatal(err)
	}
	if made.Key != "" || !slices.Equal(made.DNSNames, []string{"api.example.com"}) || len(made.IPAddresses) != 1 {
		t.Errorf("%+v", made)
	}
	public, err := openssl(t, "x509", "-in", made.Certificate, "-noout", "-pubkey")
	if err != nil {
		t.Fatal(err)
	}
	if own, err := openssl(t, "pkey", "-in", asked.Key, "-pubout"); own != public || err != nil {
		t.Error("the certificate is for another key")
	}
	asked, err = authority.RequestClient(t.TempDir(), "laptop-7", authority.RSA2048, authority.Guide, false)
	if err != nil || filepath.Base(asked.Request) != "client-csr.pem" {
		t.Fatalf("%+v, %v", asked, err)
	}
	if request, err = authority.ReadRequest(asked.Request); err != nil {
		t.Fatal(err)
	}
	signed, err := ca.Client("laptop-7", "", authority.Leaf{Request: request}, nil)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(signed.Readme)
	if err != nil || !strings.Contains(string(page), "not in this folder") {
		t.Errorf("%s, %v", page, err)
	}
	if _, err := ca.Client("laptop-7", "", authority.Leaf{Request: request, Replace: true}, &authority.Archive{Passphrase: "long enough"}); !postern.HasCode(err, postern.CodeFlagInvalid) {
		t.Errorf("an archive without the key: %v", err)
	}
}

// Of what a request asks for only key and names are taken: not to be a CA, for one.
func TestRequestsAskForTooMuch(t *testing.T) {
	dir := t.TempDir()
	csr, key := filepath.Join(dir, "r.csr"), filepath.Join(dir, "r.key")
	out, err := openssl(t, "req", "-new", "-newkey", "rsa:2048", "-noenc", "-keyout", key, "-out", csr, "-subj", "/O=Acme/CN=www.example.com",
		"-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=keyCertSign")
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	request, err := authority.ReadRequest(csr)
	if err != nil {
		t.Fatal(err)
	}
	made, err := newCA(t, authority.Root{}).Server(nil, authority.Leaf{Request: request})
	if err != nil {
		t.Fatal(err)
	}
	if made.IsCA || made.KeyUsage&x509.KeyUsageCertSign != 0 || made.Subject.String() != "CN=www.example.com" || !slices.Equal(made.DNSNames, []string{"www.example.com"}) {
		t.Errorf("%+v", made.Record.Certificate)
	}
	short := filepath.Join(dir, "short.csr")
	if out, err := openssl(t, "req", "-new", "-newkey", "rsa:1024", "-noenc", "-keyout", key, "-out", short, "-subj", "/CN=www.example.com"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if request, err = authority.ReadRequest(short); err == nil {
		_, err = newCA(t, authority.Root{}).Server(nil, authority.Leaf{Request: request})
	}
	if err == nil || !strings.Contains(err.Error(), "1024 bits") {
		t.Errorf("a short key: %v", err)
	}
}
