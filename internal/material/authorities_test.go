package material_test

import (
	"bytes"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"maps"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/testkit/certify"
)

func utf16Text(text string, order binary.AppendByteOrder) string {
	data := order.AppendUint16(nil, 0xfeff)
	for _, unit := range utf16.Encode([]rune(text)) {
		data = order.AppendUint16(data, unit)
	}
	return string(data)
}

// What editors, shells and forms do to a text does no harm.
func TestAuthoritiesAreRead(t *testing.T) {
	one, two := issue(t, "One", certify.P256(t), nil, certify.Authority), issue(t, "Two", certify.RSA(t, 2048), nil, certify.Authority)
	good := certify.Chain(one, two)
	for what, given := range map[string]string{
		"as openssl writes it": good, "Windows lines": strings.ReplaceAll(good, "\n", "\r\n"), "old Mac lines": strings.ReplaceAll(good, "\n", "\r"),
		"a byte-order mark": "\ufeff" + good, "UTF-16, as PowerShell writes": utf16Text(good, binary.LittleEndian), "UTF-16, big end first": utf16Text(good, binary.BigEndian),
		"no last newline": strings.TrimSpace(good), "indented, as in YAML": "    " + strings.ReplaceAll(good, "\n", "\n    "), "blanks at line ends": strings.ReplaceAll(good, "\n", " \t\n"),
		"in one line": strings.ReplaceAll(good, "\n", " "), "newlines as two characters": strings.ReplaceAll(good, "\n", `\n`), "those of Windows": strings.ReplaceAll(good, "\n", `\r\n`),
		"empty lines within": strings.ReplaceAll(good, "\n", "\n\n"), "Bag Attributes": "Bag Attributes\n    localKeyID: 33 97\nsubject=CN = x\n" + good,
		"comments": "# Root: One\n=====\n" + good + "\nthe end", "openssl's text": "Certificate:\n    Data:\n        Version: 3\n" + good,
		"one twice": good + certify.Chain(one), "X509 CERTIFICATE": strings.ReplaceAll(good, " CERTIFICATE", " X509 CERTIFICATE"),
		"with parameters": certify.Block("EC PARAMETERS", []byte{5, 0}) + good,
	} {
		a, err := material.ReadAuthorities(text("cas", given), now)
		if err != nil || len(a.Certificates) != 2 || !a.Certificates[0].Equal(one.Certificate) || !a.Certificates[1].Equal(two.Certificate) || len(a.Warnings) > 0 {
			t.Errorf("%s: %v, %+v", what, err, a)
			continue
		}
		if string(a.PEM()) != good {
			t.Errorf("%s: written as %s", what, a.PEM())
		}
	}
	if a, err := material.ReadAuthorities(text("cas", string(one.Raw)), now); err != nil || string(a.PEM()) != certify.Chain(one) {
		t.Errorf("DER: %v", err)
	}
	if a, err := material.ReadAuthorities(text("cas", file(t, "trusted.pem")), now); err != nil || string(a.PEM()) != file(t, "cert.pem") {
		t.Errorf("openssl's trusted certificate: %v", err)
	}
	if _, err := material.ReadAuthorities(text("cas", file(t, "bags.pem")), now); err == nil || !strings.Contains(err.Error(), "private key") {
		t.Errorf("a PKCS #12 file's text with its key: %v", err)
	}
}

