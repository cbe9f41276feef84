package store

import "time"

// TLSCertificate is a certificate for TLS servers. What it says besides the fields here is
// read from Chain.
type TLSCertificate struct {
	Meta
	Chain               string // PEM, its own certificate first
	PrivateKey          []byte // PKCS #8, sealed
	CommonName          string // of the subject
	Serial              string // lower-case hex
	NotBefore, NotAfter time.Time
	IssuedAt            time.Time // zero for one that was uploaded
}

// CertificateAuthority is the certificate of one.
type CertificateAuthority struct {
	Meta
	Certificate         string // PEM
	CommonName          string
	NotBefore, NotAfter time.Time
	Revocations         string // its revocation lists in PEM, "" for none
}
