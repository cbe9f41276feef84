package resource

// IPRestriction has everybody pass IP policies who comes to one part of the account.
type IPRestriction struct {
	Identity
	Notes
	Enforced   bool   `json:"enforced" doc:"Whether others are refused; false only has them noted in the server's log."`
	Type       string `json:"type" doc:"To which part: agent, api, dashboard or endpoints."`
	IPPolicies []Ref  `json:"ip_policies" doc:"The policies. An address passes if one of their rules allows it and none denies it."`
}

// IPRestrictionCreate makes an IPRestriction.
type IPRestrictionCreate struct {
	Description string   `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string   `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Enforced    bool     `json:"enforced,omitzero" doc:"Whether others are refused; false only has them noted in the server's log."`
	Type        string   `json:"type,omitzero" doc:"To which part of the account: agent, api, dashboard or endpoints. There is one restriction of each at most."`
	IPPolicyIDs []string `json:"ip_policy_ids,omitzero" doc:"The policies, one at least."`
}

// IPRestrictionUpdate changes an IPRestriction; what is nil stays.
type IPRestrictionUpdate struct {
	Description *string   `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string   `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Enforced    *bool     `json:"enforced,omitzero" doc:"Whether others are refused; false only has them noted in the server's log."`
	IPPolicyIDs *[]string `json:"ip_policy_ids,omitzero" doc:"The policies, one at least."`
}

// IPRestrictions are the account's IP restrictions.
func IPRestrictions() Collection[IPRestriction, IPRestrictionCreate, IPRestrictionUpdate] {
	return Define[IPRestriction, IPRestrictionCreate, IPRestrictionUpdate](Definition{
		Name: "ip_restrictions", Singular: "IP restriction", Prefixes: []string{"ipx"}, Operations: All,
		Doc: "Lets only some addresses come to the account's agents' sessions, API, dashboard or endpoints.",
	})
}
