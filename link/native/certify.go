package native

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// extensionCertify: the server signs for names that the session has online.
const extensionCertify = "certify"

// Certify asks for a certificate for the name of an endpoint, see link.Certifier.
func (c *Client) Certify(ctx context.Context, r link.CertificateRequest) (link.Certified, error) {
	if !c.certifies {
		return link.Certified{}, postern.Errorf(postern.CodeServerTooOld, "the server is too old to certify the keys of agents")
	}
	var response sessionmsg.CertifyResp
	if err := call(ctx, c.zero, sessionmsg.TypeCertify, sessionmsg.NewCertify(r), &response); err != nil {
		return link.Certified{}, err
	}
	return response.Certified()
}

var _ link.Certifier = (*Client)(nil)
