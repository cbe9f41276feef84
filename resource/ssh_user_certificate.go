package resource

import "time"

// SSHUserCertificate lets the owner of a key in at SSH servers.
type SSHUserCertificate struct {
	Identity
	Notes
	PublicKey                 string            `json:"public_key" doc:"The key that the certificate is for, as it was sent."`
	KeyType                   string            `json:"key_type" doc:"The type of public_key: rsa, ecdsa or ed25519."`
	SSHCertificateAuthorityID string            `json:"ssh_certificate_authority_id" doc:"The authority that signed it."`
	Principals                []string          `json:"principals" doc:"The users that its owner may be; without any, each."`
	CriticalOptions           map[string]string `json:"critical_options" doc:"What servers must heed, or refuse: force-command and source-address are OpenSSH's."`
	Extensions                map[string]string `json:"extensions" doc:"What its owner may do, such as permit-port-forwarding; see PROTOCOL.certkeys of OpenSSH."`
	ValidAfter                time.Time         `json:"valid_after" doc:"From when on it is valid."`
	ValidUntil                time.Time         `json:"valid_until" doc:"Until when it is valid."`
	Certificate               string            `json:"certificate" doc:"The certificate, for a file beside the private key whose name ends with -cert.pub."`
}

// SSHUserCertificateCreate makes an SSHUserCertificate.
type SSHUserCertificateCreate struct {
	SSHCertificateAuthorityID string            `json:"ssh_certificate_authority_id,omitzero" api:"required,checked" doc:"The authority that is to sign it."`
	PublicKey                 string            `json:"public_key,omitzero" api:"required,checked" doc:"The user's public key, a line as in authorized_keys."`
	Principals                []string          `json:"principals,omitzero" doc:"The users that its owner may be; without any, each."`
	CriticalOptions           map[string]string `json:"critical_options,omitzero" doc:"What servers must heed, or refuse: force-command and source-address are OpenSSH's."`
	Extensions                map[string]string `json:"extensions,omitzero" doc:"What its owner may do; permit-pty and permit-user-rc by default, nothing with an empty object."`
	ValidAfter                time.Time         `json:"valid_after,omitzero" doc:"From when on it is valid; now by default."`
	ValidUntil                time.Time         `json:"valid_until,omitzero" doc:"Until when it is valid; a day after valid_after by default."`
	Description               string            `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata                  string            `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// SSHUserCertificateUpdate changes an SSHUserCertificate; what is nil stays.
type SSHUserCertificateUpdate struct {
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// SSHUserCertificates are those that the account's authorities have signed.
func SSHUserCertificates() Collection[SSHUserCertificate, SSHUserCertificateCreate, SSHUserCertificateUpdate] {
	return Define[SSHUserCertificate, SSHUserCertificateCreate, SSHUserCertificateUpdate](Definition{
		Name: "ssh_user_certificates", Singular: "SSH user certificate", Prefixes: []string{"sucrt"}, Operations: All,
		Doc: "A certificate for the key of an SSH user. To delete it here does not revoke it: it stays valid until its end.",
	})
}
