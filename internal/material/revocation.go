package material

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"time"
)

const (
	// MostLists bounds the revocation lists of one text.
	MostLists = 32
	// MostRevoked bounds the entries of all lists of one text.
	MostRevoked = 100_000
)

// ReadRevocationLists reads revocation lists (RFC 5280 §5) that authorities have signed:
// several in PEM, or one in DER.
func ReadRevocationLists(t Text, authorities []*x509.Certificate, now time.Time) ([]*x509.RevocationList, []Warning, error) {
	lists, err := t.revocationLists()
	if err != nil {
		return nil, nil, err
	}
	if err := t.checkLists(lists, authorities); err != nil {
		return nil, nil, err
	}
	return lists, staleLists(lists, now), nil
}

// ReadListsOf reads the revocation lists of one authority. Stale ones are not told of.
func ReadListsOf(t Text, authority *x509.Certificate) ([]*x509.RevocationList, error) {
	lists, err := t.revocationLists()
	if err != nil {
		return nil, err
	}
	for _, list := range lists {
		switch {
		case string(authority.RawSubject) != string(list.RawIssuer):
			return nil, t.fault("has a revocation list of %q, expected one of the authority %q", clip(list.Issuer.String()), clip(authority.Subject.String()))
		case !mayRevoke(authority):
			return nil, t.fault("has a revocation list, and the authority %s may not sign any: its key usage has no cRLSign", Name(authority))
		case !Issued(authority, list):
			return nil, t.fault("has a revocation list of %q that the key of this authority has not signed; another authority has the same name", clip(list.Issuer.String()))
		}
	}
	if err := t.checkLists(lists, []*x509.Certificate{authority}); err != nil {
		return nil, err
	}
	return lists, nil
}

// ListsPEM is lists as PEM text.
func ListsPEM(lists []*x509.RevocationList) []byte {
	var text bytes.Buffer
	for _, list := range lists {
		_ = pem.Encode(&text, &pem.Block{Type: "X509 CRL", Bytes: list.Raw}) // a buffer takes everything
	}
	return text.Bytes()
}

// revocationLists takes apart a text that has revocation lists only.
func (t Text) revocationLists() ([]*x509.RevocationList, error) {
	blocks, err := t.blocks()
	if err != nil {
		return nil, err
	}
	var lists []*x509.RevocationList
	for _, b := range blocks {
		switch {
		case b.isKey():
			return nil, t.fault("has a private key%s, expected a revocation list", b.where())
		case !b.isRevocationList():
			return nil, t.fault("has %s%s, expected a revocation list (-----BEGIN X509 CRL-----)", kindOf(b), b.where())
		}
		list, err := t.revocationList(b)
		if err != nil {
			return nil, err
		}
		lists = append(lists, list)
	}
	return lists, nil
}

func kindOf(b block) string {
	if b.isCertificate() {
		return "a certificate"
	}
	return kindName(b.kind)
}

func (t Text) revocationList(b block) (*x509.RevocationList, error) {
	list, err := x509.ParseRevocationList(b.der)
	if err != nil {
		return nil, t.fault("has a revocation list that cannot be read%s: %s", b.where(), Reason(err))
	}
	return list, nil
}

// checkLists refuses too many, and those that none of the authorities has signed: they
// would be without effect, and whoever gave them believes otherwise.
func (t Text) checkLists(lists []*x509.RevocationList, authorities []*x509.Certificate) error {
	entries := 0
	for _, list := range lists {
		entries += len(list.RevokedCertificateEntries)
		if !slices.ContainsFunc(authorities, func(c *x509.Certificate) bool { return Issued(c, list) }) {
			return t.fault("has a revocation list of %q, which none of the CA certificates beside it has signed", clip(list.Issuer.String()))
		}
	}
	if len(lists) > MostLists || entries > MostRevoked {
		return t.fault("has %d revocation lists of %d certificates; at most %d of %d are allowed", len(lists), entries, MostLists, MostRevoked)
	}
	return nil
}

// Issued tells whether the authority has signed the list. As for certificates, a key
// usage that does not allow it counts, where there is one.
func Issued(authority *x509.Certificate, list *x509.RevocationList) bool {
	if string(authority.RawSubject) != string(list.RawIssuer) {
		return false
	}
	return mayRevoke(authority) && authority.CheckSignature(list.SignatureAlgorithm, list.RawTBSRevocationList, list.Signature) == nil
}

func mayRevoke(authority *x509.Certificate) bool {
	return authority.KeyUsage == 0 || authority.KeyUsage&x509.KeyUsageCRLSign != 0
}

// IsStale tells whether a list should have been replaced by a newer one.
func IsStale(list *x509.RevocationList, now time.Time) bool {
	return !list.NextUpdate.IsZero() && now.After(list.NextUpdate)
}

func staleLists(lists []*x509.RevocationList, now time.Time) (all []Warning) {
	for _, list := range lists {
		if IsStale(list, now) {
			all = append(all, Warning{Stale, fmt.Sprintf("the revocation list of %q should have been replaced by %s: certificates that were revoked since are not in it", clip(list.Issuer.String()), list.NextUpdate.Format(time.DateOnly)), "get a newer one from the authority; until then those whom it has signed are refused, unless mutual_tls_stale_crl is set"})
		}
	}
	return all
}
