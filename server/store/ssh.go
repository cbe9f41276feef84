package store

import "time"

// SSHCertificateAuthority is a key that signs SSH certificates.
type SSHCertificateAuthority struct {
	Meta
	KeyType    string // rsa, ecdsa, ed25519
	PublicKey  string // a line as in authorized_keys
	PrivateKey []byte // PKCS #8, sealed
}

// SSHCertificate is the certificate of a host or of a user; the two are in tables of
// their own.
type SSHCertificate struct {
	Meta
	Authority              string // id
	PublicKey, KeyType     string
	Principals             []string
	CriticalOptions        map[string]string // of users
	Extensions             map[string]string // of users
	ValidAfter, ValidUntil time.Time
	Certificate            string // a line as in a file -cert.pub
}
