package uploaded_test

import (
	"crypto"
	"crypto/elliptic"
	"crypto/x509"
	"crypto/x509/pkix"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/pki/uploaded"
)

func requestFor(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	return certify.Request(t, key, x509.CertificateRequest{Subject: pkix.Name{CommonName: "operator"}})
}

func TestRequest(t *testing.T) {
	p256 := certify.P256(t)
	for name, key := range map[string]crypto.Signer{"Ed25519": certify.Ed25519(t), "RSA": certify.RSA(t, 2048), "P-256": p256, "P-384": certify.ECDSA(t, elliptic.P384())} {
		for _, kind := range []string{"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"} {
			got, err := uploaded.Request("csr", certify.Block(kind, requestFor(t, key)))
			if err != nil || got.Subject.CommonName != "operator" {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
		}
	}
	good := requestFor(t, p256)
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	text := certify.Block("CERTIFICATE REQUEST", good)
	for name, c := range map[string]struct{ text, says string }{
		"empty":           {"", "0 PEM blocks"},
		"no PEM":          {"hello", "outside of its PEM blocks"},
		"two":             {text + text, "2 PEM blocks"},
		"half":            {text[:len(text)/2], "no end"},
		"a certificate":   {certify.Block("CERTIFICATE", good), "must be"},
		"a key, too":      {text + certify.Key(t, p256), "private key"},
		"not DER":         {certify.Block("CERTIFICATE REQUEST", []byte("hello")), "cannot be read"},
		"forged":          {certify.Block("CERTIFICATE REQUEST", forged), "signature"},
		"a curve of old":  {certify.Block("CERTIFICATE REQUEST", requestFor(t, certify.ECDSA(t, elliptic.P224()))), "P-224"},
		"one byte longer": {text + strings.Repeat("\n", uploaded.MaxRequest+1-len(text)), "16385 bytes"},
	} {
		_, err := uploaded.Request("csr", c.text)
		if !postern.HasCode(err, postern.CodeSigningRequestInvalid) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
	}
}

// What is accepted has a signature that its own key has made; what is not has a code.
func FuzzRequest(f *testing.F) {
	good := certify.Block("CERTIFICATE REQUEST", requestFor(f, certify.P256(f)))
	f.Add(good)
	f.Add(good + good)
	f.Add("-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n-----END CERTIFICATE REQUEST-----\n")
	f.Fuzz(func(t *testing.T, text string) {
		request, err := uploaded.Request("csr", text)
		if err != nil {
			if !postern.HasCode(err, postern.CodeSigningRequestInvalid) {
				t.Fatal(err)
			}
			return
		}
		if err := request.CheckSignature(); err != nil || len(text) > uploaded.MaxRequest {
			t.Fatalf("%d bytes, %v", len(text), err)
		}
	})
}
