package dial

import (
	"crypto/x509"
	"errors"
	"io/fs"
	"os"

	"github.com/postern-dev/postern"
)

// Pool gives the certificate authorities to trust: those of this system for "",
// "trusted" and "host" (ngrok's words: we have no list of our own), else those of
// the PEM file cas. A file that cannot be read or holds no certificate is
// CodeFileUnreadable or CodeConfigInvalid.
func Pool(cas string) (*x509.CertPool, error) {
	switch cas {
	case "", "trusted", "host":
		pool, err := x509.SystemCertPool()
		if err != nil {
			return nil, postern.Errorf(postern.CodeConfigInvalid, "this system's certificate authorities cannot be read").Because(err)
		}
		return pool, nil
	}
	text, err := os.ReadFile(cas)
	if err != nil {
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the file of certificate authorities %q cannot be read: %v", cas, err).Because(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "the file %q holds no PEM certificate", cas)
	}
	return pool, nil
}

// ServerPool is Pool for an agent's server: "" and "trusted" are this system's
// authorities and those of the PEM file saved, which need not exist; "host" is this
// system alone.
func ServerPool(cas, saved string) (*x509.CertPool, error) {
	pool, err := Pool(cas)
	if err != nil || cas != "" && cas != "trusted" || saved == "" {
		return pool, err
	}
	text, err := os.ReadFile(saved)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return pool, nil
	case err != nil:
		return nil, postern.Errorf(postern.CodeFileUnreadable, "the saved certificate authorities %q cannot be read: %v", saved, err).Because(err)
	case !pool.AppendCertsFromPEM(text):
		return nil, postern.Errorf(postern.CodeConfigInvalid, "the file %q holds no PEM certificate; log in to the server again", saved)
	}
	return pool, nil
}
