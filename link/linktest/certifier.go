package linktest

import (
	"context"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Sign has requests for certificates answered by f, and refused while there is none.
func (a *Admitted) Sign(f func(link.CertificateRequest) (link.Certified, error)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.signs = f
}

// Certify implements link.Certifier.
func (a *Admitted) Certify(_ context.Context, r link.CertificateRequest) (link.Certified, error) {
	a.mu.Lock()
	signs := a.signs
	a.mu.Unlock()
	if signs == nil {
		return link.Certified{}, postern.Errorf(postern.CodeOptionUnsupported, "nothing is signed here")
	}
	return signs(r)
}

var _ link.Certifier = (*Admitted)(nil)
