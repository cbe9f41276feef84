package link

import (
	"context"
	"time"
)

// CertificateRequest asks for a certificate for the name of a tls endpoint whose TLS the
// agent ends. The key that it is for stays where it is.
type CertificateRequest struct {
	Endpoint string // the bind id
	// CSR is a PKCS #10 request in DER, signed with the key, for exactly the endpoint's
	// host. nil asks only for what the server offers.
	CSR []byte
}

// Certified answers a CertificateRequest.
type Certified struct {
	// Chain is the certificate and those that signed it, in PEM, its own first; "" where
	// there was no CSR.
	Chain string
	// After is when the server wants to be asked again for the same key, because it will
	// have a better certificate, or a newer one; 0: when two thirds of its life are over.
	After time.Duration
	// ACME is an authority from which the agent can have a certificate that everybody
	// trusts; nil: the server knows of none for this name.
	ACME *ACMEDirectory
}

// ACMEDirectory is where an ACME server (RFC 8555) is.
type ACMEDirectory struct {
	URL   string
	Roots string // who may vouch for it, in PEM; "" is the system's
	Email string // of who is to be told about certificates; "" for nobody
}

// Certifier is implemented by Binders that certify the keys of agents, and by agents'
// clients that can ask for it.
type Certifier interface {
	// Certify signs for a name that the session has online, and for no other. Errors are
	// *postern.Error: CodeNotFound where the session has no such endpoint,
	// CodeSigningRequestInvalid, CodeOptionUnsupported where this server signs nothing for
	// the name, and at agents CodeServerTooOld.
	Certify(ctx context.Context, r CertificateRequest) (Certified, error)
}
