package authority

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"time"

	"github.com/postern-dev/postern"
)

const (
	// RootLife is how long a CA is good for unless told otherwise.
	RootLife = 10 * 365 * day
	// longestRoot bounds what can be asked for.
	longestRoot = 30 * 365 * day

	day      = 24 * time.Hour
	backdate = time.Hour // for clocks that are behind
)

// Authority is a CA in a directory, which several processes may use at once: whoever
// changes it takes a lock, for which others wait a while, and then get CodeConflict.
type Authority struct {
	Certificate *x509.Certificate
	// Passphrase opens the CA's key where somebody has encrypted it.
	Passphrase postern.Secret

	dir    string
	layout Layout
	now    func() time.Time
}

// Root says what CA to make.
type Root struct {
	Name    string   // the common name; "" is one with today's date
	Domains []string // names and addresses that it may vouch for; none is any
	Life    time.Duration
	Key     KeyType
	Layout  Layout
	Replace bool // what is there already
}

// Init makes a CA in a directory, which it makes too, and an empty revocation list.
// Errors are CodeFlagInvalid and CodeHostnameInvalid (what Root says), CodeConflict
// (there is one) and CodeFileUnreadable (it cannot be written).
func Init(dir string, r Root, now func() time.Time) (*Authority, error) {
	a := &Authority{dir: dir, layout: r.Layout, now: now}
	template, err := r.template(now())
	if err != nil {
		return nil, err
	}
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	unlock, err := a.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := a.vacant(r.Replace); err != nil {
		return nil, err
	}
	key, keyPEM, err := makeKey(r.Key)
	if err != nil {
		return nil, err
	}
	template.SubjectKeyId = keyID(key.Public())
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("certificate of the CA: %w", err)
	}
	if a.Certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("certificate of the CA: %w", err)
	}
	list, err := a.signList(key, nil, big.NewInt(1), ListLife)
	if err != nil {
		return nil, err
	}
	return a, put(dir, r.Replace,
		file{a.layout.caKey(), keyPEM, private},
		file{a.layout.caCertificate(), certificatePEM(a.Certificate), public},
		file{listFile, list, public})
}

// vacant sees that no CA is lost: nobody could take back what another has issued.
func (a *Authority) vacant(replace bool) error {
	for _, layout := range []Layout{Tree, Guide} {
		for _, name := range []string{layout.caKey(), layout.caCertificate()} {
			path := a.path(name)
			if _, err := os.Lstat(path); err == nil && (!replace || layout != a.layout) {
				return postern.Errorf(postern.CodeConflict, "there is a CA in %s already (%s). Give another --dir, or --force to replace it; what it has issued is worth nothing then", a.dir, name)
			}
		}
	}
	return nil
}

// Open reads the certificate of the CA in a directory, and not its key. Errors are
// CodeFileUnreadable, CodeMaterialInvalid and CodeAuthorityUnusable.
func Open(dir string, now func() time.Time) (*Authority, error) {
	a := &Authority{dir: dir, layout: Tree, now: now}
	certificates, err := ReadCertificates(a.path(Tree.caCertificate()))
	if errors.Is(err, fs.ErrNotExist) {
		a.layout = Guide
		certificates, err = ReadCertificates(a.path(Guide.caCertificate()))
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, postern.Errorf(postern.CodeAuthorityUnusable, "there is no CA in %s: neither %s nor %s is there. \"postern ca init\" makes one; --dir says where it is",
			dir, Tree.caCertificate(), Guide.caCertificate())
	}
	if err != nil {
		return nil, err
	}
	a.Certificate = certificates[0]
	return a, a.check()
}

// check refuses CAs that cannot issue anything that a client would accept.
func (a *Authority) check() error {
	path, c := a.path(a.layout.caCertificate()), a.Certificate
	switch {
	case c.Version < 3 || !c.BasicConstraintsValid || !c.IsCA:
		return postern.Errorf(postern.CodeAuthorityUnusable,
			"%s is not the certificate of a CA by what it says of itself (X.509 version %d, no basic constraints with CA:TRUE), so no client accepts what it signs. Make one with \"postern ca init\"", path, c.Version)
	case c.KeyUsage != 0 && c.KeyUsage&x509.KeyUsageCertSign == 0:
		return postern.Errorf(postern.CodeAuthorityUnusable, "%s may not sign certificates by its key usage. Make a CA with \"postern ca init\"", path)
	}
	return nil
}

