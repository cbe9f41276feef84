package mutualtls

import (
	"bytes"
	"crypto/x509"
	"time"

	"github.com/postern-dev/postern/internal/material"
)

// lists are the revocation lists of one issuer. What one of them revokes is revoked.
type lists struct {
	issuer  *x509.Certificate
	until   time.Time        // the latest next update; zero where a list has none
	revoked map[string]int64 // by serial number, as bytes: since when, in Unix seconds
}

// removedFromList is the reason removeFromCRL (RFC 5280 §5.3.1).
const removedFromList = 8

// addLists keeps who is on the lists.
func (p *Policy) addLists(given []*x509.RevocationList) {
	for _, list := range given {
		for _, authority := range p.authorities {
			if material.Issued(authority, list) {
				p.listsOf(authority, list.NextUpdate).add(list)
				break // the others that have signed it are the same issuer
			}
		}
	}
}

// listsOf finds or makes the lists of an issuer, of which one is good until a time.
func (p *Policy) listsOf(issuer *x509.Certificate, until time.Time) *lists {
	for _, l := range p.lists {
		if !sameIssuer(l.issuer, issuer) {
			continue
		}
		if !l.until.IsZero() && (until.IsZero() || until.After(l.until)) {
			l.until = until
		}
		return l
	}
	made := &lists{issuer: issuer, until: until}
	p.lists = append(p.lists, made)
	return made
}

func (l *lists) add(list *x509.RevocationList) {
	if l.revoked == nil {
		l.revoked = make(map[string]int64, len(list.RevokedCertificateEntries))
	}
	for _, entry := range list.RevokedCertificateEntries {
		if entry.ReasonCode != removedFromList {
			l.revoked[string(entry.SerialNumber.Bytes())] = entry.RevocationTime.Unix()
		}
	}
}

// sameIssuer tells whether two certificates are one issuer's: a name and a key, which may
// have several, by renewal or because others vouch for it too.
func sameIssuer(a, b *x509.Certificate) bool {
	return bytes.Equal(a.RawSubject, b.RawSubject) && bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo)
}

// unrevoked wants one chain that no list speaks against.
func (p *Policy) unrevoked(chains [][]*x509.Certificate, now time.Time) (refused error) {
	for _, chain := range chains {
		if refused = p.revoked(chain, now); refused == nil {
			return nil
		}
	}
	return refused
}

// revoked looks every certificate of a chain up in the lists of the one that signed it.
func (p *Policy) revoked(chain []*x509.Certificate, now time.Time) error {
	if len(p.lists) == 0 {
		return nil
	}
	for i, c := range chain {
		serial := c.SerialNumber.Bytes()
		for _, l := range p.lists {
			since, is := l.revoked[string(serial)]
			stale := !p.staleLists && !l.until.IsZero() && now.After(l.until)
			switch {
			case !is && !stale || !l.judge(chain[i:]):
			case is:
				return refuse(Revoked, chain[0], "the certificate %s with the serial number %s was revoked at %s", material.Name(c), material.Serial(c.SerialNumber), time.Unix(since, 0).UTC().Format(time.RFC3339))
			default:
				return refuse(StaleList, chain[0], "the revocation list of %s is past its next update, %s", material.Name(l.issuer), l.until.UTC().Format(time.RFC3339))
			}
		}
	}
	return nil
}

// judge tells whether the lists are those of the one that signed the first certificate of
// a chain, or of what is left of it. The last is an authority that was given; who signed
// it may have been given beside it.
func (l *lists) judge(chain []*x509.Certificate) bool {
	if len(chain) > 1 {
		return sameIssuer(l.issuer, chain[1])
	}
	return material.SignedBy(chain[0], l.issuer)
}
