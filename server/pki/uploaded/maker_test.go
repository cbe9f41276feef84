package uploaded_test

import (
	"crypto"
	"crypto/x509"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit/certify"
)

// issue makes a certificate that has expired: such ones are taken.
func issue(t testing.TB, name string, key crypto.Signer, by *certify.Made, edits ...certify.Edit) *certify.Made {
	t.Helper()
	old := certify.Valid(time.Date(2019, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	return certify.Of(t, key, name, by, append([]certify.Edit{old, certify.For(x509.ExtKeyUsageServerAuth)}, edits...)...)
}
