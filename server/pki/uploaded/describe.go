package uploaded

import (
	"crypto/x509"
	"encoding/hex"
	"strings"
)

// Serial is a certificate's serial number in lower-case hex, of whole bytes.
func Serial(c *x509.Certificate) string {
	raw := c.SerialNumber.Bytes()
	if len(raw) == 0 {
		raw = []byte{0}
	}
	return hex.EncodeToString(raw)
}

// Texts joins the values of a field that a subject may have several times.
func Texts(values []string) string { return clean(strings.Join(values, ", ")) }

// clean makes a certificate's text one that databases and JSON take: certificates may
// have bytes that are no UTF-8, and NUL.
func clean(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// KeyUsages are by their names in RFC 5280 §4.2.1.3.
func KeyUsages(c *x509.Certificate) []string {
	usages := []string{}
	for bit := x509.KeyUsageDigitalSignature; bit <= x509.KeyUsageDecipherOnly; bit <<= 1 {
		if c.KeyUsage&bit != 0 {
			usages = append(usages, bit.String())
		}
	}
	return usages
}

// ExtendedKeyUsages are by their names in RFC 5280 §4.2.1.12, and those that crypto/x509
// does not know by their object identifiers.
func ExtendedKeyUsages(c *x509.Certificate) []string {
	usages := []string{}
	for _, usage := range c.ExtKeyUsage {
		usages = append(usages, usage.String())
	}
	for _, other := range c.UnknownExtKeyUsage {
		usages = append(usages, other.String())
	}
	return usages
}
