package postern

// ACL limits what a credential may bind, and which private gateways it may reach.
// Empty means no limit; otherwise what no rule allows is refused. Rules are
// alternatives, there is none that denies, so one more rule never takes anything away.
//
// The grammar of rules that bind is ngrok's; that of access is Postern's own:
//
//	rule    = "*" | "bind:" target | "access:" gateway ":" ports
//	target  = "*" | domain | "*." domain | host ":" port | key "=" value
//	gateway = "*" | name
//	ports   = "*" | port | port "-" port
//
// A rule that binds grants no access and one of access binds nothing; "*" alone grants
// both. Names are compared as A-labels in lower case: whoever takes rules from people
// converts Unicode before ParseACL.
type ACL []Rule

const (
	// MaxACLRules is how many rules one ACL may have: each is looked at when an
	// endpoint is bound.
	MaxACLRules = 500
	// MaxACLRule is how many bytes a rule may have.
	MaxACLRule = 512
)

// ParseACL reads rules; too many of them, and the first bad one, are CodeACLInvalid.
func ParseACL(rules []string) (ACL, error) {
	if len(rules) > MaxACLRules {
		return nil, Errorf(CodeACLInvalid, "the ACL has %d rules, at most %d are allowed; a wildcard may stand for many of them", len(rules), MaxACLRules)
	}
	acl := make(ACL, 0, len(rules))
	for _, text := range rules {
		rule, err := parseRule(text)
		if err != nil {
			return nil, err
		}
		acl = append(acl, rule)
	}
	return acl, nil
}

// Strings returns the rules as they were written.
func (a ACL) Strings() []string {
	texts := make([]string, len(a))
	for i, rule := range a {
		texts[i] = rule.text
	}
	return texts
}

// Allows tells whether an endpoint with this URL may be bound. A tcp or udp URL without its
// port stands for one that the server chooses, as AllowsAnyAddress does.
func (a ACL) Allows(u URL) bool {
	return a.allows(func(r Rule) bool { return r.allowsURL(u) })
}

// AllowsAnyAddress tells whether the server may choose a tcp or udp address: what it will be
// cannot be named beforehand, so only an ACL that leaves addresses open allows it.
func (a ACL) AllowsAnyAddress() bool {
	return a.allows(func(r Rule) bool { return r.grants == grantsAll || r.grants == grantsBinds })
}

// AllowsLabels tells whether a labelled endpoint may be bound: each of its labels must
// be allowed by some rule.
func (a ACL) AllowsLabels(labels map[string]string) bool {
	for key, value := range labels {
		if !a.allows(func(r Rule) bool { return r.allowsLabel(key, value) }) {
			return false
		}
	}
	return len(a) == 0 || len(labels) > 0
}

// AllowsAccess tells whether a port behind a private gateway may be reached. The
// gateway's name is read as ParseHostname does; port 0 is none.
func (a ACL) AllowsAccess(gateway string, port uint16) bool {
	name, err := ParseHostname(gateway)
	if err != nil || name.Wildcard() || port == 0 {
		return false
	}
	return a.allows(func(r Rule) bool { return r.allowsAccess(name, port) })
}

// allows tells whether there is no limit, or some rule grants what is wanted.
func (a ACL) allows(granted func(Rule) bool) bool {
	for _, rule := range a {
		if granted(rule) {
			return true
		}
	}
	return len(a) == 0
}

// Unrestricted tells whether everything is allowed: there is no rule, or one that says so.
func (a ACL) Unrestricted() bool {
	return a.allows(func(r Rule) bool { return r.grants == grantsAll })
}
