package material

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"strings"
	"unicode/utf16"

	"github.com/postern-dev/postern"
)

// normalised undoes what editors, shells and forms do to a text: byte-order marks, the
// line ends of other systems, "\n" written as two characters, and UTF-16.
func normalised(data []byte) string {
	if order := utf16Order(data); order != nil {
		units := make([]uint16, 0, len(data)/2)
		for rest := data[2:]; len(rest) > 1; rest = rest[2:] {
			units = append(units, order.Uint16(rest))
		}
		data = []byte(string(utf16.Decode(units)))
	}
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	if !strings.Contains(strings.TrimSpace(text), "\n") {
		text = strings.NewReplacer(`\r\n`, "\n", `\n`, "\n").Replace(text)
	}
	return text
}

func utf16Order(data []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(data, []byte{0xff, 0xfe}):
		return binary.LittleEndian
	case bytes.HasPrefix(data, []byte{0xfe, 0xff}) && !bytes.HasPrefix(data, javaKeyStore):
		return binary.BigEndian
	}
	return nil
}

var javaKeyStore = []byte{0xfe, 0xed, 0xfe, 0xed}

// What PKCS #7 and #12 files have in their first bytes: the object identifiers of their
// content.
var (
	pkcs7Signed = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	pkcs7Data   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
)

// foreign recognises what is no PEM at all: DER of one thing is taken, everything else
// is named. Neither means that it is a text.
func (t Text) foreign() ([]block, error) {
	data := t.Data
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return nil, t.fault("is empty")
	case bytes.HasPrefix(data, javaKeyStore):
		return nil, t.fault(`is a Java key store; "keytool -importkeystore -srckeystore FILE -destkeystore new.p12 -deststoretype PKCS12", then "openssl pkcs12 -in new.p12" makes PEM of it`)
	case data[0] != 0x30:
		return nil, nil
	}
	if _, err := x509.ParseCertificate(data); err == nil {
		return []block{{kind: "CERTIFICATE", der: data}}, nil
	}
	if _, err := x509.ParseRevocationList(data); err == nil {
		return []block{{kind: "X509 CRL", der: data}}, nil
	}
	if _, err := ParseKey(data); err == nil {
		return []block{{kind: "PRIVATE KEY", der: data}}, nil
	}
	if _, err := x509.ParseCertificateRequest(data); err == nil {
		return []block{{kind: "CERTIFICATE REQUEST", der: data}}, nil
	}
	return nil, t.container(data)
}

// container names the kind of a file in ASN.1 that holds several things.
func (t Text) container(data []byte) error {
	var outer struct {
		First asn1.RawValue
		Rest  asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(data, &outer); err != nil {
		if len(data) < 2 || data[1] >= ' ' && data[1] < 0x7f || data[1] < 2 { // text that begins with a zero
			return nil
		}
		return t.fault("is binary and damaged: it begins as DER does and has no end; copy it again")
	}
	var content struct {
		Type asn1.ObjectIdentifier
		Rest asn1.RawValue `asn1:"optional"`
	}
	if _, err := asn1.Unmarshal(data, &content); err == nil && content.Type.Equal(pkcs7Signed) {
		return t.fault(`is a PKCS #7 file (.p7b); "openssl pkcs7 -inform DER -print_certs -in FILE" makes PEM of it`)
	}
	if _, err := asn1.Unmarshal(outer.Rest.FullBytes, &content); err == nil && (content.Type.Equal(pkcs7Data) || content.Type.Equal(pkcs7Signed)) {
		return t.fault(`is a PKCS #12 file (.p12, .pfx); "openssl pkcs12 -in FILE -nokeys" writes its certificates as PEM, "openssl pkcs12 -in FILE -nocerts -noenc" its key`)
	}
	return t.fault("is binary (DER) and neither a certificate, a key nor a revocation list")
}

// notPEM says what a text without a PEM block looks like. It quotes nothing of it.
func (t Text) notPEM() *postern.Error {
	text := strings.TrimSpace(normalised(t.Data))
	lower := strings.ToLower(text[:min(len(text), 512)])
	switch {
	case strings.HasPrefix(text, "LS0tLS1CRUdJTi") || strings.HasPrefix(text, "LS0tLS1CRUdJTiB"):
		return t.fault(`is base64 of PEM text, as Kubernetes shows a secret; "base64 -d" gives the text`)
	case strings.HasPrefix(text, "MII"):
		return t.fault("has base64 without the lines -----BEGIN …----- and -----END …----- around it")
	case strings.HasPrefix(lower, "ssh-") || strings.HasPrefix(lower, "ecdsa-sha2-") || strings.HasPrefix(lower, "---- begin ssh2"):
		return t.fault("is a public key for SSH, not a certificate for TLS")
	case strings.HasPrefix(lower, "putty-user-key-file"):
		return t.fault("is a PuTTY key, for SSH and not for TLS")
	case strings.HasPrefix(text, "<"):
		return t.fault("is a page of HTML or XML, as downloads that failed leave behind, and not PEM")
	case strings.HasPrefix(text, "{"):
		return t.fault("is JSON and not PEM; give the text of the field that has the certificate")
	case strings.ContainsAny(text, "–—") && strings.Contains(lower, "begin"):
		return t.fault("has dashes that a word processor has changed; the first line must have five hyphens before and after BEGIN")
	case strings.HasPrefix(lower, "certificate:"):
		return t.fault(`is a certificate in words, as "openssl x509 -text" shows it, without the certificate itself`)
	case strings.Contains(lower, "begin certificate") || strings.Contains(lower, "begin private"):
		return t.fault("has a PEM block whose first line is damaged; it must be -----BEGIN CERTIFICATE-----, with five hyphens on each side")
	}
	return t.fault("is not PEM text: a line with -----BEGIN …----- is missing")
}