// signer reads the CA's key, for which the CA must be in its days.
func (a *Authority) signer() (crypto.Signer, error) {
	if now := a.now(); now.After(a.Certificate.NotAfter) {
		return nil, postern.Errorf(postern.CodeAuthorityUnusable, "the CA %q expired on %s; make a new one with \"postern ca init\" in another --dir",
			a.Certificate.Subject.CommonName, a.Certificate.NotAfter.Format(time.DateOnly))
	}
	path := a.path(a.layout.caKey())
	key, err := readKey(path, a.Passphrase)
	if err != nil {
		return nil, err
	}
	if !samePublic(key.Public(), a.Certificate.PublicKey) {
		return nil, postern.Errorf(postern.CodeAuthorityUnusable, "the key %s is not that of the certificate %s", path, a.path(a.layout.caCertificate()))
	}
	return key, nil
}

// Dir is the CA's directory.
func (a *Authority) Dir() string { return a.dir }

// CertificateFile is where servers and clients find the CA's certificate.
func (a *Authority) CertificateFile() string { return a.path(a.layout.caCertificate()) }

// KeyFile is where the CA's key is.
func (a *Authority) KeyFile() string { return a.path(a.layout.caKey()) }

// ListFile is where the revocation list is.
func (a *Authority) ListFile() string { return a.path(listFile) }

// template checks what is asked for.
func (r Root) template(now time.Time) (*x509.Certificate, error) {
	if err := r.Layout.check(); err != nil {
		return nil, err
	}
	life, err := bounded("the CA", r.Life, RootLife, longestRoot)
	if err != nil {
		return nil, err
	}
	name := r.Name
	if name == "" {
		name = "Postern CA of " + now.UTC().Format(time.DateOnly)
	}
	if name, err = checkCommonName("--name", name); err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(life),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
	}
	return t, r.constrain(t)
}

// constrain has the CA vouch for its own names only (RFC 5280 §4.2.1.10), so that a
// stolen key is worth little. A CA for names vouches for no addresses but loopback's.
func (r Root) constrain(t *x509.Certificate) error {
	if len(r.Domains) == 0 {
		return nil
	}
	t.PermittedDNSDomainsCritical = true
	t.PermittedIPRanges = []*net.IPNet{
		{IP: net.IPv4(127, 0, 0, 0).To4(), Mask: net.CIDRMask(8, 32)},
		{IP: net.IPv6loopback, Mask: net.CIDRMask(128, 128)},
	}
	t.PermittedDNSDomains = []string{"localhost"}
	for _, text := range r.Domains {
		found, err := ParseName(text)
		if err != nil {
			return err
		}
		if address := found.Address; address.IsValid() {
			t.PermittedIPRanges = append(t.PermittedIPRanges, &net.IPNet{IP: address.AsSlice(), Mask: net.CIDRMask(address.BitLen(), address.BitLen())})
			continue
		}
		host := found.Host
		if host.Wildcard() {
			host = host.Parent() // a constraint covers what is below it anyway
		}
		t.PermittedDNSDomains = append(t.PermittedDNSDomains, host.String())
	}
	return nil
}

// bounded checks a life; 0 is the usual one.
func bounded(what string, life, usual, longest time.Duration) (time.Duration, error) {
	switch {
	case life == 0:
		return usual, nil
	case life < 0:
		return 0, postern.Errorf(postern.CodeFlagInvalid, "--days %d: %s must be good for a day at least", life/day, what)
	case life > longest:
		return 0, postern.Errorf(postern.CodeFlagInvalid, "--days %d: %s may be good for %d days at most", life/day, what, longest/day)
	}
	return life, nil
}

// serial is 127 random bits (RFC 5280 §4.1.2.2: positive, at most 20 bytes).
func serial() *big.Int {
	var bytes [16]byte
	_, _ = rand.Read(bytes[:]) // never fails
	bytes[0] = bytes[0]&0x7f | 0x40
	return new(big.Int).SetBytes(bytes[:])
}

// keyID names a key in certificates (RFC 7093 §2, method 4).
func keyID(key crypto.PublicKey) []byte {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil { // no key of ours
		return nil
	}
	sum := sha256.Sum256(der)
	return sum[:20]
}
