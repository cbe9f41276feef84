package pki

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/disk"
)

// Rotation is the state of a change from one root to the next.
type Rotation struct {
	Root *x509.Certificate // signs what is served
	Next *x509.Certificate // will; nil while no rotation is under way

	// SwitchAt is when Next takes over.
	SwitchAt time.Time
}

// The files of a rotation, in the directory of the CA.
const (
	nextName     = "next-ca"       // .key and .pem of the root to come
	rotationName = "rotation.json" // is there as long as a rotation is under way

	// crossSlack is for how long the cross certificate is good beyond the overlap, for
	// visitors whose clocks are ahead.
	crossSlack = 7 * 24 * time.Hour
	// warnBefore is how long before the root's end the log says so.
	warnBefore = 180 * 24 * time.Hour
)

// rotationFile is rotation.json.
type rotationFile struct {
	SwitchAt time.Time `json:"switch_at"`
	// Switching is set before the first file of the root is replaced: from then on the
	// change is brought to its end, whatever the clock says.
	Switching bool `json:"switching,omitempty"`
}

// Rotate makes a root that takes over from today's at a time, and returns both. Until
// then clients are given both to trust, in RootFile, and what is served verifies with
// either one; from then on with the new one alone. Where a rotation is under way already,
// a time that is not after now ends it at once, and any other is CodeConflict. A time
// after the end of today's root is CodeFieldInvalid.
//
// The caller holds the lock of the data directory.
func (ca *LocalCA) Rotate(at time.Time) (Rotation, error) {
	ca.rotating.Lock()
	defer ca.rotating.Unlock()
	g := ca.now.Load()
	now := time.Now()
	if at.After(g.root.cert.NotAfter) {
		return Rotation{}, postern.Errorf(postern.CodeFieldInvalid, "the CA expires on %s; a new one has to take over before that", g.root.cert.NotAfter.Format(time.DateOnly))
	}
	if g.next != nil && at.After(now) {
		return Rotation{}, postern.Errorf(postern.CodeConflict, "a rotation is under way, and its new root takes over on %s; it can be had at once with an overlap of 0", g.switchAt.Format(time.RFC3339))
	}
	if g.next == nil {
		if err := removeFiles(ca.file(nextName+".key"), ca.file(nextName+".pem")); err != nil { // of one that was never begun
			return Rotation{}, err
		}
		if _, err := openAuthority(ca.file(nextName), nextTemplate(ca.config)); err != nil {
			return Rotation{}, err
		}
	}
	if err := ca.note(rotationFile{SwitchAt: at.UTC().Truncate(time.Second)}); err != nil {
		return Rotation{}, err
	}
	if err := ca.load(); err != nil {
		return Rotation{}, err
	}
	return ca.Rotation(), nil
}

// Rotation tells which root signs, and which will.
func (ca *LocalCA) Rotation() Rotation {
	g := ca.now.Load()
	r := Rotation{Root: g.root.cert}
	if g.next != nil {
		r.Next, r.SwitchAt = g.next.cert, g.switchAt
	}
	return r
}

// Advance has the next root take over if it is time, and tells whether it did. On error
// the one before signs on, and the next call tries again. The caller polls, and holds
// the lock of the data directory; mostly it costs a look at the clock.
func (ca *LocalCA) Advance() (bool, error) {
	if g := ca.now.Load(); g.next == nil || time.Now().Before(g.switchAt) {
		return false, nil
	}
	ca.rotating.Lock()
	defer ca.rotating.Unlock()
	before := ca.now.Load().root
	if err := ca.load(); err != nil {
		return false, err
	}
	return ca.now.Load().root != before, nil
}

// load reads the directory's files, after the step that is due, and puts them into force.
func (ca *LocalCA) load() error {
	state, under, err := ca.noted()
	if err != nil {
		return err
	}
	if under && (state.Switching || !time.Now().Before(state.SwitchAt)) {
		if err := ca.takeOver(state); err != nil {
			return err
		}
		under = false
	}
	root, err := openAuthority(ca.file("ca"), rootTemplate(ca.config))
	if err != nil {
		return err
	}
	if err := covers(root.cert, ca.config); err != nil {
		return err
	}
	g := &generation{root: root, leaves: newLeafCache(leavesKept)}
	g.address = ca.coveredAddresses(root)
	if under {
		if err := ca.announce(g, state.SwitchAt); err != nil {
			return err
		}
	} else if left := time.Until(root.cert.NotAfter); left < warnBefore {
		ca.config.Logger.Warn("the local CA expires; have a new one take over in time: postern server keys rotate-ca",
			"on", root.cert.NotAfter.Format(time.DateOnly), "ca", root.certFile)
	}
	ca.now.Store(g)
	return nil
}

