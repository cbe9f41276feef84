package material_test

import (
	"crypto"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/testkit/certify"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// issue makes a certificate that is good now.
func issue(t testing.TB, name string, key crypto.Signer, by *certify.Made, edits ...certify.Edit) *certify.Made {
	t.Helper()
	return certify.Of(t, key, name, by, append([]certify.Edit{certify.Valid(now.Add(-time.Hour), now.AddDate(0, 3, 0))}, edits...)...)
}

func expired(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }

// revoked makes a revocation list.
func revoked(t testing.TB, by *certify.Made, until time.Time, certificates ...*certify.Made) []byte {
	t.Helper()
	serials := make([]*big.Int, len(certificates))
	for i, c := range certificates {
		serials[i] = c.SerialNumber
	}
	return by.Revoke(t, now, until, 0, serials...)
}

func file(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func text(name, data string) material.Text { return material.Text{Name: name, Data: []byte(data)} }

func defects(warnings []material.Warning) map[material.Defect]int {
	all := make(map[material.Defect]int)
	for _, w := range warnings {
		all[w.Defect]++
	}
	return all
}
