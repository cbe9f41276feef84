package resource

import "time"

// SSHHostCertificate tells SSH clients that a key is that of a host.
type SSHHostCertificate struct {
	Identity
	Notes
	PublicKey                 string    `json:"public_key" doc:"The key that the certificate is for, as it was sent."`
	KeyType                   string    `json:"key_type" doc:"The type of public_key: rsa, ecdsa or ed25519."`
	SSHCertificateAuthorityID string    `json:"ssh_certificate_authority_id" doc:"The authority that signed it."`
	Principals                []string  `json:"principals" doc:"The host names and addresses that it is for; without any it is for all."`
	ValidAfter                time.Time `json:"valid_after" doc:"From when on it is valid."`
	ValidUntil                time.Time `json:"valid_until" doc:"Until when it is valid."`
	Certificate               string    `json:"certificate" doc:"The certificate, for the file that HostCertificate names in sshd_config."`
}

// SSHHostCertificateCreate makes an SSHHostCertificate.
type SSHHostCertificateCreate struct {
	SSHCertificateAuthorityID string    `json:"ssh_certificate_authority_id,omitzero" api:"required,checked" doc:"The authority that is to sign it."`
	PublicKey                 string    `json:"public_key,omitzero" api:"required,checked" doc:"The host's public key, a line as in authorized_keys."`
	Principals                []string  `json:"principals,omitzero" doc:"The host names and addresses that it is for; without any it is for all."`
	ValidAfter                time.Time `json:"valid_after,omitzero" doc:"From when on it is valid; now by default."`
	ValidUntil                time.Time `json:"valid_until,omitzero" doc:"Until when it is valid; a year after valid_after by default."`
	Description               string    `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata                  string    `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// SSHHostCertificateUpdate changes an SSHHostCertificate; what is nil stays.
type SSHHostCertificateUpdate struct {
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// SSHHostCertificates are those that the account's authorities have signed.
func SSHHostCertificates() Collection[SSHHostCertificate, SSHHostCertificateCreate, SSHHostCertificateUpdate] {
	return Define[SSHHostCertificate, SSHHostCertificateCreate, SSHHostCertificateUpdate](Definition{
		Name: "ssh_host_certificates", Singular: "SSH host certificate", Prefixes: []string{"shcrt"}, Operations: All,
		Doc: "A certificate for the key of an SSH host. To delete it here does not revoke it: it stays valid until its end.",
	})
}