// S1-45 and its relatives: each mistake is named, and what to do about it. Nothing of the
// text is quoted.
func TestAuthoritiesAreRefused(t *testing.T) {
	root := issue(t, "Root", certify.P256(t), nil, certify.Authority)
	stranger := issue(t, "Root", certify.P256(t), nil, certify.Authority)
	good, key := certify.Chain(root), certify.Key(t, root.Key)
	many := strings.Builder{}
	for range material.MostAuthorities + 1 {
		many.WriteString(certify.Chain(issue(t, "Many", root.Key, nil, certify.Authority)))
	}
	for what, c := range map[string]struct{ text, says string }{
		"nothing":                    {"", "cas is empty"},
		"blanks":                     {" \r\n\t", "is empty"},
		"a word":                     {"hunter2", "is not PEM text"},
		"too long":                   {strings.Repeat("x", material.MostBytes+1), "at most 131072"},
		"the CA's key":               {key, "is a private key, expected a CA certificate"},
		"the guide's ca-key.pem":     {file(t, "guide/ca-key.pem"), "is a private key, expected a CA certificate"},
		"with the key":               {good + key, "private key, at line"},
		"with the key before":        {key + good, "private key, at line 1 beside its certificates"},
		"an encrypted key":           {file(t, "aes256.pem"), "is a private key"},
		"an old encrypted key":       {file(t, "traditional.pem"), "is a private key"},
		"a key in DER":               {derOf(t, key), "is a private key"},
		"a request":                  {certify.Block("CERTIFICATE REQUEST", root.Raw), "a certificate signing request"},
		"the guide's request":        {file(t, "guide/server-csr.pem"), "a certificate signing request"},
		"an old request":             {certify.Block("NEW CERTIFICATE REQUEST", root.Raw), "a certificate signing request"},
		"a public key":               {file(t, "public.pem"), "a public key, at line 1, expected a CA certificate"},
		"an RSA public key":          {certify.Block("RSA PUBLIC KEY", root.Raw), "a public key"},
		"an OpenSSH key":             {certify.Block("OPENSSH PRIVATE KEY", root.Raw), "is a private key"},
		"an OpenPGP key":             {certify.Block("PGP PUBLIC KEY BLOCK", root.Raw), "an OpenPGP key"},
		"another kind":               {certify.Block("SESSION", root.Raw), `the kind "SESSION"`},
		"a PKCS #7 block":            {certify.Block("PKCS7", root.Raw), "openssl pkcs7"},
		"a PKCS #7 file":             {file(t, "chain.p7b"), "is a PKCS #7 file"},
		"a PKCS #12 file":            {file(t, "bundle.p12"), "is a PKCS #12 file"},
		"a Java key store":           {"\xfe\xed\xfe\xed\x00\x00\x00\x02", "is a Java key store"},
		"DER cut off":                {string(root.Raw[:100]), "binary and damaged"},
		"DER of something":           {"\x30\x03\x02\x01\x05", "neither a certificate, a key nor"},
		"base64 of the file":         {base64.StdEncoding.EncodeToString([]byte(good)), "base64 of PEM text"},
		"base64 alone":               {base64.StdEncoding.EncodeToString(root.Raw), "without the lines -----BEGIN"},
		"an SSH public key":          {"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@host", "a public key for SSH"},
		"an SSH2 public key":         {"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n", "a public key for SSH"},
		"a PuTTY key":                {"PuTTY-User-Key-File-3: ssh-ed25519", "a PuTTY key"},
		"a web page":                 {"<!DOCTYPE html><title>404</title>", "a page of HTML"},
		"JSON":                       {`{"ca_pem":"x"}`, "is JSON"},
		"typographic dashes":         {"–––––BEGIN CERTIFICATE–––––\nMIIB", "a word processor has changed"},
		"four hyphens":               {strings.ReplaceAll(good, "-----", "----"), "five hyphens"},
		"openssl's text alone":       {"Certificate:\n    Data:\n", "a certificate in words"},
		"cut off":                    {good[:len(good)-40], "has no end"},
		"cut off before the end":     {strings.TrimSuffix(strings.TrimSpace(good), "-"), "ends as something else"},
		"the beginning is missing":   {good[100:], "not its beginning"},
		"cut in the middle":          {good[:100] + "\n" + good, "begins at line 1 and has no end"},
		"not base64":                 {strings.Replace(good, "MII", "?II", 1), "line 1 that is damaged"},
		"a quoted mail":              {"> " + strings.ReplaceAll(good, "\n", "\n> "), "damaged"},
		"a diff":                     {"+" + strings.ReplaceAll(good, "\n", "\n+"), "damaged"},
		"an empty block":             {"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", "damaged"},
		"first and last line differ": {strings.Replace(good, "END CERTIFICATE", "END PRIVATE KEY", 1), "ends as something else"},
		"not a certificate":          {certify.Block("CERTIFICATE", []byte("hello")), "cannot be read, at line 1"},
		"the second is damaged":      {good + strings.Replace(good, "MII", "?II", 1), "is damaged"},
		"lists alone":                {certify.Block("X509 CRL", revoked(t, root, now.AddDate(0, 1, 0))), "no CA certificate"},
		"a stranger's list":          {good + certify.Block("X509 CRL", revoked(t, stranger, now.AddDate(0, 1, 0))), "none of the CA certificates"},
		"a damaged list":             {good + certify.Block("X509 CRL", []byte("x")), "a revocation list that cannot be read, at line"},
		"too many":                   {many.String(), "101 CA certificates"},
		"too many blocks":            {strings.Repeat(certify.Block("EC PARAMETERS", []byte{5, 0}), 257), "more than 256"},
	} {
		_, err := material.ReadAuthorities(text("cas", c.text), now)
		refused(t, what, err, c.says, c.text)
	}
}

