// Package clientcert tells whether somebody vouches for a client's certificate.
//
// What crypto/x509 verifies is good. Beside that an authority of version 1, which old
// scripts make and which cannot say that it is one, vouches for what its key has signed
// directly, since somebody has named it as an authority; and a certificate that is no
// authority's vouches for itself alone. Validity, key usage, extended key usage and
// revocation lists count in every case.
//
// A Verifier belongs into tls.Config.VerifyConnection, which sees resumed sessions as
// well, beside a ClientAuth that verifies nothing.
package clientcert
