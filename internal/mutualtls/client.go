package mutualtls

import (
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

// Describe gives what a client has sent as the type that others use; nil for nothing.
func Describe(sent []*x509.Certificate, verified bool) *postern.ClientCertificate {
	if len(sent) == 0 {
		return nil
	}
	own := sent[0]
	sum := sha256.Sum256(own.Raw)
	c := &postern.ClientCertificate{
		Verified: verified, Subject: distinguished(own.RawSubject, own.Subject), Issuer: distinguished(own.RawIssuer, own.Issuer),
		Serial: strings.ToLower(material.Serial(own.SerialNumber)), Fingerprint: hex.EncodeToString(sum[:]),
		DNSNames: own.DNSNames, EmailAddresses: own.EmailAddresses,
		NotBefore: own.NotBefore, NotAfter: own.NotAfter, Chain: sent,
	}
	for _, ip := range own.IPAddresses {
		c.IPAddresses = append(c.IPAddresses, ip.String())
	}
	for _, uri := range own.URIs {
		c.URIs = append(c.URIs, uri.String())
	}
	return c
}

// distinguished is a name as RFC 4514 writes it, in ASCII.
func distinguished(raw []byte, parsed pkix.Name) string {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err != nil || len(rest) > 0 {
		sequence = parsed.ToRDNSequence()
	}
	return ASCII(sequence.String())
}

// ASCII writes every byte that is not printable as RFC 4514 does: "\" and two hex digits.
func ASCII(text string) string {
	const digits = "0123456789ABCDEF"
	plain := func(c byte) bool { return c >= ' ' && c <= '~' }
	for i := range len(text) {
		if plain(text[i]) {
			continue
		}
		var out strings.Builder
		out.WriteString(text[:i])
		for _, c := range []byte(text[i:]) {
			if plain(c) {
				out.WriteByte(c)
			} else {
				out.Write([]byte{'\\', digits[c>>4], digits[c&15]})
			}
		}
		return out.String()
	}
	return text
}
