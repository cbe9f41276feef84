package uploaded_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/uploaded"
)

func requestFor(t testing.TB, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "operator"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func inPEM(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func curveKey(t testing.TB, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestRequest(t *testing.T) {
	_, edwards, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256 := curveKey(t, elliptic.P256())
	for name, key := range map[string]crypto.Signer{"Ed25519": edwards, "RSA": large, "P-256": p256, "P-384": curveKey(t, elliptic.P384())} {
		for _, kind := range []string{"CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST"} {
			got, err := uploaded.Request("csr", inPEM(kind, requestFor(t, key)))
			if err != nil || got.Subject.CommonName != "operator" {
				t.Errorf("%s, %s: %v", name, kind, err)
			}
		}
	}
	good := requestFor(t, p256)
	forged := append([]byte(nil), good...)
	forged[len(forged)-1] ^= 1
	text := inPEM("CERTIFICATE REQUEST", good)
	key, err := x509.MarshalPKCS8PrivateKey(p256)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ text, says string }{
		"empty":           {"", "0 PEM blocks"},
		"no PEM":          {"hello", "outside of its PEM blocks"},
		"two":             {text + text, "2 PEM blocks"},
		"half":            {text[:len(text)/2], "no end"},
		"a certificate":   {inPEM("CERTIFICATE", good), "must be"},
		"a key, too":      {text + inPEM("PRIVATE KEY", key), "private key"},
		"not DER":         {inPEM("CERTIFICATE REQUEST", []byte("hello")), "cannot be read"},
		"forged":          {inPEM("CERTIFICATE REQUEST", forged), "signature"},
		"a curve of old":  {inPEM("CERTIFICATE REQUEST", requestFor(t, curveKey(t, elliptic.P224()))), "P-224"},
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
	good := inPEM("CERTIFICATE REQUEST", requestFor(f, curveKey(f, elliptic.P256())))
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
