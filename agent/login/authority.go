package login

import (
	"context"
	"crypto/x509"

	"github.com/postern-dev/postern"
)

// Authority finds the certificate of the CA that vouches for the server, which the pin
// must name. No token is needed, and nothing is sent to the server. Errors are Run's.
func (l *Login) Authority(ctx context.Context) (*x509.Certificate, error) {
	return likeliest(ctx, l, l.authority)
}

func (l *Login) authority(ctx context.Context, address string, pin []byte) (*x509.Certificate, error) {
	chain, err := l.probe(ctx, address, l.Roots)
	untrusted := postern.HasCode(err, postern.CodeServerUntrusted)
	switch {
	case err != nil && !untrusted:
		return nil, err
	case pin == nil && !untrusted:
		return nil, postern.Errorf(postern.CodeFlagInvalid, "this machine trusts the certificate of %s already. To trust its CA by its fingerprint all the same, give --ca-pin", address)
	case pin == nil:
		return nil, refusal(address, chain, "nobody whom this system trusts vouches for it, and without --ca-pin it could be anybody's")
	}
	found := find(chain, pin)
	if found == nil {
		return nil, refusal(address, chain, "none of its certificates has the fingerprint of --ca-pin. Somebody else answers, or the pin is another server's")
	}
	if !found.IsCA {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "--ca-pin is the fingerprint of %s's own certificate, not of the CA that vouches for it; \"postern server bootstrap\" prints that one's", address)
	}
	roots := x509.NewCertPool()
	roots.AddCert(found)
	if _, err := l.probe(ctx, address, roots); err != nil {
		return nil, err
	}
	return found, nil
}
