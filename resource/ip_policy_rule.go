package resource

// IPPolicyRule is one rule of an IPPolicy.
type IPPolicyRule struct {
	Identity
	Notes
	CIDR     string `json:"cidr" doc:"The addresses that it is about: 192.0.2.0/24 or 2001:db8::/32."`
	IPPolicy Ref    `json:"ip_policy" doc:"The policy that it is part of."`
	Action   string `json:"action" doc:"What it does with them: allow or deny."`
}

// IPPolicyRuleCreate makes an IPPolicyRule.
type IPPolicyRuleCreate struct {
	Description string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	CIDR        string `json:"cidr,omitzero" doc:"The addresses that it is about, with the network's mask."`
	IPPolicyID  string `json:"ip_policy_id,omitzero" doc:"The policy that it is to be part of."`
	Action      string `json:"action,omitzero" doc:"What it does with them: allow or deny."`
}

// IPPolicyRuleUpdate changes an IPPolicyRule; what is nil stays.
type IPPolicyRuleUpdate struct {
	Description *string `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	CIDR        *string `json:"cidr,omitzero" doc:"The addresses that it is about, with the network's mask."`
}

// IPPolicyRules are the rules of the account's IP policies.
func IPPolicyRules() Collection[IPPolicyRule, IPPolicyRuleCreate, IPPolicyRuleUpdate] {
	return Define[IPPolicyRule, IPPolicyRuleCreate, IPPolicyRuleUpdate](Definition{
		Name: "ip_policy_rules", Singular: "rule of an IP policy", Prefixes: []string{"ipr"}, Operations: All,
		Doc: "A rule that allows or denies a network's addresses, in one IP policy.",
	})
}
