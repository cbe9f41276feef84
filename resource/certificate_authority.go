package resource

import "time"

// CertificateAuthority is who signs the certificates of TLS clients.
type CertificateAuthority struct {
	Identity
	Notes
	CAPEM             string    `json:"ca_pem" doc:"The authority's certificate as PEM text."`
	SubjectCommonName string    `json:"subject_common_name" doc:"Its common name."`
	NotBefore         time.Time `json:"not_before" doc:"From when on it is valid."`
	NotAfter          time.Time `json:"not_after" doc:"Until when it is valid."`
	KeyUsages         []string  `json:"key_usages" doc:"What its key may be used for, in the names of RFC 5280."`
	ExtendedKeyUsages []string  `json:"extended_key_usages" doc:"What else it may be used for, in the names of RFC 5280; object identifiers for what has none there."`
	CRLPEM            *string   `json:"crl_pem" doc:"Its revocation lists as PEM text; null for none."`
}

// CertificateAuthorityCreate makes a CertificateAuthority.
type CertificateAuthorityCreate struct {
	CAPEM       string `json:"ca_pem,omitzero" api:"required,checked" doc:"The authority's one certificate as PEM text."`
	Description string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	CRLPEM      string `json:"crl_pem,omitzero" doc:"Revocation lists that it has signed, as PEM text of up to 262144 bytes; none by default."`
}

// CertificateAuthorityUpdate changes a CertificateAuthority; what is nil stays.
type CertificateAuthorityUpdate struct {
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	CRLPEM      *string `json:"crl_pem,omitzero" api:"nullable" doc:"Other revocation lists that it has signed, as PEM text, in place of those it has; null or empty for none."`
}

// CertificateAuthorities are those that the account trusts.
func CertificateAuthorities() Collection[CertificateAuthority, CertificateAuthorityCreate, CertificateAuthorityUpdate] {
	return Define[CertificateAuthority, CertificateAuthorityCreate, CertificateAuthorityUpdate](Definition{
		Name: "certificate_authorities", Singular: "certificate authority", Prefixes: []string{"ca"}, Operations: All,
		Doc: "A certificate authority whose clients are let in where a traffic policy asks for certificates.",
	})
}
