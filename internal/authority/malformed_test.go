package authority_test

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/authority"
)

// paper is what people have: a CA, leaves, keys and requests, all of them good.
type paper struct{ ca, leaf, key, csr, crl, p12 string }

func newPaper(t testing.TB) paper {
	t.Helper()
	ca := newCA(t, authority.Root{})
	made, err := ca.Client("alice", "", authority.Leaf{}, &authority.Archive{Passphrase: "long enough"})
	if err != nil {
		t.Fatal(err)
	}
	asked, err := authority.RequestServer(t.TempDir(), []string{"api.example.com"}, "", authority.Tree, false)
	if err != nil {
		t.Fatal(err)
	}
	read := func(path string) string {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	return paper{read(ca.CertificateFile()), read(made.Certificate), read(made.Key), read(asked.Request), read(ca.ListFile()), read(made.Archive)}
}

func der(text string) string {
	block, _ := pem.Decode([]byte(text))
	return string(block.Bytes)
}

func block(kind, content string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)}))
}

func utf16LE(text string) string {
	out := []byte{0xff, 0xfe}
	for _, unit := range utf16.Encode([]rune(text)) {
		out = append(out, byte(unit), byte(unit>>8))
	}
	return string(out)
}

// lines drops, or keeps, some lines of a text.
func lines(text string, keep func(i, n int) bool) string {
	all := strings.SplitAfter(strings.TrimRight(text, "\n"), "\n")
	var kept strings.Builder
	for i, line := range all {
		if keep(i, len(all)) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// flipped changes one bit in the middle, as a bad disk or a careful hand does.
func flipped(text string) string {
	bytes := []byte(text)
	bytes[len(bytes)-8] ^= 1
	return string(bytes)
}

// What people give in place of a certificate or a signing request: each is told apart, or
// understood without a doubt. fault "" means that it is read.
func TestMalformed(t *testing.T) {
	p := newPaper(t)
	encrypted := block("ENCRYPTED PRIVATE KEY", der(p.key))
	first, last := func(i, _ int) bool { return i > 0 }, func(i, n int) bool { return i < n-1 }
	inside := func(i, n int) bool { return i > 0 && i < n-1 }
	for _, c := range []struct{ what, text, certificate, request string }{
		{"a certificate", p.leaf, "", "has a certificate, at line 1, expected a certificate signing request"},
		{"a CA's", p.ca, "", "has a certificate"},
		{"a request", p.csr, "signing request (which one sends to a CA", ""},
		{"a key", p.key, "is a private key, expected a certificate", "has a private key, at line 1, expected"},
		{"an encrypted key", encrypted, "is a private key", "has a private key"},
		{"a revocation list", p.crl, "revocation list, at line 1, expected a certificate", "revocation list"},
		{"a PKCS #12 file", p.p12, "is a PKCS #12 file", "is a PKCS #12 file"},
		{"nothing", "", "is empty", "is empty"},
		{"blanks", " \n\t\n", "is empty", "is empty"},
		{"words", "my certificate\n", "is not PEM text", "is not PEM text"},
		{"a page", "<!doctype html><title>404</title>", "HTML", "HTML"},
		{"JSON", `{"certificate": "…"}`, "JSON", "JSON"},
		{"an SSH key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me", "for SSH", "for SSH"},
		{"an OpenSSH key", block("OPENSSH PRIVATE KEY", "openssh-key-v1"), "private key", "private key"},
		{"a public key", block("PUBLIC KEY", "x"), "a public key", "a public key"},
		{"PKCS #7", block("PKCS7", "x"), "PKCS #7", "PKCS #7"},
		{"DER", der(p.leaf), "", "has a certificate"},
		{"a request in DER", der(p.csr), "signing request", ""},
		{"half of DER", der(p.leaf)[:200], "binary and damaged", "binary and damaged"},
		{"base64 alone", lines(p.leaf, inside), "without the lines -----BEGIN", "without the lines"},
		{"base64 of PEM", base64.StdEncoding.EncodeToString([]byte(p.leaf)), "base64 of PEM", "base64 of PEM"},
		{"no first line", lines(p.leaf, first), "and not its beginning", "and not its beginning"},
		{"no last line", lines(p.csr, last), "has no end", "has no end"},
		{"four hyphens", strings.Replace(p.leaf, "-----BEGIN", "----BEGIN", 1), "and not its beginning", "and not its beginning"},
		{"long dashes", strings.ReplaceAll(p.leaf, "-----", "———"), "word processor", "word processor"},
		{"ends as another", strings.Replace(p.leaf, "END CERTIFICATE", "END PRIVATE KEY", 1), "ends as something else", "ends as something else"},
		{"damaged base64", strings.Replace(p.leaf, "MII", "M!I", 1), "is not base64", "is not base64"},
		{"an empty block", "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "is damaged", "is damaged"},
		{"no certificate inside", block("CERTIFICATE", "\x30\x03\x02\x01\x01"), "cannot be read", "has a certificate"},
		{"no request inside", block("CERTIFICATE REQUEST", "\x30\x03\x02\x01\x01"), "signing request", "cannot be read"},
		{"a changed request", block("CERTIFICATE REQUEST", flipped(der(p.csr))), "signing request", "was changed after it was made"},
		{"more behind", block("CERTIFICATE", der(p.leaf)+"x"), "trailing data", "has a certificate"},
		{"a certificate called a request", block("CERTIFICATE REQUEST", der(p.leaf)), "signing request", "cannot be read"},
		{"a request called a certificate", block("CERTIFICATE", der(p.csr)), "cannot be read", "has a certificate"},
		{"a key called a certificate", block("CERTIFICATE", der(p.key)), "cannot be read", "has a certificate"},
		{"two requests", p.csr + p.csr, "signing request", "has 2 certificate signing requests"},
		{"a request and its key", p.csr + p.key, "signing request", "has a private key, at line"},
		{"a certificate and its key", p.leaf + p.key, "", "has a"},
		{"a chain", p.leaf + p.ca, "", "has a certificate"},
		{"comments", "Bag Attributes\n    friendlyName: alice\n" + p.leaf, "", "has a certificate"},
		{"an old request", strings.ReplaceAll(p.csr, "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"), "signing request", ""},
		{"Windows's line ends", strings.ReplaceAll(p.csr, "\n", "\r\n"), "signing request", ""},
		{"a byte-order mark", "\ufeff" + p.leaf, "", "has a certificate"},
		{"UTF-16", utf16LE(p.csr), "signing request", ""},
		{"one line", strings.ReplaceAll(p.leaf, "\n", `\n`), "", "has a certificate"},
		{"indented", "  " + strings.ReplaceAll(p.csr, "\n", "\n  "), "signing request", ""},
		{"far too much", strings.Repeat("x", 1<<20), "bytes, at most", "bytes, at most"},
		{"zeros", string(make([]byte, 4096)), "not PEM", "not PEM"},
	} {
		path := filepath.Join(t.TempDir(), "given")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, asCertificate := authority.ReadCertificates(path)
		_, asRequest := authority.ReadRequest(path)
		for kind, got := range map[string]struct {
			err  error
			want string
		}{"certificate": {asCertificate, c.certificate}, "request": {asRequest, c.request}} {
			switch {
			case got.want == "" && got.err != nil:
				t.Errorf("%s as a %s: %v", c.what, kind, got.err)
			case got.want != "" && (!postern.HasCode(got.err, postern.CodeMaterialInvalid) || !strings.Contains(got.err.Error(), got.want) || !strings.HasPrefix(got.err.Error(), path)):
				t.Errorf("%s as a %s: %v; want %q", c.what, kind, got.err, got.want)
			case got.err != nil && strings.Contains(got.err.Error(), strings.TrimSpace(lines(p.key, inside))[:20]):
				t.Errorf("%s as a %s: the message quotes the key", c.what, kind)
			}
		}
	}
}

// The same in the CA's own directory, which people edit: no command goes on with what is
// not right, and nothing is written.
func TestMalformedDirectory(t *testing.T) {
	p := newPaper(t)
	for _, c := range []struct{ what, file, text, fault string }{
		{"no key", "ca.key", "", "is empty"},
		{"a certificate as the key", "ca.key", p.ca, "is a certificate, expected its private key"},
		{"a request as the key", "ca.key", p.csr, "expected a private key"},
		{"two keys", "ca.key", p.key + p.key, "has 2 private keys"},
		{"half a key", "ca.key", p.key[:80], "has no end"},
		{"another's key", "ca.key", p.key, "is not that of the certificate"},
		{"an encrypted key", "ca.key", block("ENCRYPTED PRIVATE KEY", der(p.key)), "--key-passphrase-file"},
		{"another CA", "ca.pem", p.ca, "is not that of the certificate"},
		{"a leaf as the CA", "ca.pem", p.leaf, "is not the certificate of a CA"},
		{"no list", "crl.pem", "", "has no X509 CRL"},
		{"another's list", "crl.pem", p.crl, "was not signed by this CA"},
		{"half a list", "crl.pem", block("X509 CRL", der(p.crl)[:60]), "cannot be read"},
	} {
		ca := newCA(t, authority.Root{})
		made := client(t, ca, "bob")
		if err := os.WriteFile(filepath.Join(ca.Dir(), c.file), []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		opened, err := authority.Open(ca.Dir(), time.Now)
		if err == nil {
			_, err = opened.Revoke([]authority.Record{made.Record}, authority.Unspecified)
		}
		if err == nil || !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s: %v; want %q", c.what, err, c.fault)
		}
		if text, err := os.ReadFile(filepath.Join(ca.Dir(), c.file)); err != nil || !bytes.Equal(text, []byte(c.text)) {
			t.Errorf("%s: the file was changed", c.what)
		}
	}
}
