package postern

import (
	"strconv"
	"strings"
)

// ACL limits what a credential may bind. Empty means no limit. Grammar, after
// ngrok's:
//
//	rule   = "*" | "bind:" target
//	target = "*" | domain | "*." domain | host ":" port | key "=" value
//
// Rules are alternatives; there is no rule that denies.
type ACL []Rule

// Rule is one parsed rule. The zero value allows nothing.
type Rule struct {
	text  string
	any   bool
	host  Hostname // may be a wildcard
	port  uint16   // 0: any
	key   string   // of a label; "*" is any
	value string
}

// ParseACL reads rules; the first bad one is CodeACLInvalid.
func ParseACL(rules []string) (ACL, error) {
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

func parseRule(text string) (Rule, error) {
	if text == "*" {
		return Rule{text: text, any: true}, nil
	}
	target, found := strings.CutPrefix(text, "bind:")
	if !found || target == "" {
		return Rule{}, Errorf(CodeACLInvalid, `ACL rule %q must be "*" or start with "bind:"`, clip(text))
	}
	if target == "*" {
		return Rule{text: text, any: true}, nil
	}
	if key, value, label := strings.Cut(target, "="); label {
		return labelRule(text, key, value)
	}
	return hostRule(text, target)
}

func labelRule(text, key, value string) (Rule, error) {
	if key == "" || value == "" {
		return Rule{}, Errorf(CodeACLInvalid, "ACL rule %q: a label rule is key=value, each at least one character", clip(text))
	}
	return Rule{text: text, key: key, value: value}, nil
}

func hostRule(text, target string) (Rule, error) {
	host, port := splitPort(target)
	rule := Rule{text: text}
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Rule{}, Errorf(CodeACLInvalid, "ACL rule %q: port %q is not a number from 1 to 65535", clip(text), clip(port))
		}
		rule.port = uint16(n)
	}
	name, err := ParseHostname(host)
	if err != nil {
		return Rule{}, Errorf(CodeACLInvalid, "ACL rule %q: %s", clip(text), AsError(err).Text())
	}
	rule.host = name
	return rule, nil
}

// String returns the rule as it was written.
func (r Rule) String() string { return r.text }

// Strings returns the rules as they were written.
func (a ACL) Strings() []string {
	texts := make([]string, len(a))
	for i, rule := range a {
		texts[i] = rule.text
	}
	return texts
}

// Allows tells whether an endpoint with this URL may be bound.
func (a ACL) Allows(u URL) bool {
	if len(a) == 0 {
		return true
	}
	for _, rule := range a {
		if rule.any || rule.allowsURL(u) {
			return true
		}
	}
	return false
}

func (r Rule) allowsURL(u URL) bool {
	if r.host == "" || !r.host.Covers(u.Host) {
		return false
	}
	if u.Scheme == TCP {
		return r.port == u.Port
	}
	return r.port == 0 || r.port == u.Scheme.DefaultPort()
}

// AllowsLabels tells whether a labelled endpoint may be bound: each of its labels
// must be allowed by some rule.
func (a ACL) AllowsLabels(labels map[string]string) bool {
	if len(a) == 0 {
		return true
	}
	for key, value := range labels {
		if !a.allowsLabel(key, value) {
			return false
		}
	}
	return len(labels) > 0
}

func (a ACL) allowsLabel(key, value string) bool {
	for _, rule := range a {
		if rule.any || matches(rule.key, key) && matches(rule.value, value) {
			return true
		}
	}
	return false
}

func matches(pattern, s string) bool { return pattern != "" && (pattern == "*" || pattern == s) }
