package pki

import (
	"crypto/tls"
	"os"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
)

// Pair names the files of a certificate (its own first, then its intermediates) and
// of its key, both in PEM.
type Pair struct {
	Certificate string
	Key         string
}

// Files serves certificates from files. All methods may be called from anywhere at
// once; GetCertificate never touches the disk.
type Files struct {
	pairs  []Pair
	loaded atomic.Pointer[loadedFiles]
}

// loadedFiles is one reading of all pairs; it never changes.
type loadedFiles struct {
	first  *tls.Certificate // for clients that name nobody
	byName map[postern.Hostname][]*tls.Certificate
	states []fileState
	expiry time.Time
}

// fileState tells whether a file is the one that was read.
type fileState struct {
	changed time.Time
	size    int64
}

// LoadFiles reads all pairs. Anything that is wrong with one of them, as a key that
// belongs to another certificate, is CodeConfigInvalid with the file's name; nothing
// is left out silently.
func LoadFiles(pairs []Pair) (*Files, error) {
	if len(pairs) == 0 {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "tls.files names no certificate; give at least one pair of certificate and key")
	}
	f := &Files{pairs: pairs}
	loaded, err := f.read()
	if err != nil {
		return nil, err
	}
	f.loaded.Store(loaded)
	return f, nil
}

// Reload reads all pairs again if one of their files has changed since, and tells
// whether new certificates are in force. On error the old ones stay in force and the
// next Reload tries again. The caller polls; Reload costs one stat a file.
func (f *Files) Reload() (bool, error) {
	states, err := f.states()
	if err != nil {
		return false, err
	}
	old := f.loaded.Load()
	same := true
	for i, state := range states {
		same = same && state == old.states[i]
	}
	if same {
		return false, nil
	}
	loaded, err := f.read()
	if err != nil {
		return false, err
	}
	f.loaded.Store(loaded)
	return true, nil
}

// Expiry is when the first of the certificates expires. One that has expired is
// served all the same: visitors may decide better than we whether to go on.
func (f *Files) Expiry() time.Time { return f.loaded.Load().expiry }

// First is the certificate of the first pair.
func (f *Files) First() *tls.Certificate { return f.loaded.Load().first }

// GetCertificate is tls.Config's: the certificate that names the server exactly, else
// by a wildcard for its last label, and of several one that the client can use. A
// client that names nobody gets the first pair.
func (f *Files) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	loaded := f.loaded.Load()
	if hello.ServerName == "" {
		return loaded.first, nil
	}
	name, err := postern.ParseHostname(hello.ServerName)
	if err != nil || name.Wildcard() {
		return nil, nil
	}
	if fit := fitting(loaded.byName[name], hello); fit != nil {
		return fit, nil
	}
	return fitting(loaded.byName["*."+name.Parent()], hello), nil
}

// fitting chooses among the certificates of one name, such as an ECDSA and an RSA one.
func fitting(certs []*tls.Certificate, hello *tls.ClientHelloInfo) *tls.Certificate {
	for _, cert := range certs {
		if hello.SupportsCertificate(cert) == nil {
			return cert
		}
	}
	if len(certs) > 0 {
		return certs[0] // the handshake's own error will be clearer than none
	}
	return nil
}

// read looks at the files' states first: one that changes while it is read is then
// read again at the next Reload.
func (f *Files) read() (*loadedFiles, error) {
	states, err := f.states()
	if err != nil {
		return nil, err
	}
	loaded := &loadedFiles{byName: make(map[postern.Hostname][]*tls.Certificate), states: states}
	for _, pair := range f.pairs {
		cert, err := tls.LoadX509KeyPair(pair.Certificate, pair.Key)
		if err != nil {
			return nil, postern.Errorf(postern.CodeConfigInvalid,
				"the certificate %s with the key %s cannot be used: %v", pair.Certificate, pair.Key, err).Because(err)
		}
		if err := loaded.add(pair, &cert); err != nil {
			return nil, err
		}
	}
	return loaded, nil
}

func (l *loadedFiles) add(pair Pair, cert *tls.Certificate) error {
	if len(cert.Leaf.DNSNames) == 0 {
		return postern.Errorf(postern.CodeConfigInvalid,
			"the certificate %s names no host in its subjectAltName; clients do not look anywhere else", pair.Certificate)
	}
	for _, text := range cert.Leaf.DNSNames {
		name, err := postern.ParseHostname(text)
		if err != nil {
			return postern.Errorf(postern.CodeConfigInvalid, "the certificate %s: %s", pair.Certificate, postern.AsError(err).Text())
		}
		l.byName[name] = append(l.byName[name], cert)
	}
	if l.first == nil {
		l.first = cert
	}
	if l.expiry.IsZero() || cert.Leaf.NotAfter.Before(l.expiry) {
		l.expiry = cert.Leaf.NotAfter
	}
	return nil
}

func (f *Files) states() ([]fileState, error) {
	states := make([]fileState, 0, 2*len(f.pairs))
	for _, pair := range f.pairs {
		for _, path := range []string{pair.Certificate, pair.Key} {
			info, err := os.Stat(path)
			if err != nil {
				return nil, postern.Errorf(postern.CodeFileUnreadable, "%s cannot be read: %v", path, err).Because(err)
			}
			states = append(states, fileState{changed: info.ModTime(), size: info.Size()})
		}
	}
	return states, nil
}
