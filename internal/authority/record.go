package authority

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

// Record is a certificate that was issued, and what became of it.
type Record struct {
	*x509.Certificate
	RevokedAt time.Time // zero where it was not
	Reason    Reason
}

// Status is a record's in one word: valid, revoked, expired or future.
func (r Record) Status(now time.Time) string {
	switch {
	case !r.RevokedAt.IsZero():
		return "revoked"
	case now.After(r.NotAfter):
		return "expired"
	case now.Before(r.NotBefore):
		return "future"
	}
	return "valid"
}

// Role is "server", "client", or "server, client".
func (r Record) Role() string {
	var roles []string
	for _, usage := range r.ExtKeyUsage {
		switch usage {
		case x509.ExtKeyUsageServerAuth:
			roles = append(roles, roleServer)
		case x509.ExtKeyUsageClientAuth:
			roles = append(roles, roleClient)
		}
	}
	return strings.Join(roles, ", ")
}

// Names are all that the certificate is for, the common name first.
func (r Record) Names() []string {
	names := []string{}
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	add(r.Subject.CommonName)
	for _, name := range slices.Concat(r.DNSNames, r.EmailAddresses) {
		add(name)
	}
	for _, address := range r.IPAddresses {
		add(address.String())
	}
	return names
}

// Fingerprint is how people compare certificates.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func recordName(c *x509.Certificate) string { return material.Serial(c.SerialNumber) + ".pem" }

func (a *Authority) forget(c *x509.Certificate) {
	_ = os.Remove(filepath.Join(a.path(issuedDir), recordName(c))) // at worst one too many is listed
}

// Records are all certificates that the CA has issued, the newest first.
func (a *Authority) Records() ([]Record, error) {
	folder := a.path(issuedDir)
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, unreadable(folder, err)
	}
	revoked, err := a.revocations()
	if err != nil {
		return nil, err
	}
	var records []Record
	for _, entry := range entries {
		if !strings.HasSuffix(entry.Name(), ".pem") {
			continue
		}
		certificates, err := ReadCertificates(filepath.Join(folder, entry.Name()))
		if err != nil {
			return nil, err
		}
		r := Record{Certificate: certificates[0]}
		if !bytes.Equal(r.AuthorityKeyId, a.Certificate.SubjectKeyId) {
			continue // of a CA that was replaced by this one
		}
		if entry, found := revoked[material.Serial(r.SerialNumber)]; found {
			r.RevokedAt, r.Reason = entry.RevocationTime, Reason(entry.ReasonCode)
		}
		records = append(records, r)
	}
	slices.SortStableFunc(records, func(x, y Record) int { return y.NotBefore.Compare(x.NotBefore) })
	return records, nil
}

// Find looks certificates up by serial number, by a name that they are for, or by the
// path of a file that has one. None is CodeFlagInvalid.
func (a *Authority) Find(query string) ([]Record, error) {
	records, err := a.Records()
	if err != nil {
		return nil, err
	}
	digits := strings.ToUpper(strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(query, ":", "")), "0x"))
	var found []Record
	for _, r := range records {
		if material.Serial(r.SerialNumber) == digits || slices.ContainsFunc(r.Names(), func(name string) bool { return strings.EqualFold(name, query) }) {
			found = append(found, r)
		}
	}
	if len(found) > 0 {
		return found, nil
	}
	if info, err := os.Stat(query); err == nil && info.Mode().IsRegular() {
		certificates, err := ReadCertificates(query)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			if r.Equal(certificates[0]) {
				return []Record{r}, nil
			}
		}
		return nil, postern.Errorf(postern.CodeFlagInvalid, "the certificate in %s was not issued by the CA in %s", query, a.dir)
	}
	return nil, postern.Errorf(postern.CodeFlagInvalid, "the CA in %s has issued nothing with the name or serial number %q; \"postern ca list\" shows what it has", a.dir, clip(query))
}

func certificatePEM(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