func derOf(t *testing.T, key string) string {
	t.Helper()
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Split(strings.TrimSpace(key), "\n")[1:len(strings.Split(strings.TrimSpace(key), "\n"))-1], ""))
	if err != nil {
		t.Fatal(err)
	}
	return string(der)
}

// refused sees that an error has the code, says something, and quotes nothing.
func refused(t *testing.T, what string, err error, says, given string) {
	t.Helper()
	if !postern.HasCode(err, postern.CodeMaterialInvalid) || !strings.Contains(postern.AsError(err).Text(), says) {
		t.Errorf("%s: %v, want %q", what, err, says)
		return
	}
	for line := range strings.SplitSeq(given, "\n") {
		if len(line) > 30 && !strings.HasPrefix(line, "-----") && strings.Contains(err.Error(), line) {
			t.Errorf("%s: the message quotes the text: %v", what, err)
		}
	}
}

func TestDefectsOfAuthorities(t *testing.T) {
	good := issue(t, "Good", certify.P256(t), nil, certify.Authority)
	for what, c := range map[string]struct {
		text string
		want map[material.Defect]int
	}{
		"a good one":                  {certify.Chain(good), nil},
		"the guide's, S1-46":          {file(t, "guide/ca-crt.pem"), map[material.Defect]int{material.Version1: 1}},
		"a server's":                  {certify.Chain(issue(t, "x", certify.P256(t), nil)), map[material.Defect]int{material.NotAuthority: 1}},
		"without basic constraints":   {certify.Chain(issue(t, "x", certify.P256(t), nil, func(c *x509.Certificate) { c.BasicConstraintsValid = false })), map[material.Defect]int{material.NotAuthority: 1}},
		"one that may not sign":       {certify.Chain(issue(t, "x", certify.P256(t), nil, certify.Authority, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageDigitalSignature })), map[material.Defect]int{material.WrongUsage: 1}},
		"one for servers":             {certify.Chain(issue(t, "x", certify.P256(t), nil, certify.Authority, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })), map[material.Defect]int{material.WrongUsage: 1}},
		"expired":                     {certify.Chain(issue(t, "x", certify.P256(t), nil, certify.Authority, expired)), map[material.Defect]int{material.Expired: 1}},
		"of tomorrow":                 {certify.Chain(issue(t, "x", certify.P256(t), nil, certify.Authority, func(c *x509.Certificate) { c.NotBefore = now.AddDate(0, 0, 1) })), map[material.Defect]int{material.NotYetValid: 1}},
		"weak":                        {certify.Chain(issue(t, "x", certify.RSA(t, 1024), nil, certify.Authority)), map[material.Defect]int{material.WeakKey: 1}},
		"a list that should be newer": {certify.Chain(good) + certify.Block("X509 CRL", revoked(t, good, now.Add(-time.Minute))), map[material.Defect]int{material.Stale: 1}},
	} {
		a, err := material.ReadAuthorities(text("cas", c.text), now)
		if err != nil || !maps.Equal(defects(a.Warnings), c.want) {
			t.Errorf("%s: %v, %v", what, a, err)
			continue
		}
		for _, w := range a.Warnings {
			if w.Advice != "" && !strings.Contains(w.String(), "; "+w.Advice) || w.Text == "" || !material.Has(a.Warnings, w.Defect) {
				t.Errorf("%s: %+v", what, w)
			}
		}
		living := !material.Has(a.Warnings, material.Expired) && !material.Has(a.Warnings, material.NotYetValid)
		if err := a.Alive("cas", now); living != (err == nil) {
			t.Errorf("%s: alive: %v", what, err)
		}
	}
	both, err := material.ReadAuthorities(text("cas", certify.Chain(issue(t, "x", certify.P256(t), nil, certify.Authority, expired), good)), now)
	if err != nil || both.Alive("cas", now) != nil {
		t.Errorf("one of two expired: %v", err)
	}
}

