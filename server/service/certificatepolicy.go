package service

import (
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/store"
)

// letsEncrypt is the authority that policies name, whichever ACME directory the server
// is configured to use.
const letsEncrypt = "letsencrypt"

// The types of private keys.
const (
	keyECDSA = "ecdsa"
	keyRSA   = "rsa"
)

// readPolicy checks a policy that somebody wants. authority is the code for an authority
// that there is not, keyType the type where the policy names none. No policy, or an
// empty one, is the zero value.
func readPolicy(wanted *resource.CertificatePolicy, authority postern.Code, keyType string) (store.CertificatePolicy, error) {
	if wanted == nil || *wanted == (resource.CertificatePolicy{}) {
		return store.CertificatePolicy{}, nil
	}
	if wanted.Authority != letsEncrypt {
		return store.CertificatePolicy{}, postern.Errorf(authority, "the authority is %.60q; there is: %s", wanted.Authority, letsEncrypt)
	}
	if wanted.PrivateKeyType != "" {
		keyType = wanted.PrivateKeyType
	}
	if types := []string{keyECDSA, keyRSA}; !slices.Contains(types, keyType) {
		return store.CertificatePolicy{}, postern.Errorf(postern.CodeKeyTypeInvalid, "the private key type is %.60q; there are: %s", keyType, strings.Join(types, ", "))
	}
	return store.CertificatePolicy{Authority: letsEncrypt, KeyType: keyType}, nil
}

// applyPolicy puts a policy into force. One that stays the same keeps its beginning.
func applyPolicy(row *store.CertificatePolicy, since *time.Time, policy store.CertificatePolicy, now time.Time) {
	if *row == policy {
		return
	}
	*row, *since = policy, now
	if policy == (store.CertificatePolicy{}) {
		*since = time.Time{}
	}
}
