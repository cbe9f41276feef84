package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
)

const (
	leafLife     = 90 * 24 * time.Hour
	leafBackdate = 24 * time.Hour // for visitors whose clocks are behind
	leavesKept   = 4096           // about 10 MB
)

// LocalConfig says what a local CA vouches for. Dir, Domains and Logger are required.
type LocalConfig struct {
	// Dir holds the root and its key; it is made if it does not exist.
	Dir string

	// Domains are ours: certificates are made for them and for every name below.
	// The first is the server's domain. "localhost" need not be named.
	Domains []postern.Hostname

	// Addresses are what we listen on, spelled out: no unspecified ones. The default
	// certificate carries those that the root covers; loopback always is.
	Addresses []netip.Addr

	// Custom tells whether a name that is below none of Domains is served here none
	// the less; nil is never. Such names get certificates of a second CA, which
	// nobody is asked to trust, because the first may not vouch for them.
	Custom func(postern.Hostname) bool

	Now    func() time.Time // nil: time.Now
	Logger *slog.Logger
}

// LocalCA makes certificates on demand. All methods may be called from anywhere at
// once. Certificates are made and renewed in memory and never stored; only the two
// roots are.
type LocalCA struct {
	config  LocalConfig
	domains []postern.Hostname
	custom  *authority
	key     *ecdsa.PrivateKey // of every leaf of this process

	now      atomic.Pointer[generation]
	rotating sync.Mutex // held while the files of the roots change
}

// generation is what is in force between two steps of a rotation; it never changes, but
// for what is kept in leaves.
type generation struct {
	root     *authority // signs
	next     *authority // will, from switchAt on; nil while no rotation is under way
	switchAt time.Time
	cross    []byte // next's certificate for root's key
	leaves   *leafCache
	address  []net.IP // of the default certificate
}

// OpenLocalCA loads the CA from c.Dir, or makes it there once. The caller holds the
// lock of the data directory, so that two processes cannot make two roots.
//
// The root is constrained to c.Domains, "localhost", loopback and c.Addresses as
// they are when it is made. A root that does not cover a domain is CodeConfigInvalid:
// making another one unasked would break everybody who trusts this one. A key that
// others can read or that does not fit its certificate is CodeConfigInvalid too.
func OpenLocalCA(c LocalConfig) (*LocalCA, error) {
	if len(c.Domains) == 0 {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "the local CA needs at least one domain")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := makeDir(c.Dir); err != nil {
		return nil, err
	}
	ca := &LocalCA{config: c, domains: permittedDomains(c)}
	if err := ca.load(); err != nil {
		return nil, err
	}
	custom, err := openAuthority(filepath.Join(c.Dir, "custom-ca"), customTemplate())
	if err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of the local CA's certificates: %w", err)
	}
	ca.custom, ca.key = custom, key
	return ca, nil
}

// RootFile is the path of the root certificate, in PEM, for clients to trust; during a
// rotation it has both.
func (ca *LocalCA) RootFile() string { return ca.file("ca.pem") }

// Root returns the root certificate that signs.
func (ca *LocalCA) Root() *x509.Certificate { return ca.now.Load().root.cert }

// Newest returns the root certificate that new clients do best to trust: the next one
// during a rotation.
func (ca *LocalCA) Newest() *x509.Certificate {
	g := ca.now.Load()
	if g.next != nil {
		return g.next.cert
	}
	return g.root.cert
}

// GetCertificate is tls.Config's. A client that names nobody, as one that dials an
// address does, gets the default certificate. To an agent the root is sent as well, the
// newest last: who logs in to a server for the first time compares its fingerprint. At a
// custom name, such as an agent ingress, that is the root of the second CA.
func (ca *LocalCA) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	g := ca.now.Load()
	leaf, err := ca.certificate(g, hello)
	if err != nil || leaf == nil || !slices.Contains(hello.SupportedProtos, alpnAgent) {
		return leaf, err
	}
	chain := *leaf
	if bytes.Equal(leaf.Leaf.RawIssuer, ca.custom.cert.RawSubject) {
		chain.Certificate = append(slices.Clip(chain.Certificate), ca.custom.cert.Raw)
		return &chain, nil
	}
	chain.Certificate = append(slices.Clip(chain.Certificate), g.root.cert.Raw)
	if g.next != nil {
		chain.Certificate = append(chain.Certificate, g.next.cert.Raw)
	}
	return &chain, nil
}

