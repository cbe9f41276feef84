package policy

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"strings"

	"github.com/postern-dev/postern/server/policy/expression"
)

// tlsFacts is conn.tls, of a connection that the server ends the TLS of.
type tlsFacts struct {
	state *tls.ConnectionState
	conn  Connection
}

// Field implements expression.Object.
func (f tlsFacts) Field(name string) any {
	switch name {
	case "version":
		return tls.VersionName(f.state.Version)
	case "sni":
		return f.state.ServerName
	case "cipher_suite":
		return tls.CipherSuiteName(f.state.CipherSuite)
	case "negotiated_alpn":
		return f.state.NegotiatedProtocol
	case "session_resumed":
		return f.state.DidResume
	case "client":
		// Only what the endpoint has asked for. Whether somebody vouches for it is the
		// endpoint's choice: it may ask for any certificate.
		if shown := f.conn.ClientCertificate(); shown != nil && len(f.state.PeerCertificates) > 0 {
			return certificateFacts{f.state.PeerCertificates[0]}
		}
	}
	return nil
}

// helloFacts is conn.tls before TLS has ended, and where it does not end here.
type helloFacts struct{ conn Connection }

// Field implements expression.Object.
func (f helloFacts) Field(name string) any {
	if name == "sni" {
		return f.conn.ServerName()
	}
	return nil
}

type certificateFacts struct{ *x509.Certificate }

// Field implements expression.Object.
func (f certificateFacts) Field(name string) any {
	switch name {
	case "subject":
		return nameFacts{f.Subject}
	case "issuer":
		return nameFacts{f.Issuer}
	case "san":
		return alternativeFacts(f)
	case "serial_number":
		return f.SerialNumber.String()
	case "signature_algorithm":
		return f.SignatureAlgorithm.String()
	case "pem":
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: f.Raw}))
	case "validity":
		return validityFacts(f)
	case "extensions":
		all := make([]expression.Object, len(f.Extensions))
		for i := range f.Extensions {
			all[i] = extensionFacts(f.Extensions[i])
		}
		return all
	}
	return nil
}

type extensionFacts pkix.Extension

// Field implements expression.Object.
func (f extensionFacts) Field(name string) any {
	switch name {
	case "id":
		return f.Id.String()
	case "critical":
		return f.Critical
	case "value":
		return f.Value
	}
	return nil
}

type validityFacts struct{ *x509.Certificate }

// Field implements expression.Object.
func (f validityFacts) Field(name string) any {
	switch name {
	case "not_before":
		return f.NotBefore
	case "not_after":
		return f.NotAfter
	}
	return nil
}

type nameFacts struct{ pkix.Name }

// Text implements expression.Text.
func (f nameFacts) Text() string { return f.String() }

// Field implements expression.Object.
func (f nameFacts) Field(name string) any {
	switch name {
	case "common_name":
		return f.CommonName
	case "country":
		return f.Country
	case "locality":
		return f.Locality
	case "organization":
		return f.Organization
	case "organizational_unit":
		return f.OrganizationalUnit
	case "postal_code":
		return f.PostalCode
	case "province":
		return f.Province
	case "street_address":
		return f.StreetAddress
	}
	return nil
}

type alternativeFacts struct{ *x509.Certificate }

// Text implements expression.Text.
func (f alternativeFacts) Text() string {
	return strings.Join(append(append(f.texts("dns_names"), f.texts("email_addresses")...), append(f.texts("ip_addresses"), f.texts("uris")...)...), ", ")
}

// Field implements expression.Object.
func (f alternativeFacts) Field(name string) any { return f.texts(name) }

func (f alternativeFacts) texts(name string) []string {
	all := []string{}
	switch name {
	case "dns_names":
		all = append(all, f.DNSNames...)
	case "email_addresses":
		all = append(all, f.EmailAddresses...)
	case "ip_addresses":
		for _, ip := range f.IPAddresses {
			all = append(all, ip.String())
		}
	case "uris":
		for _, u := range f.URIs {
			all = append(all, u.String())
		}
	}
	return all
}

var (
	_ expression.Text = nameFacts{}
	_ expression.Text = alternativeFacts{}
)
