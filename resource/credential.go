package resource

// Credential lets agents connect; its token is the agents' authtoken.
type Credential struct {
	Identity
	Notes
	Token   *string  `json:"token" doc:"The authtoken itself: shown once, in the answer to its creation."`
	ACL     []string `json:"acl" doc:"What agents may bind and reach; an empty list allows everything."`
	OwnerID *string  `json:"owner_id" doc:"The user or service user that it belongs to."`
}

// CredentialCreate makes a Credential.
type CredentialCreate struct {
	Description string   `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string   `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	ACL         []string `json:"acl,omitzero" doc:"What agents may bind and reach, such as \"bind:*.example.com\"; an empty list allows everything."`
	OwnerID     *string  `json:"owner_id,omitzero" doc:"The user or service user that it is to belong to, by id or email; the caller by default. Others need an administrator."`
	OwnerEmail  *string  `json:"owner_email,omitzero" doc:"The user that it is to belong to, by email: instead of owner_id."`
	SCIMUserID  *string  `json:"scim_user_id,omitzero" api:"deprecated" doc:"Users have no such id here."`

	PrecomputedToken *string `json:"precomputed_token,omitzero" api:"deprecated" doc:"Refused: the server chooses tokens."`
}

// CredentialUpdate changes a Credential; what is nil stays.
type CredentialUpdate struct {
	Description *string   `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string   `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	ACL         *[]string `json:"acl,omitzero" doc:"What agents may bind and reach from now on; an empty list allows everything. Endpoints that it no longer covers go offline."`
	OwnerID     *string   `json:"owner_id,omitzero" api:"deprecated" doc:"The owner stays: only who it is already may be given."`
}

// Credentials are the account's credentials.
func Credentials() Collection[Credential, CredentialCreate, CredentialUpdate] {
	return Define[Credential, CredentialCreate, CredentialUpdate](Definition{
		Name: "credentials", Singular: "credential", Prefixes: []string{"cr"}, Operations: All, Routes: []Route{rotate[Credential]()},
		Doc: "What agents connect with: an authtoken, and rules about what may be done with it. To delete it ends its agents' sessions.",
	})
}
