package authority

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

const (
	// LeafLife is how long certificates of servers and clients are good for unless told
	// otherwise.
	LeafLife = 90 * day

	// Clients refuse servers' certificates of longer lives, also those of private CAs.
	longestServer = 825 * day
	longestClient = 5 * 365 * day
)

const (
	roleServer = "server"
	roleClient = "client"
)

// Leaf says how to make a certificate of a server or client.
type Leaf struct {
	Life    time.Duration
	Key     KeyType
	Request *x509.CertificateRequest // of whoever has the key; nil is that a key is made
	Folder  string                   // "" is where the CA's layout has it
	Replace bool                     // the files that are there
}

// Issued is what was made.
type Issued struct {
	Record
	Folder      string
	Certificate string // paths of the files
	Key         string // "" where the key is elsewhere
	Archive     string // PKCS #12, if it was asked for
	Readme      string // a client's page
	Curl        string // a client's line, to be given in its folder
	Shortened   bool   // it ends with the CA, earlier than asked for
}

// Server makes a certificate for a server of these names; those of a signing request,
// where there are none. Errors are CodeHostnameInvalid and CodeFlagInvalid (what was asked
// for), CodeConflict (files are there) and CodeAuthorityUnusable.
func (a *Authority) Server(names []string, l Leaf) (Issued, error) {
	if len(names) == 0 && l.Request != nil {
		names = requested(l.Request)
	}
	parsed, err := parseNames(names)
	if err != nil {
		return Issued{}, err
	}
	life, err := bounded("a server's certificate", l.Life, LeafLife, longestServer)
	if err != nil {
		return Issued{}, err
	}
	common := shortest(parsed)
	if common == a.Certificate.Subject.CommonName {
		common = "" // with the subject of its CA it would pass for self-signed
	}
	t := a.leafTemplate(common, life, x509.ExtKeyUsageServerAuth)
	for _, name := range parsed {
		if name.Address.IsValid() {
			t.IPAddresses = append(t.IPAddresses, name.Address.AsSlice())
		} else {
			t.DNSNames = append(t.DNSNames, name.Host.String())
		}
	}
	first := parsed[0].String()
	if rest, wildcard := strings.CutPrefix(first, "*."); wildcard {
		first = "wildcard." + rest
	}
	return a.issue(roleServer, first, t, l, nil)
}

// shortest is the first name that fits into a common name; "" is none, which clients do
// not mind.
func shortest(names []Name) string {
	for _, name := range names {
		if text := name.String(); len(text) <= maxCommonName {
			return text
		}
	}
	return ""
}

func (a *Authority) leafTemplate(commonName string, life time.Duration, purpose x509.ExtKeyUsage) *x509.Certificate {
	now := a.now()
	return &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: commonName},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(life),
		ExtKeyUsage:           []x509.ExtKeyUsage{purpose},
		BasicConstraintsValid: true,
	}
}

// issue signs and writes. more makes the files of the role beyond certificate and key; it
// is called when the certificate is there.
func (a *Authority) issue(role, name string, t *x509.Certificate, l Leaf, more func(*Issued, crypto.Signer) ([]file, error)) (Issued, error) {
	unlock, err := a.lock()
	if err != nil {
		return Issued{}, err
	}
	defer unlock()
	signer, err := a.signer()
	if err != nil {
		return Issued{}, err
	}
	key, files, err := a.keyFor(role, t, l)
	if err != nil {
		return Issued{}, err
	}
	made := Issued{Folder: l.Folder}
	if made.Folder == "" {
		made.Folder = a.path(a.layout.folder(role, name))
	}
	if t.NotAfter.After(a.Certificate.NotAfter) {
		t.NotAfter, made.Shortened = a.Certificate.NotAfter, true
	}
	certificate, err := a.sign(t, signer)
	if err != nil {
		return Issued{}, err
	}
	made.Record = Record{Certificate: certificate}
	files = append(files, file{a.layout.certificate(role), certificatePEM(certificate), public})
	if !sameFolder(made.Folder, a.dir) || a.layout == Tree {
		files = append(files, file{a.layout.caCertificate(), certificatePEM(a.Certificate), public})
	}
	made.fill(a.layout, role, key != nil)
	if more != nil {
		extra, err := more(&made, key)
		if err != nil {
			return Issued{}, err
		}
		files = append(files, extra...)
	}
	// First the record: what exists can be taken back.
	if err := put(a.path(issuedDir), false, file{recordName(certificate), certificatePEM(certificate), public}); err != nil {
		return Issued{}, err
	}
	if err := put(made.Folder, l.Replace, files...); err != nil {
		a.forget(certificate) // nobody has got it
		return Issued{}, err
	}
	return made, nil
}

// fill sets the paths.
func (i *Issued) fill(layout Layout, role string, withKey bool) {
	i.Certificate = filepath.Join(i.Folder, layout.certificate(role))
	if withKey {
		i.Key = filepath.Join(i.Folder, layout.key(role))
	}
}

// keyFor makes the key of a leaf, or takes the public one of the request.
func (a *Authority) keyFor(role string, t *x509.Certificate, l Leaf) (crypto.Signer, []file, error) {
	if l.Request != nil {
		if weak, is := l.Request.PublicKey.(*rsa.PublicKey); is && weak.N.BitLen() < 2048 {
			return nil, nil, postern.Errorf(postern.CodeFlagInvalid, "--csr: the request is for an RSA key of %d bits; clients refuse keys of less than 2048", weak.N.BitLen())
		}
		t.PublicKey, t.KeyUsage, t.SubjectKeyId = l.Request.PublicKey, usageOf(l.Request.PublicKey), keyID(l.Request.PublicKey)
		return nil, nil, nil
	}
	key, text, err := makeKey(l.Key)
	if err != nil {
		return nil, nil, err
	}
	t.PublicKey, t.KeyUsage, t.SubjectKeyId = key.Public(), usageOf(key.Public()), keyID(key.Public())
	return key, []file{{a.layout.key(role), text, private}}, nil
}

// sign makes the certificate and sees that clients of this CA accept it.
func (a *Authority) sign(t *x509.Certificate, signer crypto.Signer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, t, a.Certificate, t.PublicKey, signer)
	if err != nil {
		return nil, fmt.Errorf("certificate for %q: %w", t.Subject.CommonName, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("certificate for %q: %w", t.Subject.CommonName, err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(a.Certificate)
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: a.now(), KeyUsages: t.ExtKeyUsage}); err != nil {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "the CA %q may not vouch for this: %s. It vouches for %s; other names need a CA of their own (postern ca init --dir …)",
			a.Certificate.Subject.CommonName, strings.TrimPrefix(err.Error(), "x509: "), strings.Join(Permitted(a.Certificate), ", "))
	}
	return certificate, nil
}

// Permitted are the names and addresses that a CA vouches for.
func Permitted(ca *x509.Certificate) []string {
	names := append([]string(nil), ca.PermittedDNSDomains...)
	for _, network := range ca.PermittedIPRanges {
		names = append(names, network.String())
	}
	if len(names) == 0 {
		return []string{"every name"}
	}
	return names
}

func sameFolder(a, b string) bool {
	a, errA := filepath.Abs(a)
	b, errB := filepath.Abs(b)
	return errA == nil && errB == nil && a == b
}
