package resource

import "time"

// TLSCertificate is a certificate with its chain and private key.
type TLSCertificate struct {
	Identity
	Notes
	CertificatePEM            string     `json:"certificate_pem" doc:"The certificates that are sent to clients, as PEM text, the server's own first."`
	SubjectCommonName         string     `json:"subject_common_name" doc:"The subject's common name."`
	SubjectAlternativeNames   SANs       `json:"subject_alternative_names" doc:"What the certificate is for."`
	IssuedAt                  *time.Time `json:"issued_at" doc:"When the server obtained it by itself; null for one that was uploaded."`
	NotBefore                 time.Time  `json:"not_before" doc:"From when on it is valid."`
	NotAfter                  time.Time  `json:"not_after" doc:"Until when it is valid. Expired ones are kept."`
	KeyUsages                 []string   `json:"key_usages" doc:"What its key may be used for, in the names of RFC 5280."`
	ExtendedKeyUsages         []string   `json:"extended_key_usages" doc:"What else it may be used for, in the names of RFC 5280; object identifiers for what has none there."`
	PrivateKeyType            string     `json:"private_key_type" doc:"rsa, ecdsa or ed25519."`
	IssuerCommonName          string     `json:"issuer_common_name" doc:"The common name of who signed it."`
	SerialNumber              string     `json:"serial_number" doc:"Its serial number in lower-case hex."`
	SubjectOrganization       string     `json:"subject_organization" doc:"The subject's organization."`
	SubjectOrganizationalUnit string     `json:"subject_organizational_unit" doc:"The subject's organizational unit."`
	SubjectLocality           string     `json:"subject_locality" doc:"The subject's city."`
	SubjectProvince           string     `json:"subject_province" doc:"The subject's state or province."`
	SubjectCountry            string     `json:"subject_country" doc:"The subject's country."`
}

// SANs are the names of a certificate.
type SANs struct {
	DNSNames []string `json:"dns_names" doc:"Host names, wildcards among them."`
	IPs      []string `json:"ips" doc:"IP addresses."`
}

// TLSCertificateCreate makes a TLSCertificate.
type TLSCertificateCreate struct {
	CertificatePEM string `json:"certificate_pem,omitzero" api:"required,checked" doc:"The server's certificate and those that signed it, in this order, as PEM text."`
	PrivateKeyPEM  string `json:"private_key_pem,omitzero" api:"required,checked,secret" doc:"Its private key, not encrypted, as PEM text; no answer shows it."`
	Description    string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata       string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// TLSCertificateUpdate changes a TLSCertificate; what is nil stays.
type TLSCertificateUpdate struct {
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// TLSCertificates are the account's certificates.
func TLSCertificates() Collection[TLSCertificate, TLSCertificateCreate, TLSCertificateUpdate] {
	return Define[TLSCertificate, TLSCertificateCreate, TLSCertificateUpdate](Definition{
		Name: "tls_certificates", Singular: "TLS certificate", Prefixes: []string{"cert"}, Operations: All,
		Doc: "A certificate with its private key, for domains whose TLS the server terminates.",
	})
}
