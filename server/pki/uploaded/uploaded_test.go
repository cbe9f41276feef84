package uploaded_test

import (
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/pki/uploaded"
)

// refused sees that an error has a code, says something, and quotes no line of a text.
func refused(t *testing.T, what string, err error, code postern.Code, says, text string) {
	t.Helper()
	if !postern.HasCode(err, code) || !strings.Contains(postern.AsError(err).Text(), says) {
		t.Errorf("%s: %v, want %s with %q", what, err, code, says)
		return
	}
	for line := range strings.SplitSeq(text, "\n") {
		if len(line) > 16 && !strings.HasPrefix(line, "-----") && strings.Contains(err.Error(), line) {
			t.Errorf("%s: the message quotes the text: %v", what, err)
		}
	}
}

func TestChain(t *testing.T) {
	root := issue(t, "Root", certify.ECDSA(t, elliptic.P384()), nil, certify.Authority)
	middle := issue(t, "Middle", certify.RSA(t, 2048), root, certify.Authority)
	leaf := issue(t, "www.example.com", certify.Ed25519(t), middle)
	stranger := issue(t, "Middle", certify.P256(t), nil, certify.Authority)
	nameless := issue(t, "", certify.ECDSA(t, elliptic.P224()), nil)
	key := certify.Key(t, leaf.Key)
	good := certify.Chain(leaf, middle, root)
	for what, text := range map[string]string{
		"a chain": good, "without the root": certify.Chain(leaf, middle), "alone": certify.Chain(leaf),
		"Windows lines": strings.ReplaceAll(good, "\n", "\r\n"), "empty lines": "\n\n" + strings.ReplaceAll(good, "-----BEGIN", "\n  \n-----BEGIN"),
		"no last newline": strings.TrimSpace(good),
	} {
		chain, err := uploaded.Chain(text)
		if err != nil || !chain[0].Equal(leaf.Certificate) || len(chain) != strings.Count(text, "BEGIN") {
			t.Errorf("%s: %d certificates, %v", what, len(chain), err)
		}
	}
	for what, c := range map[string]struct {
		text string
		code postern.Code
		says string
	}{
		"nothing":            {"", postern.CodeCertificateMissing, "empty"},
		"blanks":             {" \n\t", postern.CodeCertificateMissing, "empty"},
		"DER":                {string(leaf.Raw), postern.CodeCertificateUnreadable, "DER"},
		"a word":             {"hunter2", postern.CodeCertificateUnreadable, "not PEM"},
		"too long":           {strings.Repeat(good, 65536/len(good)+1), postern.CodeCertificateTooLong, "at most 65536"},
		"the key":            {key, postern.CodeCertificateIsKey, "line 1"},
		"with the key":       {good + key, postern.CodeCertificateIsKey, "private key, at line"},
		"the key encrypted":  {certify.Block("ENCRYPTED PRIVATE KEY", []byte{1}), postern.CodeCertificateIsKey, "private key"},
		"a request":          {certify.Block("CERTIFICATE REQUEST", leaf.Raw), postern.CodePEMTypeWrong, `"CERTIFICATE REQUEST"`},
		"a public key":       {good + certify.Block("PUBLIC KEY", leaf.Raw), postern.CodePEMTypeWrong, `"PUBLIC KEY"`},
		"headers":            {certify.Block("CERTIFICATE", leaf.Raw, "Subject", "me"), postern.CodePEMHeaders, "line 1"},
		"openssl's text":     {"Certificate:\n    Data:\n" + good, postern.CodeCertificateUnreadable, "outside of its PEM blocks, at line 1"},
		"pkcs12's text":      {certify.Chain(leaf) + "Bag Attributes\n" + certify.Chain(middle), postern.CodeCertificateUnreadable, "outside"},
		"text at the end":    {good + "\nthe end", postern.CodeCertificateUnreadable, "outside"},
		"text behind a line": {strings.TrimSpace(good) + " x", postern.CodeCertificateUnreadable, "damaged"},
		"cut off":            {good[:len(good)-40], postern.CodeCertificateUnreadable, "has no end"},
		"cut in the middle":  {good[:100] + "\n" + good, postern.CodeCertificateUnreadable, "line 1 and has no end"},
		"not base64":         {strings.Replace(good, "MII", "?II", 1), postern.CodeCertificateUnreadable, "line 1 that is damaged"},
		"not a certificate":  {certify.Block("CERTIFICATE", []byte("hello")), postern.CodeCertificateUnreadable, "line 1 cannot be read"},
		"wrong order":        {certify.Chain(middle, leaf), postern.CodeChainOrder, `"Middle", "www.example.com", in this order, but "Middle" was not signed by "www.example.com"`},
		"one left out":       {certify.Chain(leaf, root), postern.CodeChainOrder, `"www.example.com" was not signed by "Root"`},
		"another's":          {certify.Chain(leaf, stranger), postern.CodeChainOrder, "not signed"},
		"twice":              {certify.Chain(leaf, leaf), postern.CodeChainOrder, "not signed"},
		"a small curve":      {certify.Chain(nameless), postern.CodeCertificateUnreadable, "P-224"},
		"an RSA key of 1024": {certify.Chain(issue(t, "x", certify.RSA(t, 1024), nil)), postern.CodeCertificateUnreadable, "1024 bits"},
		"too many":           {strings.Repeat(certify.Chain(root), 17), postern.CodeCertificateUnreadable, "17 certificates"},
	} {
		_, err := uploaded.Chain(c.text)
		refused(t, what, err, c.code, c.says, c.text)
	}
}

