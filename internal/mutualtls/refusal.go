package mutualtls

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/postern-dev/postern/internal/material"
)

// Reason is why a client was not let in; a label in metrics.
type Reason string

// The reasons.
const (
	Missing   Reason = "missing"   // it has shown none
	Untrusted Reason = "untrusted" // none of the authorities has signed it
	Expired   Reason = "expired"   // or not valid yet
	Revoked   Reason = "revoked"
	StaleList Reason = "stale_list" // the authority's revocation list is past its next update
	Invalid   Reason = "invalid"    // not for clients, too long a chain, or malformed
)

// Refusal is why a client was not let in.
type Refusal struct {
	Reason      Reason
	Certificate *x509.Certificate // that was shown; nil for none
	text        string
}

// Error says it in words.
func (r *Refusal) Error() string { return r.text }

func refuse(reason Reason, shown *x509.Certificate, format string, args ...any) error {
	return &Refusal{Reason: reason, Certificate: shown, text: fmt.Sprintf(format, args...)}
}

// RefusalOf finds the Refusal in a handshake's error; nil where that failed for another
// reason than the client's certificate.
func RefusalOf(err error) *Refusal {
	if refusal, ok := errors.AsType[*Refusal](Explain(err)); ok {
		return refusal
	}
	return nil
}

// noCertificate is what crypto/tls says where a client shows none. It has no type; a test
// sees to it that the words stay.
const noCertificate = "client didn't provide a certificate"

// Explain gives what crypto/tls and crypto/x509 say of a client's certificate as a
// Refusal; an error that is about something else as it is.
func Explain(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Refusal](err); ok {
		return err
	}
	var shown *x509.Certificate
	if failed, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(failed.UnverifiedCertificates) > 0 {
		shown = failed.UnverifiedCertificates[0]
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok && shown != nil {
		return refuse(Untrusted, shown, "none of the endpoint's authorities has signed the certificate %s", material.Name(shown))
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && shown != nil && invalid.Reason == x509.Expired {
		return refuse(Expired, shown, "the certificate %s has expired or is not yet valid: %s", material.Name(invalid.Cert), invalid.Detail)
	}
	if shown != nil {
		return refuse(Invalid, shown, "the certificate %s cannot be used: %v", material.Name(shown), errors.Unwrap(err))
	}
	if strings.Contains(err.Error(), noCertificate) {
		return refuse(Missing, nil, "the client has shown no certificate")
	}
	return err
}
