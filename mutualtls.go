package postern

import (
	"crypto/x509"
	"slices"
	"strings"
	"time"
)

// MutualTLS asks the visitors of an https endpoint, or of a tls endpoint that the edge
// terminates, for certificates. The zero value asks for none. It can be compared.
type MutualTLS struct {
	// Mode says what a visitor must show; "" is ClientCertificateRequiredAndVerified.
	Mode ClientCertificateMode
	// AuthoritiesPEM are the certificates of those who vouch for visitors, and their
	// revocation lists (RFC 5280 §5) among them.
	AuthoritiesPEM string
	// AuthorityIDs are authorities that the account has uploaded ("ca_…"), separated by
	// commas.
	AuthorityIDs string
	// StaleLists lets visitors in whose authority's revocation list is past its next
	// update; else they are refused, for nobody knows what has been revoked since.
	StaleLists bool
}

// Asks tells whether visitors are asked for certificates.
func (m MutualTLS) Asks() bool { return m != MutualTLS{} }

// IDs are those of the uploaded authorities, each once.
func (m MutualTLS) IDs() []string {
	var ids []string
	for id := range strings.SplitSeq(m.AuthorityIDs, ",") {
		if id = strings.TrimSpace(id); id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// EffectiveMode is Mode, or what it is where it is not given.
func (m MutualTLS) EffectiveMode() ClientCertificateMode {
	if m.Mode == "" {
		return ClientCertificateRequiredAndVerified
	}
	return m.Mode
}

// ClientCertificateMode says what visitors must show.
type ClientCertificateMode string

// The modes, by the names of ngrok's policies and crypto/tls.
const (
	// ClientCertificateRequested asks; none, and any, will do. Nothing is verified to let
	// somebody in.
	ClientCertificateRequested ClientCertificateMode = "request"
	// ClientCertificateRequired wants one, whoever has signed it.
	ClientCertificateRequired ClientCertificateMode = "require"
	// ClientCertificateVerifiedIfGiven lets in who shows none, or one that an authority
	// has signed.
	ClientCertificateVerifiedIfGiven ClientCertificateMode = "verify-if-given"
	// ClientCertificateRequiredAndVerified wants one that an authority has signed.
	ClientCertificateRequiredAndVerified ClientCertificateMode = "require-and-verify"
)

// ParseClientCertificateMode reads a mode; "require-any" is ngrok's name of "require".
// "" is "", the default.
func ParseClientCertificateMode(text string) (ClientCertificateMode, error) {
	switch mode := ClientCertificateMode(strings.ToLower(strings.TrimSpace(text))); mode {
	case "", ClientCertificateRequested, ClientCertificateRequired, ClientCertificateVerifiedIfGiven, ClientCertificateRequiredAndVerified:
		return mode, nil
	case "require-any":
		return ClientCertificateRequired, nil
	}
	return "", Errorf(CodeConfigInvalid, "the mode of mutual TLS %.40q is not one of request, require, verify-if-given, require-and-verify", text)
}

// Verifies tells whether a certificate that is shown must be an authority's.
func (m ClientCertificateMode) Verifies() bool {
	return m == ClientCertificateVerifiedIfGiven || m == ClientCertificateRequiredAndVerified
}

// Requires tells whether one must be shown.
func (m ClientCertificateMode) Requires() bool {
	return m == ClientCertificateRequired || m == ClientCertificateRequiredAndVerified
}

// ClientCertificate is what a visitor has shown. It does not change.
type ClientCertificate struct {
	// Verified says that an authority of the endpoint vouches for it, and that it is not
	// on a revocation list of theirs.
	Verified    bool
	Subject     string // RFC 4514, with every byte that is not printable ASCII as a hex pair
	Issuer      string // likewise
	Serial      string // lower-case hex of whole bytes
	Fingerprint string // SHA-256 of the certificate, lower-case hex

	DNSNames, EmailAddresses, URIs, IPAddresses []string // of the subjectAltName

	NotBefore, NotAfter time.Time
	// Chain is what was sent: the visitor's own first.
	Chain []*x509.Certificate
}
