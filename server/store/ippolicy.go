package store

// IPPolicy is a named list of rules about addresses.
type IPPolicy struct{ Meta }

// IPPolicyRule is one rule of an IP policy.
type IPPolicyRule struct {
	Meta
	Policy string // id
	CIDR   string // in its one canonical form
	Action string // allow or deny
}

// IPRestriction has all who come to a part of an account's things pass IP policies.
type IPRestriction struct {
	Meta
	Type     string // agent, api, dashboard or endpoints
	Enforced bool   // otherwise it is only noted who would be refused
	Policies []string
}
