package pki

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"sync"

	"github.com/postern-dev/postern"
)

// parsedKept is how many certificates an Index keeps ready for handshakes, at least;
// at most twice as many. One takes about 10 KB.
const parsedKept = 2048

// Index finds the certificate for the name that a visitor asks for, among those of all
// accounts. It keeps a hundred thousand of them in little more memory than their bytes
// need: chains as they are, what signed them once, keys sealed. What handshakes need is
// made when one asks, and kept for those that are asked for most. Nothing is read from
// elsewhere: certificates are there while the database is not.
//
// The zero value is empty. All methods may be called from anywhere at once.
type Index struct {
	mu     sync.RWMutex
	byName map[postern.Hostname]*kept
	shared map[[sha256.Size]byte]*intermediate

	ready generations
}

// Entry is a certificate that an Index keeps.
type Entry struct {
	// ID changes when the certificate does.
	ID string
	// Chain is in PEM, its own certificate first.
	Chain string
	// Key gives the private key, PKCS #8. It is called when the key is needed, now and
	// then, by several at once, and must not block for long.
	Key func() ([]byte, error)
}

// kept is an Entry in memory. It does not change.
type kept struct {
	id     string
	leaf   []byte
	above  []*intermediate
	covers []string // the certificate's DNS names
	key    func() ([]byte, error)
}

// intermediate is a certificate that many chains have.
type intermediate struct {
	der  []byte
	uses int
}

// Set has a name stand for a certificate, in place of what it stood for. The name may be
// a wildcard. An error says that the chain cannot be read; the name then stands for what
// it stood for before.
func (x *Index) Set(name postern.Hostname, e Entry) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if before := x.byName[name]; before != nil && before.id == e.ID {
		return nil
	}
	one, err := x.keep(e)
	if err != nil {
		return err
	}
	if x.byName == nil {
		x.byName = make(map[postern.Hostname]*kept)
	}
	x.release(x.byName[name])
	x.byName[name] = one
	return nil
}

// Remove has a name stand for nothing.
func (x *Index) Remove(name postern.Hostname) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.release(x.byName[name])
	delete(x.byName, name)
}

// Has tells whether a name stands for the certificate with an id.
func (x *Index) Has(name postern.Hostname, id string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	one := x.byName[name]
	return one != nil && one.id == id
}

// Names are all that stand for something.
func (x *Index) Names() []postern.Hostname {
	x.mu.RLock()
	defer x.mu.RUnlock()
	names := make([]postern.Hostname, 0, len(x.byName))
	for name := range x.byName {
		names = append(names, name)
	}
	return names
}

// keep takes an entry apart.
func (x *Index) keep(e Entry) (*kept, error) {
	var chain [][]byte
	for rest := []byte(e.Chain); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		chain = append(chain, block.Bytes)
	}
	if len(chain) == 0 {
		return nil, errors.New("the chain has no certificate")
	}
	leaf, err := x509.ParseCertificate(chain[0])
	if err != nil {
		return nil, fmt.Errorf("the certificate cannot be read: %w", err)
	}
	one := &kept{id: e.ID, leaf: bytes.Clone(chain[0]), key: e.Key, covers: leaf.DNSNames}
	for _, der := range chain[1:] {
		one.above = append(one.above, x.intern(der))
	}
	return one, nil
}

func (x *Index) intern(der []byte) *intermediate {
	sum := sha256.Sum256(der)
	one := x.shared[sum]
	if one == nil {
		if x.shared == nil {
			x.shared = make(map[[sha256.Size]byte]*intermediate)
		}
		one = &intermediate{der: bytes.Clone(der)}
		x.shared[sum] = one
	}
	one.uses++
	return one
}

func (x *Index) release(one *kept) {
	if one == nil {
		return
	}
	for _, above := range one.above {
		if above.uses--; above.uses == 0 {
			delete(x.shared, sha256.Sum256(above.der))
		}
	}
}

// Find gives the certificate for a name: the name's own, else the nearest one above it,
// by a wildcard or without, that is good for the name. (nil, nil): there is none. An error
// says that there is one and its key cannot be had.
func (x *Index) Find(name postern.Hostname) (*tls.Certificate, error) {
	one := x.look(name)
	if one == nil {
		return nil, nil //nolint:nilnil // as tls.Config.GetCertificate has it
	}
	if ready := x.ready.get(one); ready != nil {
		return ready, nil
	}
	certificate, err := one.prepare()
	if err != nil {
		return nil, err
	}
	x.ready.put(one, certificate)
	return certificate, nil
}

// Covered tells whether Find would find something.
func (x *Index) Covered(name postern.Hostname) bool { return x.look(name) != nil }

func (x *Index) look(name postern.Hostname) *kept {
	if name == "" || name.Wildcard() {
		return nil
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	if len(x.byName) == 0 {
		return nil
	}
	if one := x.byName[name]; one != nil {
		return one
	}
	for above := name.Parent(); above != ""; above = above.Parent() {
		if one := x.byName["*."+above]; one != nil && one.goodFor(name) {
			return one
		}
		if one := x.byName[above]; one != nil && one.goodFor(name) {
			return one
		}
	}
	return nil
}

// goodFor tells whether the certificate says the name (RFC 9525 §6.3).
func (k *kept) goodFor(name postern.Hostname) bool {
	for _, pattern := range k.covers {
		if pattern == string(name) || len(pattern) > 2 && pattern[:2] == "*." && pattern[2:] == string(name.Parent()) {
			return true
		}
	}
	return false
}

// prepare makes what a handshake needs.
func (k *kept) prepare() (*tls.Certificate, error) {
	leaf, err := x509.ParseCertificate(k.leaf)
	if err != nil {
		return nil, err
	}
	encoded, err := k.key()
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(encoded)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("the key of %s signs nothing", k.id)
	}
	chain := make([][]byte, 1, 1+len(k.above))
	chain[0] = k.leaf
	for _, above := range k.above {
		chain = append(chain, above.der)
	}
	return &tls.Certificate{Certificate: chain, PrivateKey: key, Leaf: leaf}, nil
}

// generations keeps what was used last: what was neither made nor used since the younger
// one was begun is forgotten with the older.
type generations struct {
	mu             sync.Mutex
	younger, older map[*kept]*tls.Certificate
}

func (g *generations) get(k *kept) *tls.Certificate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if found := g.younger[k]; found != nil {
		return found
	}
	found := g.older[k]
	if found != nil {
		g.putLocked(k, found)
	}
	return found
}

func (g *generations) put(k *kept, certificate *tls.Certificate) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.putLocked(k, certificate)
}

func (g *generations) putLocked(k *kept, certificate *tls.Certificate) {
	if g.younger == nil || len(g.younger) >= parsedKept {
		g.older, g.younger = g.younger, make(map[*kept]*tls.Certificate)
	}
	g.younger[k] = certificate
}
