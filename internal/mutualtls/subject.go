package mutualtls

import "crypto/x509"

// mostSubject bounds the text of Subject, in bytes.
const mostSubject = 512

// Subject names a certificate's holder in logs: by its subject as RFC 4514 writes it, in
// ASCII and bounded; where that is empty, by the first of the alternative names.
func Subject(c *x509.Certificate) string {
	text := distinguished(c.RawSubject, c.Subject)
	switch {
	case text != "":
	case len(c.DNSNames) > 0:
		text = ASCII("DNS:" + c.DNSNames[0])
	case len(c.EmailAddresses) > 0:
		text = ASCII("email:" + c.EmailAddresses[0])
	case len(c.URIs) > 0:
		text = ASCII("URI:" + c.URIs[0].String())
	}
	if len(text) > mostSubject {
		text = text[:mostSubject] + "..."
	}
	return text
}
