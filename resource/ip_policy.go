package resource

// IPPolicy is a named list of rules about addresses. What refers to it lets an address in
// if at least one rule allows it and none denies it.
type IPPolicy struct {
	Identity
	Notes
}

// IPPolicyCreate makes an IPPolicy.
type IPPolicyCreate struct {
	Description string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Action      string `json:"action,omitzero" api:"deprecated" doc:"Refused: rules have actions, policies have none."`
}

// IPPolicyUpdate changes an IPPolicy; what is nil stays.
type IPPolicyUpdate struct {
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
}

// IPPolicies are the account's IP policies.
func IPPolicies() Collection[IPPolicy, IPPolicyCreate, IPPolicyUpdate] {
	return Define[IPPolicy, IPPolicyCreate, IPPolicyUpdate](Definition{
		Name: "ip_policies", Singular: "IP policy", Prefixes: []string{"ipp"}, Operations: All,
		Doc: "A list of rules about addresses, which IP restrictions and endpoints refer to.",
	})
}