func TestRevocationLists(t *testing.T) {
	root, other := issue(t, "Root", certify.P256(t), nil, certify.Authority), issue(t, "Other", certify.ECDSA(t, elliptic.P384()), nil, certify.Authority)
	bad := issue(t, "bad", certify.P256(t), root)
	der := revoked(t, root, now.AddDate(0, 1, 0), bad)
	authorities := []*x509.Certificate{root.Certificate, other.Certificate}
	for what, given := range map[string]string{"PEM": certify.Block("X509 CRL", der), "DER": string(der), "two": certify.Block("X509 CRL", der) + certify.Block("X509 CRL", revoked(t, other, now.AddDate(0, 1, 0)))} {
		lists, warnings, err := material.ReadRevocationLists(text("crl", given), authorities, now)
		if err != nil || len(lists) != max(1, strings.Count(given, "BEGIN")) || lists[0].RevokedCertificateEntries[0].SerialNumber.Cmp(bad.SerialNumber) != 0 || len(warnings) > 0 {
			t.Errorf("%s: %v, %v, %v", what, lists, warnings, err)
		}
	}
	among, err := material.ReadAuthorities(text("cas", certify.Block("X509 CRL", der)+certify.Chain(root)), now)
	if err != nil || len(among.Revocations) != 1 || !bytes.Equal(among.Revocations[0].Raw, der) || string(among.PEM()) != certify.Chain(root)+certify.Block("X509 CRL", der) {
		t.Errorf("among the authorities: %v", err)
	}
	_, stale, err := material.ReadRevocationLists(text("crl", string(revoked(t, root, now.Add(-time.Minute)))), authorities, now)
	if err != nil || !material.Has(stale, material.Stale) {
		t.Errorf("a stale one: %v, %v", stale, err)
	}
	noLists := issue(t, "No lists", certify.P256(t), nil, certify.Authority)
	signed := revoked(t, noLists, now.AddDate(0, 1, 0))
	noLists.KeyUsage = x509.KeyUsageCertSign
	for what, c := range map[string]struct {
		text string
		by   []*x509.Certificate
		says string
	}{
		"a certificate":              {certify.Chain(root), authorities, "a certificate, at line 1, expected a revocation list"},
		"a key":                      {certify.Key(t, root.Key), authorities, "a private key"},
		"another's":                  {string(der), authorities[1:], "none of the CA certificates"},
		"of one that may not revoke": {string(signed), []*x509.Certificate{noLists.Certificate}, "none of the CA certificates"},
		"nothing":                    {"", authorities, "is empty"},
		"too many":                   {strings.Repeat(certify.Block("X509 CRL", der), material.MostLists+1), authorities, "33 revocation lists"},
	} {
		_, _, err := material.ReadRevocationLists(text("crl", c.text), c.by, now)
		refused(t, what, err, c.says, c.text)
	}
}
