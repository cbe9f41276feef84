package resource

// SSHCertificateAuthority signs SSH certificates.
type SSHCertificateAuthority struct {
	Identity
	Notes
	PublicKey string `json:"public_key" doc:"Its public key, for TrustedUserCAKeys and @cert-authority lines."`
	KeyType   string `json:"key_type" doc:"rsa, ecdsa or ed25519."`
}

// SSHCertificateAuthorityCreate makes an SSHCertificateAuthority.
type SSHCertificateAuthorityCreate struct {
	PrivateKeyType string `json:"private_key_type,omitzero" doc:"The type of the key that is made: rsa, ecdsa, or ed25519, which is the default."`
	EllipticCurve  string `json:"elliptic_curve,omitzero" doc:"The curve of an ecdsa key: p256, which is the default, p384 or p521."`
	KeySize        int64  `json:"key_size,omitzero" doc:"The size of an rsa key in bits: 2048, or 4096, which is the default."`
	Description    string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata       string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// SSHCertificateAuthorityUpdate changes an SSHCertificateAuthority; what is nil stays.
type SSHCertificateAuthorityUpdate struct {
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// SSHCertificateAuthorities are the account's SSH certificate authorities.
func SSHCertificateAuthorities() Collection[SSHCertificateAuthority, SSHCertificateAuthorityCreate, SSHCertificateAuthorityUpdate] {
	return Define[SSHCertificateAuthority, SSHCertificateAuthorityCreate, SSHCertificateAuthorityUpdate](Definition{
		Name: "ssh_certificate_authorities", Singular: "SSH certificate authority", Prefixes: []string{"sshca"}, Operations: All,
		Doc: "A key that never leaves the server and signs the certificates of SSH hosts and users. It can be deleted once no certificate of it is left.",
	})
}
