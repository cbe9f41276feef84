package certify

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

// PEM is the certificate, and its key in PKCS #8.
func (m *Made) PEM(t testing.TB) (certificate, key string) {
	t.Helper()
	return Chain(m), Key(t, m.Key)
}

// Chain is certificates as PEM text.
func Chain(chain ...*Made) string {
	var text strings.Builder
	for _, m := range chain {
		text.WriteString(Block("CERTIFICATE", m.Raw))
	}
	return text.String()
}

// Key is a private key in PKCS #8.
func Key(t testing.TB, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return Block("PRIVATE KEY", der)
}

// Block is one PEM block; header is the name and value of one that it has.
func Block(kind string, content []byte, header ...string) string {
	b := &pem.Block{Type: kind, Bytes: content}
	if len(header) == 2 {
		b.Headers = map[string]string{header[0]: header[1]}
	}
	return string(pem.EncodeToMemory(b))
}
