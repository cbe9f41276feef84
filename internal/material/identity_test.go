package material_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"maps"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/testkit/certify"
)

func read(chain, key string, passphrase postern.Secret) (*material.Identity, error) {
	return material.ReadIdentity(text("crt", chain), text("key", key), passphrase, now)
}

func TestIdentity(t *testing.T) {
	root := issue(t, "Root", certify.ECDSA(t, elliptic.P384()), nil, certify.Authority)
	middle := issue(t, "Middle", certify.RSA(t, 2048), root, certify.Authority)
	leaf := issue(t, "www.example.com", certify.Ed25519(t), middle)
	other := issue(t, "Other", certify.P256(t), nil, certify.Authority)
	key := certify.Key(t, leaf.Key)
	for what, c := range map[string]struct {
		chain, key, sent string
		warned           material.Defect
	}{
		"in order":                  {certify.Chain(leaf, middle, root), key, certify.Chain(leaf, middle, root), ""},
		"without the root":          {certify.Chain(leaf, middle), key, certify.Chain(leaf, middle), ""},
		"alone":                     {certify.Chain(leaf), key, certify.Chain(leaf), ""},
		"the other way round":       {certify.Chain(root, middle, leaf), key, certify.Chain(leaf, middle, root), material.Order},
		"the leaf in the middle":    {certify.Chain(middle, leaf, root), key, certify.Chain(leaf, middle, root), material.Order},
		"one twice":                 {certify.Chain(leaf, leaf, middle), key, certify.Chain(leaf, middle), ""},
		"one that does not belong":  {certify.Chain(leaf, middle, other), key, certify.Chain(leaf, middle), material.Superfluous},
		"one left out":              {certify.Chain(leaf, root), key, certify.Chain(leaf), material.Superfluous},
		"both in one file":          {certify.Chain(leaf, middle) + key, "", certify.Chain(leaf, middle), ""},
		"one file twice":            {certify.Chain(leaf, middle) + key, certify.Chain(leaf, middle) + key, certify.Chain(leaf, middle), ""},
		"the key's file has both":   {certify.Chain(leaf, middle), key + certify.Chain(leaf), certify.Chain(leaf, middle), ""},
		"Windows lines and a BOM":   {"\ufeff" + strings.ReplaceAll(certify.Chain(leaf), "\n", "\r\n"), "\ufeff" + strings.ReplaceAll(key, "\n", "\r\n"), certify.Chain(leaf), ""},
		"DER":                       {string(leaf.Raw), derOf(t, key), certify.Chain(leaf), ""},
		"parameters before the key": {certify.Chain(leaf), certify.Block("EC PARAMETERS", []byte{5, 0}) + key, certify.Chain(leaf), ""},
	} {
		id, err := read(c.chain, c.key, "")
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		chain, plain, err := id.PEM()
		if err != nil || string(chain) != c.sent || plain.Reveal() != key || len(id.TLS().Certificate) != strings.Count(c.sent, "BEGIN") {
			t.Errorf("%s: sent\n%s, %v", what, chain, err)
		}
		if c.warned == "" && len(id.Warnings) > 0 || c.warned != "" && !material.Has(id.Warnings, c.warned) {
			t.Errorf("%s: %v", what, id.Warnings)
		}
	}
}

func TestIdentityIsRefused(t *testing.T) {
	ca := issue(t, "CA", certify.P256(t), nil, certify.Authority)
	leaf, client := issue(t, "server", certify.RSA(t, 2048), ca), issue(t, "client", certify.P256(t), ca)
	chain, key := certify.Chain(leaf), certify.Key(t, leaf.Key)
	for what, c := range map[string]struct{ chain, key, says string }{
		"S1-45: the client's with the server's key": {certify.Chain(client), key, `key does not belong to crt: the key (RSA, 2048 bits) is not that of the certificate "client" (ECDSA, P-256)`},
		"the guide's files mixed":                   {file(t, "guide/client-crt.pem"), file(t, "guide/server-key.pem"), "key does not belong to crt"},
		"the wrong way round":                       {key, chain, "crt is a private key and key is a certificate"},
		"two keys":                                  {key, key, "crt is a private key, expected a certificate"},
		"two certificates":                          {chain, chain, "key is a certificate, expected its private key"},
		"no key":                                    {chain, "", "key is empty; the private key of crt belongs there"},
		"no certificate":                            {"", key, "crt is empty"},
		"several keys":                              {chain, key + certify.Key(t, client.Key), "2 private keys"},
		"a request for the certificate":             {file(t, "guide/server-csr.pem"), key, "a certificate signing request"},
		"a public key for the key":                  {chain, file(t, "public.pem"), "a public key, expected a private key"},
		"an OpenSSH key":                            {chain, certify.Block("OPENSSH PRIVATE KEY", []byte("x")), "ssh-keygen"},
		"parameters alone":                          {chain, certify.Block("EC PARAMETERS", []byte{5, 0}), "the parameters of a key and not the key itself"},
		"a damaged key":                             {chain, certify.Block("PRIVATE KEY", []byte("hello")), "cannot be read"},
		"a curve of old":                            {chain, certify.Key(t, certify.ECDSA(t, elliptic.P224())), "the curve P-224"},
		"a key cut off":                             {chain, key[:200], "has no end"},
		"a PKCS #12 file for the key":               {chain, file(t, "bundle.p12"), "PKCS #12"},
		"a revocation list":                         {certify.Block("X509 CRL", revoked(t, ca, now.AddDate(0, 1, 0))), key, "crt has no certificate"},
		"too long a chain":                          {longChain(t), key, "17 certificates"},
	} {
		_, err := read(c.chain, c.key, "")
		refused(t, what, err, c.says, c.chain+c.key)
	}
}

