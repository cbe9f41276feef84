package material_test

import (
	"crypto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/testkit/certify"
)

func seeds(f *testing.F) {
	f.Helper()
	paths, err := filepath.Glob("testdata/*.*")
	if err != nil || len(paths) < 10 {
		f.Fatal(paths, err)
	}
	more, err := filepath.Glob("testdata/guide/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range append(paths, more...) {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	root := issue(f, "Root", certify.P256(f), nil, certify.Authority)
	f.Add([]byte(certify.Chain(root) + certify.Block("X509 CRL", revoked(f, root, now))))
	f.Add([]byte("-----BEGIN -----END "))
	f.Add([]byte("-----BEGIN A-----\nB: C\n\nAAAA-----END A-----"))
}

// FuzzAuthorities: what is accepted reads the same again from what it is written as, and
// has nothing else in it; what is refused has a code and quotes no long line.
func FuzzAuthorities(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := material.ReadAuthorities(material.Text{Name: "cas", Data: data}, now)
		if err != nil {
			tellsNothing(t, err, data)
			return
		}
		written := a.PEM()
		again, err := material.ReadAuthorities(material.Text{Name: "cas", Data: written}, now)
		if len(written) > material.MostBytes {
			return // base64 is longer than DER
		}
		if err != nil || len(again.Certificates) != len(a.Certificates) || len(again.Revocations) != len(a.Revocations) || len(a.Certificates) == 0 {
			t.Fatalf("again: %v", err)
		}
		if strings.Contains(string(written), "PRIVATE") || !utf8.Valid(written) {
			t.Fatalf("written: %q", written)
		}
	})
}

// FuzzIdentity: what is accepted is a key and its own certificate.
func FuzzIdentity(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		given := material.Text{Name: "crt", Data: data}
		id, err := material.ReadIdentity(given, given, "sesame", now)
		if err != nil {
			tellsNothing(t, err, data)
			return
		}
		public, is := id.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
		if !is || !public.Equal(id.Chain[0].PublicKey) || len(id.Chain) > material.MostChain {
			t.Fatal("a key of another certificate")
		}
		if _, _, err := id.PEM(); err != nil {
			t.Fatal(err)
		}
	})
}

func tellsNothing(t *testing.T, err error, data []byte) {
	t.Helper()
	if !postern.HasCode(err, postern.CodeMaterialInvalid) && !material.NeedsPassphrase(err) || !utf8.ValidString(err.Error()) {
		t.Fatalf("%q", err)
	}
	for line := range strings.SplitSeq(string(data), "\n") {
		if line = strings.TrimSpace(line); len(line) > 62 && !strings.Contains(line, "-----") && strings.Contains(err.Error(), line) {
			t.Fatalf("the message quotes %q: %v", line, err)
		}
	}
}