// alpnAgent is the ALPN of our own agents.
const alpnAgent = "postern/1"

func (ca *LocalCA) certificate(g *generation, hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName == "" {
		return ca.leaf(g, "", g.root)
	}
	name, err := postern.ParseHostname(hello.ServerName)
	if err != nil || name.Wildcard() {
		return nil, nil // no name of ours, whatever it is
	}
	switch {
	case ca.ours(name):
		return ca.leaf(g, name, g.root)
	case ca.config.Custom != nil && ca.config.Custom(name):
		return ca.leaf(g, name, ca.custom)
	}
	return nil, nil
}

func (ca *LocalCA) ours(name postern.Hostname) bool {
	return slices.ContainsFunc(ca.domains, func(domain postern.Hostname) bool {
		return name == domain || name.Under(domain)
	})
}

// leaf returns a certificate for the name ("" is the default one) that is good for a
// third of its life at least.
func (ca *LocalCA) leaf(g *generation, name postern.Hostname, issuer *authority) (*tls.Certificate, error) {
	now := ca.config.Now().Round(0) // the wall clock, as verifiers see it: it may be set
	if kept := g.leaves.get(name, now); kept != nil {
		return kept, nil
	}
	template := leafTemplate(now)
	if name == "" {
		template.DNSNames = []string{"connect." + ca.config.Domains[0].String(), "localhost"}
		template.IPAddresses = g.address
	} else {
		template.DNSNames = []string{name.String()}
	}
	template.Subject = subject(template.DNSNames[0])
	cert, err := issuer.issue(template, ca.key)
	if err != nil {
		return nil, err
	}
	if g.cross != nil && issuer == g.root {
		cert.Certificate = append(cert.Certificate, g.cross)
	}
	g.leaves.put(name, cert, now.Add(cert.Leaf.NotAfter.Sub(now)*2/3))
	return cert, nil
}

func leafTemplate(now time.Time) *x509.Certificate {
	return &x509.Certificate{
		NotBefore:   now.Add(-leafBackdate),
		NotAfter:    now.Add(leafLife),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

// subject names a leaf. Verifiers go by the alternative names; a common name longer
// than X.520 allows would make some of them refuse all of it.
func subject(name string) pkix.Name {
	const longestCommonName = 64
	if len(name) > longestCommonName {
		return pkix.Name{Organization: []string{"Postern"}}
	}
	return pkix.Name{CommonName: name}
}

// coveredAddresses leaves out what the root may not vouch for: one address too many
// would make verifiers refuse the default certificate altogether.
func (ca *LocalCA) coveredAddresses(root *authority) []net.IP {
	addresses := []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}
	for _, a := range ca.config.Addresses {
		a = a.Unmap().WithZone("")
		ip := net.IP(a.AsSlice())
		if !a.IsValid() || a.IsUnspecified() || slices.ContainsFunc(addresses, ip.Equal) {
			continue
		}
		if !slices.ContainsFunc(root.cert.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(ip) }) {
			ca.config.Logger.Warn("the local CA was made before this machine had the address; agents cannot dial it by address",
				slog.String("address", a.String()), slog.String("ca", root.certFile))
			continue
		}
		addresses = append(addresses, ip)
	}
	return addresses
}

// covers checks that the root may vouch for every domain of the configuration.
func covers(root *x509.Certificate, c LocalConfig) error {
	var errs []error
	for _, domain := range c.Domains {
		covered := slices.ContainsFunc(root.PermittedDNSDomains, func(permitted string) bool {
			p := postern.Hostname(permitted)
			return domain == p || domain.Under(p)
		})
		if !covered {
			errs = append(errs, fmt.Errorf("domain %s is not among %v", domain, root.PermittedDNSDomains))
		}
	}
	if len(errs) > 0 {
		return postern.Errorf(postern.CodeConfigInvalid,
			"the local CA in %s was made for other domains: %v; move that directory away to have a new CA, which clients must then trust anew",
			c.Dir, errors.Join(errs...))
	}
	return nil
}