// announce adds the root to come to a generation, and to the file that clients are given.
func (ca *LocalCA) announce(g *generation, at time.Time) error {
	for _, suffix := range []string{".key", ".pem"} { // clients may trust it already: another one is of no use
		if _, err := os.Stat(ca.file(nextName + suffix)); err != nil {
			return postern.Errorf(postern.CodeFileUnreadable, "the root that is to take over cannot be read: %v; restore it from a backup", err).Because(err)
		}
	}
	next, err := openAuthority(ca.file(nextName), nextTemplate(ca.config))
	if err != nil {
		return err
	}
	if err := covers(next.cert, ca.config); err != nil {
		return err
	}
	if g.cross, err = crossSign(g.root.cert, next, at.Add(crossSlack)); err != nil {
		return err
	}
	g.next, g.switchAt = next, at
	bundle := slices.Concat(pemOf(g.root.cert), pemOf(next.cert)) // the first is what openAuthority reads
	if there, err := os.ReadFile(g.root.certFile); err == nil && string(there) == string(bundle) {
		return nil
	}
	return writeFile(g.root.certFile, bundle, 0o644)
}

// takeOver makes the next root the root. It may be cut short after any step and is then
// done again: the next root's files go last.
func (ca *LocalCA) takeOver(state rotationFile) error {
	if !state.Switching {
		state.Switching = true
		if err := ca.note(state); err != nil {
			return err
		}
	}
	for _, file := range []struct {
		suffix string
		mode   fs.FileMode
	}{{".key", 0o600}, {".pem", 0o644}} {
		content, err := os.ReadFile(ca.file(nextName + file.suffix))
		if err != nil {
			return postern.Errorf(postern.CodeFileUnreadable, "the CA that takes over cannot be read: %v", err).Because(err)
		}
		if err := writeFile(ca.file("ca"+file.suffix), content, file.mode); err != nil {
			return err
		}
	}
	if err := removeFiles(ca.file(rotationName)); err != nil {
		return err
	}
	// On the disk first: a crash must not leave the note without the files.
	if err := disk.Sync(ca.config.Dir); err != nil {
		return fmt.Errorf("finish the CA's rotation: %w", err)
	}
	return removeFiles(ca.file(nextName+".key"), ca.file(nextName+".pem"))
}

func (ca *LocalCA) file(name string) string { return filepath.Join(ca.config.Dir, name) }

func (ca *LocalCA) note(state rotationFile) error {
	text, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("state of the CA's rotation: %w", err)
	}
	return writeFile(ca.file(rotationName), append(text, '\n'), 0o600)
}

// noted reads what note wrote, and tells whether it is there.
func (ca *LocalCA) noted() (state rotationFile, there bool, err error) {
	path := ca.file(rotationName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return state, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &state)
	}
	if err != nil || state.SwitchAt.IsZero() {
		return state, false, postern.Errorf(postern.CodeFileUnreadable, "the state of the CA's rotation, %s, cannot be read", path).Because(err)
	}
	return state, true, nil
}

func removeFiles(paths ...string) error {
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return postern.Errorf(postern.CodeConfigInvalid, "the local CA cannot be changed: %v", err).Because(err)
		}
	}
	return nil
}

// nextTemplate is a root that may vouch for another one's key, and has a name of its own:
// verifiers look for issuers by name.
func nextTemplate(c LocalConfig) *x509.Certificate {
	t := rootTemplate(c)
	t.MaxPathLen, t.MaxPathLenZero = 1, false
	t.Subject.SerialNumber = hex.EncodeToString(t.SerialNumber.Bytes()[:4])
	return t
}

// crossSign has the next root vouch for the key of today's. Who trusts the next one alone
// then accepts what today's signs, and who trusts today's alone does so anyway.
func crossSign(root *x509.Certificate, next *authority, until time.Time) ([]byte, error) {
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: root.Subject, RawSubject: root.RawSubject, SubjectKeyId: root.SubjectKeyId,
		NotBefore: now.Add(-leafBackdate), NotAfter: earliest(until, root.NotAfter, next.cert.NotAfter),
		KeyUsage: root.KeyUsage, ExtKeyUsage: root.ExtKeyUsage,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: root.PermittedDNSDomains, PermittedIPRanges: root.PermittedIPRanges,
	}
	key, ok := root.PublicKey.(*ecdsa.PublicKey)
	if !ok {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "the key of the local CA is not an ECDSA key")
	}
	der, err := x509.CreateCertificate(rand.Reader, template, next.cert, key, next.key)
	if err != nil {
		return nil, fmt.Errorf("cross certificate of the local CA: %w", err)
	}
	return der, nil
}

func earliest(first time.Time, others ...time.Time) time.Time {
	for _, other := range others {
		if other.Before(first) {
			first = other
		}
	}
	return first
}

func pemOf(cert *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})
}
