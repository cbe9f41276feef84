package material_test

import (
	"crypto/elliptic"
	"crypto/x509"
	"maps"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

func read(chain, key string, passphrase postern.Secret) (*material.Identity, error) {
	return material.ReadIdentity(text("crt", chain), text("key", key), passphrase, now)
}

func TestIdentity(t *testing.T) {
	root := issue(t, "Root", ecdsaKey(t, elliptic.P384()), nil, authority)
	middle := issue(t, "Middle", rsaKey(t, 2048), root, authority)
	leaf := issue(t, "www.example.com", ed25519Key(t), middle)
	other := issue(t, "Other", newKey(t), nil, authority)
	key := keyText(t, leaf.key)
	for what, c := range map[string]struct {
		chain, key, sent string
		warned           material.Defect
	}{
		"in order":                  {chainText(leaf, middle, root), key, chainText(leaf, middle, root), ""},
		"without the root":          {chainText(leaf, middle), key, chainText(leaf, middle), ""},
		"alone":                     {chainText(leaf), key, chainText(leaf), ""},
		"the other way round":       {chainText(root, middle, leaf), key, chainText(leaf, middle, root), material.Order},
		"the leaf in the middle":    {chainText(middle, leaf, root), key, chainText(leaf, middle, root), material.Order},
		"one twice":                 {chainText(leaf, leaf, middle), key, chainText(leaf, middle), ""},
		"one that does not belong":  {chainText(leaf, middle, other), key, chainText(leaf, middle), material.Superfluous},
		"one left out":              {chainText(leaf, root), key, chainText(leaf), material.Superfluous},
		"both in one file":          {chainText(leaf, middle) + key, "", chainText(leaf, middle), ""},
		"one file twice":            {chainText(leaf, middle) + key, chainText(leaf, middle) + key, chainText(leaf, middle), ""},
		"the key's file has both":   {chainText(leaf, middle), key + chainText(leaf), chainText(leaf, middle), ""},
		"Windows lines and a BOM":   {"\ufeff" + strings.ReplaceAll(chainText(leaf), "\n", "\r\n"), "\ufeff" + strings.ReplaceAll(key, "\n", "\r\n"), chainText(leaf), ""},
		"DER":                       {string(leaf.Raw), derOf(t, key), chainText(leaf), ""},
		"parameters before the key": {chainText(leaf), block("EC PARAMETERS", []byte{5, 0}) + key, chainText(leaf), ""},
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
	ca := issue(t, "CA", newKey(t), nil, authority)
	leaf, client := issue(t, "server", rsaKey(t, 2048), ca), issue(t, "client", newKey(t), ca)
	chain, key := chainText(leaf), keyText(t, leaf.key)
	for what, c := range map[string]struct{ chain, key, says string }{
		"S1-45: the client's with the server's key": {chainText(client), key, `key does not belong to crt: the key (RSA, 2048 bits) is not that of the certificate "client" (ECDSA, P-256)`},
		"the guide's files mixed":                   {file(t, "guide/client-crt.pem"), file(t, "guide/server-key.pem"), "key does not belong to crt"},
		"the wrong way round":                       {key, chain, "crt is a private key and key is a certificate"},
		"two keys":                                  {key, key, "crt is a private key, expected a certificate"},
		"two certificates":                          {chain, chain, "key is a certificate, expected its private key"},
		"no key":                                    {chain, "", "key is empty; the private key of crt belongs there"},
		"no certificate":                            {"", key, "crt is empty"},
		"several keys":                              {chain, key + keyText(t, client.key), "2 private keys"},
		"a request for the certificate":             {file(t, "guide/server-csr.pem"), key, "a certificate signing request"},
		"a public key for the key":                  {chain, file(t, "public.pem"), "a public key, expected a private key"},
		"an OpenSSH key":                            {chain, block("OPENSSH PRIVATE KEY", []byte("x")), "ssh-keygen"},
		"parameters alone":                          {chain, block("EC PARAMETERS", []byte{5, 0}), "the parameters of a key and not the key itself"},
		"a damaged key":                             {chain, block("PRIVATE KEY", []byte("hello")), "cannot be read"},
		"a curve of old":                            {chain, keyText(t, ecdsaKey(t, elliptic.P224())), "the curve P-224"},
		"a key cut off":                             {chain, key[:200], "has no end"},
		"a PKCS #12 file for the key":               {chain, file(t, "bundle.p12"), "PKCS #12"},
		"a revocation list":                         {block("X509 CRL", revoked(t, ca, now.AddDate(0, 1, 0))), key, "crt has no certificate"},
		"too long a chain":                          {longChain(t), key, "17 certificates"},
	} {
		_, err := read(c.chain, c.key, "")
		refused(t, what, err, c.says, c.chain+c.key)
	}
}

func longChain(t *testing.T) string {
	t.Helper()
	var all []*made
	key := newKey(t)
	for range material.MostChain + 1 {
		all = append(all, issue(t, "link", key, nil, authority))
	}
	return chainText(all...)
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
		"half a header": strings.Replace(traditional, "DEK-Info", "Dek", 1), "damaged": block("ENCRYPTED PRIVATE KEY", []byte("hello")),
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
	ca := issue(t, "CA", newKey(t), nil, authority)
	old := issue(t, "Old", newKey(t), ca, authority, expired)
	for what, c := range map[string]struct {
		chain []*made
		want  material.Defect
	}{
		"expired":             {[]*made{issue(t, "x", newKey(t), ca, expired)}, material.Expired},
		"an expired middle":   {[]*made{issue(t, "x", newKey(t), old), old}, material.Expired},
		"of tomorrow":         {[]*made{issue(t, "x", newKey(t), ca, func(c *x509.Certificate) { c.NotBefore = now.AddDate(0, 0, 1) })}, material.NotYetValid},
		"for clients":         {[]*made{issue(t, "x", newKey(t), ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })}, material.WrongUsage},
		"a short key":         {[]*made{issue(t, "x", rsaKey(t, 1024), ca)}, material.WeakKey},
		"an old signature":    {[]*made{issue(t, "x", newKey(t), issue(t, "RSA", rsaKey(t, 2048), nil, authority), func(c *x509.Certificate) { c.SignatureAlgorithm = x509.SHA1WithRSA })}, material.WeakSignature},
		"without names":       {[]*made{issue(t, "x", newKey(t), ca, func(c *x509.Certificate) { c.DNSNames = nil })}, material.NoNames},
		"for ten years":       {[]*made{issue(t, "x", newKey(t), ca, func(c *x509.Certificate) { c.NotAfter = now.AddDate(10, 0, 0) })}, material.LongLife},
		"named as who signed": {[]*made{issue(t, "CA", newKey(t), ca)}, material.SameSubject},
	} {
		id, err := read(chainText(c.chain...), keyText(t, c.chain[0].key), "")
		if err != nil || len(id.Warnings) != 1 || id.Warnings[0].Defect != c.want {
			t.Errorf("%s: %v, %v", what, id, err)
			continue
		}
		dead := len(c.chain) == 1 && (c.want == material.Expired || c.want == material.NotYetValid)
		if err := id.Alive("crt", now); dead == (err == nil) {
			t.Errorf("%s: alive: %v", what, err)
		}
	}
	id, err := read(chainText(issue(t, "www.example.com", ca.key, nil)), keyText(t, ca.key), "")
	if err != nil || len(id.Covers("www.example.com")) != 0 || len(id.Covers("example.com")) != 1 || len(guide.Covers("x.customer1.example.com")) != 0 {
		t.Errorf("names: %v, %v", id, err)
	}
}
