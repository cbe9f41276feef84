package clientcert

import (
	"crypto/x509"
	"encoding/hex"
	"strings"
)

// mostSubject bounds the text of a subject, in bytes.
const mostSubject = 512

// Subject is the name of a certificate's holder as RFC 2253 writes it, on one line and
// bounded; what is empty there is named by the first of its alternative names.
func Subject(c *x509.Certificate) string {
	text := c.Subject.String()
	switch {
	case text != "":
	case len(c.DNSNames) > 0:
		text = "DNS:" + c.DNSNames[0]
	case len(c.EmailAddresses) > 0:
		text = "email:" + c.EmailAddresses[0]
	case len(c.URIs) > 0:
		text = "URI:" + c.URIs[0].String()
	}
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\uFFFD"))
	if len(text) > mostSubject {
		text = strings.ToValidUTF8(text[:mostSubject], "") + "…"
	}
	return text
}

// Serial is the serial number in hexadecimal digits, as openssl prints it.
func Serial(c *x509.Certificate) string {
	return strings.ToUpper(hex.EncodeToString(c.SerialNumber.Bytes()))
}
