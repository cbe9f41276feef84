package resource

// APIKey lets a program use this API.
type APIKey struct {
	Identity
	Notes
	Token   *string `json:"token" doc:"The key itself: shown once, in the answer to its creation."`
	OwnerID *string `json:"owner_id" doc:"The user or service user that it acts for."`
}

// APIKeyCreate makes an APIKey.
type APIKeyCreate struct {
	Description string  `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string  `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	OwnerID     *string `json:"owner_id,omitzero" doc:"The user or service user that it is to act for, by id or email; the caller by default. Others need an administrator."`
	OwnerEmail  *string `json:"owner_email,omitzero" doc:"The user that it is to act for, by email: instead of owner_id."`
}

// APIKeyUpdate changes an APIKey; what is nil stays.
type APIKeyUpdate struct {
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	OwnerID     *string `json:"owner_id,omitzero" api:"deprecated" doc:"The owner stays: only who it is already may be given."`
}

// APIKeys are the account's API keys.
func APIKeys() Collection[APIKey, APIKeyCreate, APIKeyUpdate] {
	return Define[APIKey, APIKeyCreate, APIKeyUpdate](Definition{
		Name: "api_keys", Singular: "API key", ListKey: "keys", Prefixes: []string{"ak"}, Operations: All,
		Routes: []Route{rotate[APIKey]()},
		Doc:    "A key of this API. It acts for its owner, with the owner's role.",
	})
}
