package authority

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

const (
	// ListLife is how long a revocation list is good for unless told otherwise. After it
	// the CA has to sign it anew.
	ListLife    = 365 * day
	longestList = 10 * 365 * day
)

// Reason is why a certificate was taken back (RFC 5280 §5.3.1).
type Reason int

// The reasons that make sense for leaves.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	PrivilegeWithdrawn   Reason = 9
)

// reasons are the words for them, in the order of help texts.
var reasons = []struct {
	word string
	Reason
}{
	{"unspecified", Unspecified}, {"key-compromise", KeyCompromise}, {"affiliation-changed", AffiliationChanged},
	{"superseded", Superseded}, {"cessation", CessationOfOperation}, {"privilege-withdrawn", PrivilegeWithdrawn},
}

// Reasons are the words that ParseReason knows.
func Reasons() []string {
	words := make([]string, len(reasons))
	for i, r := range reasons {
		words[i] = r.word
	}
	return words
}

// ParseReason reads one of Reasons; "" is Unspecified.
func ParseReason(word string) (Reason, error) {
	for _, r := range reasons {
		if r.word == word || word == "" {
			return r.Reason, nil
		}
	}
	return 0, postern.Errorf(postern.CodeFlagInvalid, "--reason %q is not one of %s", clip(word), strings.Join(Reasons(), ", "))
}

func (r Reason) String() string {
	for _, known := range reasons {
		if known.Reason == r {
			return known.word
		}
	}
	return fmt.Sprintf("reason %d", int(r))
}

// Revoke takes certificates back and signs the list anew. Those that were taken back
// already keep their date; the others are returned.
func (a *Authority) Revoke(records []Record, why Reason) ([]Record, error) {
	var done []Record
	err := a.changeList(ListLife, func(entries []x509.RevocationListEntry) []x509.RevocationListEntry {
		now := a.now().UTC().Truncate(time.Second)
		for _, r := range records {
			known := func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(r.SerialNumber) == 0 }
			if slices.ContainsFunc(entries, known) {
				continue
			}
			entries = append(entries, x509.RevocationListEntry{SerialNumber: r.SerialNumber, RevocationTime: now, ReasonCode: int(why)})
			r.RevokedAt, r.Reason = now, why
			done = append(done, r)
		}
		return entries
	})
	return done, err
}

// Renew signs the revocation list anew, so that it is good for a life from now on.
func (a *Authority) Renew(life time.Duration) error {
	life, err := bounded("the revocation list", life, ListLife, longestList)
	if err != nil {
		return err
	}
	return a.changeList(life, func(entries []x509.RevocationListEntry) []x509.RevocationListEntry { return entries })
}

func (a *Authority) changeList(life time.Duration, change func([]x509.RevocationListEntry) []x509.RevocationListEntry) error {
	unlock, err := a.lock()
	if err != nil {
		return err
	}
	defer unlock()
	signer, err := a.signer()
	if err != nil {
		return err
	}
	number := big.NewInt(1)
	var entries []x509.RevocationListEntry
	switch list, err := a.List(); {
	case err == nil:
		entries = list.RevokedCertificateEntries
		if list.Number != nil {
			number.Add(list.Number, number)
		}
	case !postern.HasCode(err, postern.CodeNotFound): // a first list is made where none is
		return err
	}
	text, err := a.signList(signer, change(entries), number, life)
	if err != nil {
		return err
	}
	return put(a.dir, true, file{listFile, text, public})
}

// signList makes a list, which no CA's end outlasts.
func (a *Authority) signList(signer crypto.Signer, entries []x509.RevocationListEntry, number *big.Int, life time.Duration) ([]byte, error) {
	now := a.now()
	next := now.Add(life)
	if next.After(a.Certificate.NotAfter) {
		next = a.Certificate.NotAfter
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		RevokedCertificateEntries: entries,
		Number:                    number,
		ThisUpdate:                now.Add(-backdate),
		NextUpdate:                next,
	}, a.Certificate, signer)
	if err != nil {
		return nil, fmt.Errorf("revocation list: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}), nil
}

// List is the revocation list as it stands. Where there is none it is CodeNotFound; one
// that this CA did not sign is CodeAuthorityUnusable.
func (a *Authority) List() (*x509.RevocationList, error) {
	path := a.path(listFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, postern.Errorf(postern.CodeNotFound, "there is no revocation list at %s; \"postern ca crl\" makes one", path)
	}
	if err != nil {
		return nil, unreadable(path, err)
	}
	unusable := func(why string) error {
		return postern.Errorf(postern.CodeAuthorityUnusable, "the revocation list %s %s. It is the record of what was revoked: put the right one back, or remove it and revoke again", path, why)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "X509 CRL" {
		return nil, unusable("has no X509 CRL in PEM")
	}
	list, err := x509.ParseRevocationList(block.Bytes)
	if err != nil {
		return nil, unusable("cannot be read: " + strings.TrimPrefix(err.Error(), "x509: "))
	}
	if err := list.CheckSignatureFrom(a.Certificate); err != nil {
		return nil, unusable("was not signed by this CA")
	}
	return list, nil
}

// revocations are the list's entries by serial number.
func (a *Authority) revocations() (map[string]x509.RevocationListEntry, error) {
	list, err := a.List()
	if postern.HasCode(err, postern.CodeNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	entries := map[string]x509.RevocationListEntry{}
	for _, e := range list.RevokedCertificateEntries {
		entries[material.Serial(e.SerialNumber)] = e
	}
	return entries, nil
}
