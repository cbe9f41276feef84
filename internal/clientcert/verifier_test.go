package clientcert_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/clientcert"
)

// script makes authorities and clients as people's scripts do. "one" is of version 1, and
// so are its clients; "three" is of version 3; "plain" is no authority at all.
const script = `set -e
key() { openssl ecparam -name prime256v1 -genkey -noout -out $1.key; }
old() { # old AUTHORITY: self-signed, of version 1
  key $1
  openssl req -new -key $1.key -subj "/CN=$1" -out $1.csr
  openssl x509 -req -in $1.csr -signkey $1.key -days 9999 -out $1.pem 2>/dev/null
}
new() { # new AUTHORITY EXTENSIONS
  key $1
  printf '[req]\ndistinguished_name=d\n[d]\n[e]\n%b\n' "$2" > $1.cnf
  openssl req -x509 -new -key $1.key -subj "/CN=$1" -days 9999 -config $1.cnf -extensions e -out $1.pem
}
client() { # client NAME AUTHORITY DAYS EXTENSIONS [SUBJECT]
  key $1
  printf '%b\n' "$4" > $1.ext
  openssl req -new -key $1.key -subj "${5:-/CN=$1}" -out $1.csr
  openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days $3 ${4:+-extfile $1.ext} -out $1.pem 2>/dev/null
}
revoke() { # revoke NAME AUTHORITY
  printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s.db\ndefault_md=sha256\ndefault_crl_days=30\ncrlnumber=%s.number\ncrl_extensions=v2\n[v2]\nauthorityKeyIdentifier=issuer:always\n' $2 $2 > $2.ca
  echo 01 > $2.number
  : > $2.db
  openssl ca -config $2.ca -revoke $1.pem -keyfile $2.key -cert $2.pem 2>/dev/null
  openssl ca -config $2.ca -gencrl -keyfile $2.key -cert $2.pem -out $2.crl 2>/dev/null
}
old one
old other
new three 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign'
new nosign 'basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign'
new plain 'basicConstraints=critical,CA:FALSE'
client of-one one 9999 ''
client twin one 9999 '' /CN=one
client of-other other 9999 ''
client of-three three 90 'extendedKeyUsage=clientAuth'
client revoked three 90 ''
client server three 90 'extendedKeyUsage=serverAuth'
client old-server one 90 'extendedKeyUsage=serverAuth'
client of-plain plain 90 ''
client of-nosign nosign 90 ''
client middle three 90 'basicConstraints=critical,CA:TRUE'
client below middle 90 ''
client odd one 90 '1.2.3.4=critical,ASN1:NULL'
client revoked-one one 90 ''
revoke revoked three
revoke revoked-one one
`

func prepare(t *testing.T) (read func(string) *x509.Certificate, list func(string) *x509.RevocationList) {
	t.Helper()
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), "sh", "-c", script)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	block := func(file string) []byte {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := pem.Decode(text[strings.Index(string(text), "-----BEGIN"):])
		return b.Bytes
	}
	read = func(name string) *x509.Certificate {
		c, err := x509.ParseCertificate(block(name + ".pem"))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return read, func(name string) *x509.RevocationList {
		l, err := x509.ParseRevocationList(block(name + ".crl"))
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
}

// S1-46, S1-50, S1-51: who is vouched for is let in, by authorities of version 1 as well,
// and nobody else.
func TestVerify(t *testing.T) {
	read, list := prepare(t)
	if read("one").Version != 1 || read("three").Version != 3 {
		t.Fatalf("the authorities are of versions %d and %d", read("one").Version, read("three").Version)
	}
	var authorities []*x509.Certificate
	for _, name := range []string{"one", "three", "plain", "nosign"} {
		authorities = append(authorities, read(name))
	}
	v := clientcert.New(authorities, []*x509.RevocationList{list("three"), list("one")})
	now := time.Now()
	for _, try := range []struct {
		sent   string
		at     time.Time
		reason string // "": is let in
	}{
		{"of-one", now, ""},
		{"twin", now, ""},
		{"of-three", now, ""},
		{"below middle", now, ""},
		{"one", now, ""},
		{"plain", now, ""},
		{"below", now, "unknown authority"},
		{"of-other", now, "unknown authority"},
		{"other", now, "unknown authority"},
		{"of-plain", now, "unknown authority"},
		{"of-nosign", now, "unknown authority"},
		{"server", now, "incompatible key usage"},
		{"old-server", now, "clientAuth"},
		{"odd", now, "unhandled critical extension"},
		{"revoked", now, "revoked"},
		{"revoked-one", now, "revoked"},
		{"of-three", now.AddDate(0, 6, 0), "expired"},
		{"of-one", now.AddDate(40, 0, 0), "expired"},
		{"of-one", now.AddDate(-1, 0, 0), "not valid before"},
		{"plain", now.AddDate(40, 0, 0), "expired"},
		{"", now, "no certificate"},
	} {
		var sent []*x509.Certificate
		for name := range strings.FieldsSeq(try.sent) {
			sent = append(sent, read(name))
		}
		err := v.Verify(sent, try.at)
		if try.reason == "" && err != nil || try.reason != "" && (err == nil || !strings.Contains(err.Error(), try.reason)) {
			t.Errorf("%q at %v: %v, want %q", try.sent, try.at, err, try.reason)
		}
	}
}

// A subject is one line of a log, whoever wrote it.
func TestSubject(t *testing.T) {
	c := &x509.Certificate{}
	c.Subject.CommonName = "a\nb\x00" + strings.Repeat("c", 1000)
	if text := clientcert.Subject(c); strings.ContainsAny(text, "\n\x00") || len(text) > 600 {
		t.Errorf("%q", text)
	}
}