func TestAuthority(t *testing.T) {
	root := issue(t, "Root", certify.P256(t), nil, certify.Authority)
	other := issue(t, "Other", certify.P256(t), nil, certify.Authority)
	leaf := issue(t, "www.example.com", certify.P256(t), root)
	old := issue(t, "Version 1", certify.P256(t), nil, func(c *x509.Certificate) { c.BasicConstraintsValid = false })
	if ca, err := uploaded.Authority(certify.Chain(root)); err != nil || !ca.Equal(root.Certificate) {
		t.Errorf("%v, %v", ca, err)
	}
	for what, c := range map[string]struct {
		text string
		code postern.Code
		says string
	}{
		"nothing":              {"", postern.CodeAuthorityMissing, "empty"},
		"a word":               {"hunter2", postern.CodeAuthorityNotPEM, "not PEM"},
		"text around it":       {"root:\n" + certify.Chain(root), postern.CodeAuthorityNotPEM, "outside"},
		"a key":                {certify.Key(t, root.Key), postern.CodePEMTypeWrong, "private key"},
		"headers":              {certify.Block("CERTIFICATE", root.Raw, "a", "b"), postern.CodePEMHeaders, "headers"},
		"two":                  {certify.Chain(root, other), postern.CodeAuthorityNotOne, `2 certificates ("Root", "Other")`},
		"a server's":           {certify.Chain(leaf), postern.CodeAuthorityNotCA, `"www.example.com"`},
		"no basic constraints": {certify.Chain(old), postern.CodeAuthorityNotCA, "CA:TRUE"},
		"too long":             {strings.Repeat("x", 65537), postern.CodeCertificateTooLong, "65537"},
		"damaged":              {certify.Block("CERTIFICATE", root.Raw[:50]), postern.CodeCertificateUnreadable, "cannot be read"},
	} {
		_, err := uploaded.Authority(c.text)
		refused(t, what, err, c.code, c.says, c.text)
	}
}

