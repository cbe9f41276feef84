package resource

// SSHCredential is a public key with which SSH clients may bind endpoints.
type SSHCredential struct {
	Identity
	Notes
	PublicKey string   `json:"public_key" doc:"The key, as in an authorized_keys file."`
	ACL       []string `json:"acl" doc:"What may be bound with it; an empty list allows everything."`
	OwnerID   *string  `json:"owner_id" doc:"The user or service user that it belongs to."`
}

// SSHCredentialCreate makes an SSHCredential.
type SSHCredentialCreate struct {
	Description string   `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string   `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	PublicKey   string   `json:"public_key,omitzero" api:"required,checked" doc:"The key, as in an authorized_keys file: \"ssh-ed25519 AAAA…\"."`
	ACL         []string `json:"acl,omitzero" doc:"What may be bound with it, such as \"bind:*.example.com\"; an empty list allows everything."`
	OwnerID     *string  `json:"owner_id,omitzero" doc:"The user or service user that it is to belong to, by id or email; the caller by default. Others need an administrator."`
	OwnerEmail  *string  `json:"owner_email,omitzero" doc:"The user that it is to belong to, by email: instead of owner_id."`
}

// SSHCredentialUpdate changes an SSHCredential; what is nil stays.
type SSHCredentialUpdate struct {
	Description *string   `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string   `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	ACL         *[]string `json:"acl,omitzero" doc:"What may be bound with it from now on; an empty list allows everything."`
	OwnerID     *string   `json:"owner_id,omitzero" api:"deprecated" doc:"The owner stays: only who it is already may be given."`
}

// SSHCredentials are the account's SSH public keys.
func SSHCredentials() Collection[SSHCredential, SSHCredentialCreate, SSHCredentialUpdate] {
	return Define[SSHCredential, SSHCredentialCreate, SSHCredentialUpdate](Definition{
		Name: "ssh_credentials", Singular: "SSH credential", Prefixes: []string{"sshcr"}, Operations: All,
		Doc: "A public key with which SSH clients may bind endpoints, and rules about which. A key is in one account only.",
	})
}
