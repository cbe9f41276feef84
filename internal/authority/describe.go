package authority

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/postern-dev/postern/internal/material"
)

// Usages are what a certificate's key is for, by the names of RFC 5280 §4.2.1.3 and
// §4.2.1.12.
func Usages(c *x509.Certificate) []string {
	usages := []string{}
	for bit := x509.KeyUsageDigitalSignature; bit <= x509.KeyUsageDecipherOnly; bit <<= 1 {
		if c.KeyUsage&bit != 0 {
			usages = append(usages, bit.String())
		}
	}
	for _, usage := range c.ExtKeyUsage {
		usages = append(usages, usage.String())
	}
	return usages
}

// Defects tells what speaks against a certificate, whatever it is for: in words, with
// what replaces it. One that says it is a CA's is judged as one.
func Defects(c *x509.Certificate, now time.Time) []string {
	if c.IsCA && c.BasicConstraintsValid {
		read, err := material.ReadAuthorities(material.Text{Name: "the certificate", Data: certificatePEM(c)}, now)
		if err != nil {
			return []string{err.Error()}
		}
		var texts []string
		for _, w := range read.Warnings {
			texts = append(texts, w.String())
		}
		return texts
	}
	var texts []string
	add := func(format string, args ...any) { texts = append(texts, fmt.Sprintf(format, args...)) }
	switch {
	case now.After(c.NotAfter):
		add("it expired on %s", c.NotAfter.UTC().Format(time.DateOnly))
	case now.Before(c.NotBefore):
		add("it is not valid before %s", c.NotBefore.UTC().Format(time.DateOnly))
	}
	if c.Version < 3 {
		add(`it is of version %d and has no extensions: as a CA, nobody can tell that it is one ("postern ca init"); as a server, clients refuse it ("postern ca server NAME")`, c.Version)
	} else if len(c.DNSNames)+len(c.IPAddresses)+len(c.EmailAddresses) == 0 {
		add(`it has no subjectAltName, where clients look for a server's name ("postern ca server NAME")`)
	}
	if bytes.Equal(c.RawIssuer, c.RawSubject) {
		add("it has the same subject as who signed it, so openssl and curl --cacert take it for self-signed (error 18)")
	}
	if life := c.NotAfter.Sub(c.NotBefore); life > longestServer {
		add("it is good for %d days, and clients refuse a server's of more than %d", Days(life), Days(longestServer))
	}
	return texts
}
