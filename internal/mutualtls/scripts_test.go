package mutualtls_test

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/mutualtls"
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

// prepare runs the script in a directory, and gives what reads its files.
func prepare(t *testing.T) (read func(string) string) {
	t.Helper()
	dir := t.TempDir()
	command := exec.CommandContext(t.Context(), "sh", "-c", script)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("openssl: %v\n%s", err, out)
	}
	return func(file string) string {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
}

// S1-46, S1-50, S1-51: who is vouched for is let in, by authorities of version 1 as well,
// and nobody else: in a handshake and when looked at again.
func TestWhatScriptsMake(t *testing.T) {
	read := prepare(t)
	authorities := read("one.pem") + read("three.pem") + read("plain.pem") + read("nosign.pem")
	now := time.Now()
	given, err := material.ReadAuthorities(material.Text{Name: "cas", Data: []byte(authorities + read("three.crl") + read("one.crl"))}, now)
	if err != nil {
		t.Fatal(err)
	}
	if versions := []int{given.Certificates[0].Version, given.Certificates[1].Version}; !slices.Equal(versions, []int{1, 3}) {
		t.Fatalf("the authorities are of versions %d", versions)
	}
	p, err := mutualtls.Compile(postern.MutualTLS{}, given)
	if err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct {
		sent   string
		at     time.Time
		reason mutualtls.Reason // "": is let in
		text   string
	}{
		{"of-one", now, "", ""},
		{"twin", now, "", ""},
		{"of-three", now, "", ""},
		{"below middle", now, "", ""},
		{"one", now, "", ""},
		{"plain", now, "", ""},
		{"below", now, mutualtls.Untrusted, "has signed"},
		{"of-other", now, mutualtls.Untrusted, "has signed"},
		{"other", now, mutualtls.Untrusted, "has signed"},
		{"of-plain", now, mutualtls.Untrusted, "has signed"},
		{"of-nosign", now, mutualtls.Untrusted, "has signed"},
		{"server", now, mutualtls.Invalid, "incompatible key usage"},
		{"old-server", now, mutualtls.Invalid, "incompatible key usage"},
		{"odd", now, mutualtls.Invalid, "unhandled critical extension"},
		{"revoked", now, mutualtls.Revoked, "was revoked at 20"},
		{"revoked-one", now, mutualtls.Revoked, "was revoked at 20"},
		{"of-three", now.AddDate(0, 6, 0), mutualtls.Expired, "expired"},
		{"of-one", now.AddDate(40, 0, 0), mutualtls.Expired, "expired"},
		{"of-one", now.AddDate(-1, 0, 0), mutualtls.Expired, "not yet valid"},
		{"plain", now.AddDate(40, 0, 0), mutualtls.Expired, "expired"},
		{"", now, mutualtls.Missing, "no certificate"},
	} {
		config := clientConfig()
		if names := strings.Fields(try.sent); len(names) > 0 {
			var chain strings.Builder
			for _, name := range names {
				chain.WriteString(read(name + ".pem"))
			}
			pair, err := tls.X509KeyPair([]byte(chain.String()), []byte(read(names[0]+".key")))
			if err != nil {
				t.Fatal(err)
			}
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
		}
		state, err := handshake(t, serverConfig(t, p, func() time.Time { return try.at }), config)
		for what, err := range map[string]error{"in a handshake": err, "again": p.Check(state, try.at)} {
			refusal := mutualtls.RefusalOf(err)
			if try.reason == "" && err != nil || try.reason != "" && (refusal == nil || refusal.Reason != try.reason || !strings.Contains(refusal.Error(), try.text)) {
				t.Errorf("%q at %v, %s: %v, want %q", try.sent, try.at, what, err, try.reason)
			}
		}
	}
}

// A subject is one line of a log, whoever wrote it.
func TestSubject(t *testing.T) {
	c := &x509.Certificate{}
	c.Subject.CommonName = "a\nb\x00" + strings.Repeat("c", 1000)
	if text := mutualtls.Subject(c); strings.ContainsAny(text, "\n\x00") || len(text) > 600 {
		t.Errorf("%q", text)
	}
}
