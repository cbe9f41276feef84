package pki_test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/postern-dev/postern/server/pki"
)

func TestBindings(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	bindings, err := pki.OpenBindings(dir)
	if err != nil {
		t.Fatal(err)
	}
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	text, from, to, err := bindings.SignOperator("k8sop_1", public, now)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("no PEM: %s", text)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if leaf.Subject.String() != "CN=k8sop_1" || !public.Equal(leaf.PublicKey) || leaf.IsCA || len(leaf.DNSNames) > 0 ||
		!leaf.NotBefore.Equal(from) || !leaf.NotAfter.Equal(to) || to.Before(now.AddDate(1, 0, -1)) || to.After(now.AddDate(1, 0, 1)) {
		t.Errorf("%v, %v to %v, told %v to %v", leaf.Subject, leaf.NotBefore, leaf.NotAfter, from, to)
	}
	again, err := pki.OpenBindings(dir) // another start has the same CA
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(again.Root())
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Errorf("as a client: %v", err)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}); err == nil {
		t.Error("it is good for a server, too")
	}
	for file, want := range map[string]os.FileMode{"bindings-ca.key": 0o600, "bindings-ca.pem": 0o644} {
		if info, err := os.Stat(filepath.Join(dir, file)); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", file, info, err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "bindings-ca.key")); err != nil {
		t.Fatal(err)
	}
	if _, err := pki.OpenBindings(dir); err == nil {
		t.Error("a CA without its key is opened")
	}
}
