package sshca_test

import (
	"bytes"
	"crypto"
	//lint:ignore SA1019 keys that nobody takes any more
	"crypto/dsa"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/sshca"
)

func refused(t *testing.T, what string, err error, code postern.Code) {
	t.Helper()
	if !postern.HasCode(err, code) {
		t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func generate(t testing.TB, p sshca.Parameters) crypto.Signer {
	t.Helper()
	wanted, err := p.Normalize()
	if err != nil {
		t.Fatal(err)
	}
	key, err := wanted.Generate()
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func authorized(t testing.TB, key crypto.Signer) string {
	t.Helper()
	text, err := sshca.AuthorizedKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func public(t testing.TB, text string) ssh.PublicKey {
	t.Helper()
	key, _, err := sshca.PublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestParameters(t *testing.T) {
	for wanted, want := range map[sshca.Parameters]sshca.Parameters{
		{}: {Type: "ed25519"}, {Type: "ed25519"}: {Type: "ed25519"},
		{Type: "rsa"}: {Type: "rsa", Size: 4096}, {Type: "rsa", Size: 2048}: {Type: "rsa", Size: 2048},
		{Type: "ecdsa"}: {Type: "ecdsa", Curve: "p256"}, {Type: "ecdsa", Curve: "P-384"}: {Type: "ecdsa", Curve: "p384"}, {Type: "ecdsa", Curve: "nistp521"}: {Type: "ecdsa", Curve: "p521"},
	} {
		if got, err := wanted.Normalize(); err != nil || got != want {
			t.Errorf("%+v: %+v, %v", wanted, got, err)
		}
	}
	for wanted, code := range map[sshca.Parameters]postern.Code{
		{Type: "dsa"}: postern.CodeSSHKeyType, {Type: "RSA"}: postern.CodeSSHKeyType,
		{Type: "rsa", Size: 1024}: postern.CodeSSHKeySize, {Type: "rsa", Size: 3072}: postern.CodeSSHKeySize, {Type: "rsa", Size: -1}: postern.CodeSSHKeySize,
		{Size: 2048}: postern.CodeSSHKeySizeUnused, {Type: "ecdsa", Size: 256}: postern.CodeSSHKeySizeUnused,
		{Type: "ecdsa", Curve: "p224"}: postern.CodeSSHCurve, {Type: "rsa", Curve: "p256"}: postern.CodeSSHCurveUnused, {Curve: "p256"}: postern.CodeSSHCurveUnused,
	} {
		_, err := wanted.Normalize()
		refused(t, wanted.Type+" "+wanted.Curve, err, code)
	}
}

func TestGenerate(t *testing.T) {
	for parameters, want := range map[sshca.Parameters]func(crypto.Signer) bool{
		{}: func(k crypto.Signer) bool { _, is := k.(ed25519.PrivateKey); return is },
		{Type: "ecdsa", Curve: "p384"}: func(k crypto.Signer) bool {
			key, is := k.(*ecdsa.PrivateKey)
			return is && key.Curve == elliptic.P384()
		},
		{Type: "rsa", Size: 2048}: func(k crypto.Signer) bool { key, is := k.(*rsa.PrivateKey); return is && key.N.BitLen() == 2048 },
	} {
		if key := generate(t, parameters); !want(key) {
			t.Errorf("%+v: %T", parameters, key)
		}
	}
}

func TestPublicKey(t *testing.T) {
	plain := authorized(t, generate(t, sshca.Parameters{}))
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		plain: "ed25519", plain + " me@laptop\n": "ed25519", "  " + plain: "ed25519",
		authorized(t, generate(t, sshca.Parameters{Type: "rsa", Size: 2048})): "rsa", authorized(t, generate(t, sshca.Parameters{Type: "ecdsa"})): "ecdsa",
	} {
		if _, kind, err := sshca.PublicKey(text); err != nil || kind != want {
			t.Errorf("%q: %q, %v", text, kind, err)
		}
	}
	certificate, err := sshca.Certificate{For: sshca.Users, Key: public(t, plain), ValidUntil: time.Unix(1, 0)}.Sign(generate(t, sshca.Parameters{}))
	if err != nil {
		t.Fatal(err)
	}
	for text, code := range map[string]postern.Code{
		"": postern.CodeSSHPublicKeyMissing, " \n": postern.CodeSSHPublicKeyMissing,
		"hello": postern.CodeSSHPublicKey, plain[:40]: postern.CodeSSHPublicKey, strings.Repeat("x", 4097): postern.CodeSSHPublicKey,
		plain + "\n" + plain:                                      postern.CodeSSHPublicKey,
		`from="10.0.0.1" ` + plain:                                postern.CodeSSHPublicKey,
		"-----BEGIN RSA PRIVATE KEY---":                           postern.CodeSSHPublicKey,
		"ssh-dss " + base64.StdEncoding.EncodeToString(dsaKey(t)): postern.CodeSSHKeyUncertifiable,
		authorized(t, small):                                      postern.CodeSSHKeySize,
		certificate:                                               postern.CodeSSHKeyUncertifiable,
	} {
		_, _, err := sshca.PublicKey(text)
		refused(t, text, err, code)
	}
}

// dsaKey is a DSA key as SSH writes it (RFC 4253 §6.6).
func dsaKey(t *testing.T) []byte {
	t.Helper()
	var key dsa.PrivateKey
	if err := dsa.GenerateParameters(&key.Parameters, rand.Reader, dsa.L1024N160); err != nil {
		t.Fatal(err)
	}
	if err := dsa.GenerateKey(&key, rand.Reader); err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	for _, part := range [][]byte{[]byte("ssh-dss"), key.P.Bytes(), key.Q.Bytes(), key.G.Bytes(), key.Y.Bytes()} {
		if part[0] >= 0x80 {
			part = append([]byte{0}, part...)
		}
		_ = binary.Write(&text, binary.BigEndian, uint32(len(part)))
		text.Write(part)
	}
	return text.Bytes()
}

func TestCheck(t *testing.T) {
	now := time.Unix(1_900_000_000, 0)
	good := sshca.Certificate{For: sshca.Users, ValidAfter: now, ValidUntil: now.Add(time.Hour), Principals: []string{"root", "müller"},
		CriticalOptions: map[string]string{"force-command": "ls -l"}, Extensions: map[string]string{"permit-pty": "", "name@example.com": "x"}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for what, c := range map[string]struct {
		code postern.Code
		edit func(*sshca.Certificate)
	}{
		"no time":            {postern.CodeSSHUserDuration, func(c *sshca.Certificate) { c.ValidUntil = c.ValidAfter }},
		"no time, of a host": {postern.CodeSSHHostDuration, func(c *sshca.Certificate) { c.For, c.ValidUntil = sshca.Hosts, now.Add(-1) }},
		"before there was":   {postern.CodeSSHUserDuration, func(c *sshca.Certificate) { c.ValidAfter = time.Unix(-5, 0) }},
		"an empty principal": {postern.CodeFieldInvalid, func(c *sshca.Certificate) { c.Principals = []string{""} }},
		"a principal's NUL":  {postern.CodeFieldInvalid, func(c *sshca.Certificate) { c.Principals = []string{"a\x00b"} }},
		"many principals":    {postern.CodeFieldInvalid, func(c *sshca.Certificate) { c.Principals = make([]string, 257) }},
		"an option's name":   {postern.CodeFieldInvalid, func(c *sshca.Certificate) { c.Extensions = map[string]string{"permit pty": ""} }},
		"no option's name":   {postern.CodeFieldInvalid, func(c *sshca.Certificate) { c.CriticalOptions = map[string]string{"": ""} }},
		"a long command": {postern.CodeFieldInvalid, func(c *sshca.Certificate) {
			c.CriticalOptions = map[string]string{"force-command": strings.Repeat("x", 4097)}
		}},
	} {
		bad := good
		c.edit(&bad)
		refused(t, what, bad.Check(), c.code)
	}
}

// OpenSSH's own reader prints what a certificate says, and verifies it against nothing;
// x/crypto/ssh verifies it as a server or client would.
func TestSign(t *testing.T) {
	keys := []sshca.Parameters{{}, {Type: "ecdsa", Curve: "p521"}, {Type: "rsa", Size: 2048}}
	now := time.Now().Truncate(time.Second)
	for _, by := range keys {
		authority := generate(t, by)
		for _, of := range keys {
			c := sshca.Certificate{Key: public(t, authorized(t, generate(t, of))), ID: "x_1", ValidAfter: now, ValidUntil: now.Add(time.Hour)}
			host, user := c, c
			host.For, host.Principals = sshca.Hosts, []string{"db.example.com", "192.0.2.1"}
			user.For, user.Principals = sshca.Users, []string{"alice"}
			user.CriticalOptions, user.Extensions = map[string]string{"source-address": "192.0.2.0/24"}, map[string]string{"permit-pty": "", "permit-user-rc": ""}
			verifies(t, authority, user, "alice", "bob", "permit-pty", "permit-user-rc", "source-address 192.0.2.0/24", "user certificate")
			verifies(t, authority, host, "db.example.com", "web.example.com", "192.0.2.1", "host certificate")
		}
	}
}

func verifies(t *testing.T, authority crypto.Signer, c sshca.Certificate, principal, other string, says ...string) {
	t.Helper()
	text, err := c.Sign(authority)
	if err != nil {
		t.Fatal(err)
	}
	parsed, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	signed, is := parsed.(*ssh.Certificate)
	if !is {
		t.Fatalf("%T", parsed)
	}
	root := public(t, authorized(t, authority))
	if !bytes.Equal(signed.SignatureKey.Marshal(), root.Marshal()) || signed.CertType != uint32(c.For) {
		t.Error("signed by another key, or of another kind")
	}
	checker := ssh.CertChecker{SupportedCriticalOptions: []string{"source-address"}}
	if err := checker.CheckCert(principal, signed); err != nil {
		t.Error(err)
	}
	if checker.CheckCert(other, signed) == nil {
		t.Errorf("%s is let in with the certificate of %s", other, principal)
	}
	for _, later := range []time.Duration{-time.Second, time.Hour + time.Second} {
		checker.Clock = func() time.Time { return c.ValidAfter.Add(later) }
		if checker.CheckCert(principal, signed) == nil {
			t.Errorf("valid %s after it becomes valid", later)
		}
	}
	file := filepath.Join(t.TempDir(), "id-cert.pub")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	printed, err := exec.CommandContext(t.Context(), "ssh-keygen", "-L", "-f", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, printed)
	}
	for _, line := range append(says, principal, `Key ID: "x_1"`, ssh.FingerprintSHA256(root), c.ValidUntil.Local().Format("2006-01-02T15:04:05")) {
		if !strings.Contains(string(printed), line) {
			t.Errorf("ssh-keygen does not say %q:\n%s", line, printed)
		}
	}
}

// FuzzPublicKey: what is accepted is one key, of a kind that certificates are for, and
// can be signed.
func FuzzPublicKey(f *testing.F) {
	authority := generate(f, sshca.Parameters{})
	for _, p := range []sshca.Parameters{{}, {Type: "ecdsa"}, {Type: "rsa", Size: 2048}} {
		f.Add(authorized(f, generate(f, p)) + " comment")
	}
	f.Add(`no-pty,command="x" ssh-ed25519 AAAA`)
	f.Fuzz(func(t *testing.T, text string) {
		key, kind, err := sshca.PublicKey(text)
		if err != nil {
			if postern.AsError(err).Code.Entry().Status != 400 {
				t.Fatal(err)
			}
			return
		}
		if kind != "rsa" && kind != "ecdsa" && kind != "ed25519" {
			t.Fatalf("kind %q", kind)
		}
		if _, err := (sshca.Certificate{For: sshca.Users, Key: key, ValidUntil: time.Unix(9, 0)}).Sign(authority); err != nil {
			t.Fatal(err)
		}
	})
}
