package sessionmsg

import (
	"context"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// maxCSR bounds a request for a certificate: one for an RSA key of 16,384 bits has less.
const maxCSR = 16 << 10

// mostAfter bounds CertifyResp.After, in seconds: a year.
const mostAfter = 366 * 24 * 3600

// Certify asks for a certificate for the host of an endpoint of the session. Without a
// CSR it asks what the server offers.
type Certify struct {
	ID  string `json:"Id"`         // the bind id
	CSR []byte `json:",omitempty"` // PKCS #10 in DER
}

// CertifyResp answers Certify.
type CertifyResp struct {
	Chain string             `json:",omitempty"` // PEM, the endpoint's own certificate first
	After int64              `json:",omitempty"` // seconds until the agent asks again for the same key
	ACME  *CertifyingService `json:",omitempty"`
	Error string
}

// CertifyingService is link.ACMEDirectory on its way.
type CertifyingService struct {
	URL   string
	Roots string `json:",omitempty"`
	Email string `json:",omitempty"`
}

// NewCertify makes the message that asks for r.
func NewCertify(r link.CertificateRequest) Certify { return Certify{ID: r.Endpoint, CSR: r.CSR} }

// Certified gives what the reply says, or its error.
func (r *CertifyResp) Certified() (link.Certified, error) {
	if err := ParseErrorText(r.Error, postern.CodeInternal); err != nil {
		return link.Certified{}, err
	}
	c := link.Certified{Chain: r.Chain, After: min(max(time.Duration(r.After), 0), mostAfter) * time.Second}
	if r.ACME != nil {
		c.ACME = &link.ACMEDirectory{URL: r.ACME.URL, Roots: r.ACME.Roots, Email: r.ACME.Email}
	}
	return c, nil
}

// certify serves a Certify.
func (w *worker) certify(ctx context.Context, stream link.Stream, binder link.Binder) {
	var response CertifyResp
	certified, err := w.certified(ctx, stream, binder)
	response.Chain, response.After = certified.Chain, int64(certified.After/time.Second)
	if certified.ACME != nil {
		response.ACME = &CertifyingService{URL: certified.ACME.URL, Roots: certified.ACME.Roots, Email: certified.ACME.Email}
	}
	response.Error = w.errorText(ctx, err)
	w.reply(ctx, stream, nil, response)
}

func (w *worker) certified(ctx context.Context, stream link.Stream, binder link.Binder) (link.Certified, error) {
	var request Certify
	if err := Read(stream, &request); err != nil {
		return link.Certified{}, err
	}
	if err := CheckBindID(request.ID); err != nil {
		return link.Certified{}, err
	}
	if len(request.CSR) > maxCSR {
		return link.Certified{}, postern.Errorf(postern.CodeSigningRequestInvalid, "the request has %d bytes; at most %d are read", len(request.CSR), maxCSR)
	}
	certifier, ok := binder.(link.Certifier)
	if !ok {
		return link.Certified{}, postern.Errorf(postern.CodeOptionUnsupported, "this session is given no certificates")
	}
	return certifier.Certify(ctx, link.CertificateRequest{Endpoint: request.ID, CSR: request.CSR})
}