func TestKey(t *testing.T) {
	ec := certify.P256(t)
	small, normal := certify.RSA(t, 1024), certify.RSA(t, 2048)
	sec1, err := x509.MarshalECPrivateKey(ec)
	if err != nil {
		t.Fatal(err)
	}
	exchange, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(normal)
	parameters := certify.Block("EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7})
	certificate := certify.Chain(issue(t, "www.example.com", ec, nil))
	for what, c := range map[string]struct{ text, kind string }{
		"PKCS #8, ECDSA": {certify.Key(t, ec), "ecdsa"}, "PKCS #8, RSA": {certify.Key(t, normal), "rsa"}, "PKCS #8, Ed25519": {certify.Key(t, certify.Ed25519(t)), "ed25519"},
		"P-521": {certify.Key(t, certify.ECDSA(t, elliptic.P521())), "ecdsa"}, "SEC 1": {certify.Block("EC PRIVATE KEY", sec1), "ecdsa"},
		"PKCS #1": {certify.Block("RSA PRIVATE KEY", pkcs1), "rsa"}, "as openssl ecparam writes it": {parameters + certify.Block("EC PRIVATE KEY", sec1), "ecdsa"},
		"SEC 1 by another name": {certify.Block("PRIVATE KEY", sec1), "ecdsa"}, "Windows lines": {strings.ReplaceAll(certify.Key(t, ec), "\n", "\r\n"), "ecdsa"},
	} {
		if key, err := uploaded.Key(c.text); err != nil || uploaded.KeyType(key.Public()) != c.kind {
			t.Errorf("%s: %v", what, err)
		}
	}
	for what, c := range map[string]struct {
		text string
		code postern.Code
		says string
	}{
		"nothing":             {"", postern.CodePrivateKeyMissing, "empty"},
		"a word":              {"hunter2hunter2hunter2", postern.CodePrivateKeyMissing, "not PEM"},
		"parameters only":     {parameters, postern.CodePrivateKeyMissing, "no PEM block with a key"},
		"the certificate":     {certificate, postern.CodePrivateKeyIsCertificate, "line 1"},
		"both":                {certify.Key(t, ec) + certificate, postern.CodePrivateKeyIsCertificate, "line 6"},
		"encrypted, PKCS #8":  {certify.Block("ENCRYPTED PRIVATE KEY", sec1), postern.CodePrivateKeyEncrypted, "passphrase"},
		"encrypted, PKCS #1":  {certify.Block("RSA PRIVATE KEY", pkcs1, "Proc-Type", "4,ENCRYPTED"), postern.CodePrivateKeyEncrypted, "passphrase"},
		"headers":             {certify.Block("PRIVATE KEY", sec1, "Comment", "mine"), postern.CodePEMHeaders, "line 1"},
		"a public key":        {certify.Block("PUBLIC KEY", sec1), postern.CodePrivateKeyUnreadable, `"PUBLIC KEY"`},
		"OpenSSH's":           {certify.Block("OPENSSH PRIVATE KEY", sec1), postern.CodePrivateKeyUnreadable, "ssh-keygen -p"},
		"two":                 {certify.Key(t, ec) + certify.Key(t, normal), postern.CodePrivateKeyUnreadable, "2 private keys"},
		"text around it":      {"Bag Attributes: <No Attributes>\n" + certify.Key(t, ec), postern.CodePrivateKeyUnreadable, "outside"},
		"the key as text":     {strings.ReplaceAll(strings.ReplaceAll(certify.Key(t, ec), "-----BEGIN PRIVATE KEY-----", ""), "-----END PRIVATE KEY-----", ""), postern.CodePrivateKeyMissing, "not PEM"},
		"cut off":             {certify.Key(t, normal)[:300], postern.CodePrivateKeyUnreadable, "has no end"},
		"damaged":             {certify.Block("PRIVATE KEY", pkcs1[:200]), postern.CodePrivateKeyUnreadable, "cannot be read"},
		"of a small curve":    {certify.Key(t, certify.ECDSA(t, elliptic.P224())), postern.CodePrivateKeyUnreadable, "P-224"},
		"RSA of 1024 bits":    {certify.Key(t, small), postern.CodePrivateKeyUnreadable, "1024 bits"},
		"for an exchange":     {certify.Key(t, exchange), postern.CodePrivateKeyUnreadable, "cannot be read"},
		"longer than allowed": {strings.Repeat("x", 16385), postern.CodePrivateKeyUnreadable, "16385"},
	} {
		_, err := uploaded.Key(c.text)
		refused(t, what, err, c.code, c.says, c.text)
	}
}

func TestPair(t *testing.T) {
	root := issue(t, "Root", certify.P256(t), nil, certify.Authority)
	for _, key := range []*certify.Made{
		issue(t, "a.example.com", certify.RSA(t, 2048), root), issue(t, "b.example.com", certify.P256(t), root), issue(t, "c.example.com", certify.Ed25519(t), root),
	} {
		chain := []*x509.Certificate{key.Certificate, root.Certificate}
		if err := uploaded.Pair(chain, key.Key); err != nil {
			t.Error(err)
		}
		refused(t, "another key", uploaded.Pair(chain, certify.Ed25519(t)), postern.CodeKeyMismatch, "(ed25519) is not that of the certificate", "")
		refused(t, "the authority's key", uploaded.Pair(chain, root.Key), postern.CodeKeyMismatch, `that of "Root", which is certificate 2`, "")
	}
}