func longChain(t *testing.T) string {
	t.Helper()
	var all []*certify.Made
	key := certify.P256(t)
	for range material.MostChain + 1 {
		all = append(all, issue(t, "link", key, nil, certify.Authority))
	}
	return certify.Chain(all...)
}

// The keys are what openssl has written, all of them of one certificate.
func TestEncryptedKeys(t *testing.T) {
	want := file(t, "plain.pem")
	for _, name := range []string{"aes256.pem", "aes128sha1.pem", "des3.pem", "traditional.pem", "traditional3des.pem"} {
		id, err := read(file(t, "cert.pem"), file(t, name), "sesame")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, key, _ := id.PEM(); key.Reveal() != want {
			t.Errorf("%s: another key", name)
		}
		for _, wrong := range []postern.Secret{"", "sesam", "sesame ", "x"} {
			if _, err := material.ReadKey(text("key", file(t, name)), wrong); !material.NeedsPassphrase(err) || !strings.Contains(err.Error(), "passphrase") {
				t.Errorf("%s with %q: %v", name, wrong.Reveal(), err)
			}
		}
	}
	for name, says := range map[string]string{"scrypt.pem": "the key derivation", "pbes1.pem": "the scheme"} {
		if _, err := material.ReadKey(text("key", file(t, name)), "sesame"); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), "openssl pkcs8") {
			t.Errorf("%s: %v", name, err)
		}
	}
	traditional := file(t, "traditional.pem")
	for what, text1 := range map[string]string{
		"another cipher": strings.Replace(traditional, "AES-256-CBC", "RC2-64-CBC", 1), "no IV": strings.Replace(traditional, "AES-256-CBC,", "AES-256-CBC,x", 1),
		"half a header": strings.Replace(traditional, "DEK-Info", "Dek", 1), "damaged": certify.Block("ENCRYPTED PRIVATE KEY", []byte("hello")),
	} {
		if _, err := material.ReadKey(text("key", text1), "sesame"); !postern.HasCode(err, postern.CodeMaterialInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestDefectsOfIdentities(t *testing.T) {
	guide, err := read(file(t, "guide/server-crt.pem"), file(t, "guide/server-key.pem"), "")
	if err != nil {
		t.Fatal(err)
	}
	want := map[material.Defect]int{material.Version1: 1, material.NoNames: 1, material.SameSubject: 1, material.LongLife: 1} // S1-46, S1-47, S1-50
	if got := defects(guide.Warnings); !maps.Equal(got, want) {
		t.Errorf("the guide's: %v", guide.Warnings)
	}
	for _, w := range guide.Warnings {
		if !strings.Contains(w.String(), "postern ca server") {
			t.Errorf("without the line that replaces it: %s", w)
		}
	}
	ca := issue(t, "CA", certify.P256(t), nil, certify.Authority)
	old := issue(t, "Old", certify.P256(t), ca, certify.Authority, expired)
	for what, c := range map[string]struct {
		chain []*certify.Made
		want  material.Defect
	}{
		"expired":             {[]*certify.Made{issue(t, "x", certify.P256(t), ca, expired)}, material.Expired},
		"an expired middle":   {[]*certify.Made{issue(t, "x", certify.P256(t), old), old}, material.Expired},
		"of tomorrow":         {[]*certify.Made{issue(t, "x", certify.P256(t), ca, func(c *x509.Certificate) { c.NotBefore = now.AddDate(0, 0, 1) })}, material.NotYetValid},
		"for clients":         {[]*certify.Made{issue(t, "x", certify.P256(t), ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })}, material.WrongUsage},
		"a short key":         {[]*certify.Made{issue(t, "x", certify.RSA(t, 1024), ca)}, material.WeakKey},
		"an old signature":    {[]*certify.Made{issue(t, "x", certify.P256(t), issue(t, "RSA", certify.RSA(t, 2048), nil, certify.Authority), func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })}, material.WeakSignature},
		"without names":       {[]*certify.Made{issue(t, "x", certify.P256(t), ca, func(c *x509.Certificate) { c.DNSNames = nil })}, material.NoNames},
		"for ten years":       {[]*certify.Made{issue(t, "x", certify.P256(t), ca, func(c *x509.Certificate) { c.NotAfter = now.AddDate(10, 0, 0) })}, material.LongLife},
		"named as who signed": {[]*certify.Made{issue(t, "CA", certify.P256(t), ca)}, material.SameSubject},
	} {
		id, err := read(certify.Chain(c.chain...), certify.Key(t, c.chain[0].Key), "")
		if err != nil || len(id.Warnings) != 1 || id.Warnings[0].Defect != c.want {
			t.Errorf("%s: %v, %v", what, id, err)
			continue
		}
		dead := len(c.chain) == 1 && (c.want == material.Expired || c.want == material.NotYetValid)
		if err := id.Alive("crt", now); dead == (err == nil) {
			t.Errorf("%s: alive: %v", what, err)
		}
	}
	id, err := read(certify.Chain(issue(t, "www.example.com", ca.Key, nil)), certify.Key(t, ca.Key), "")
	if err != nil || len(id.Covers("www.example.com")) != 0 || len(id.Covers("example.com")) != 1 || len(guide.Covers("x.customer1.example.com")) != 0 {
		t.Errorf("names: %v, %v", id, err)
	}
}
