package postern

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Rule is one parsed rule of an ACL. The zero value allows nothing. Rules may be
// compared with ==.
type Rule struct {
	text        string
	grants      grant
	host        Hostname // of an endpoint, may be a wildcard; of a gateway, "" is any
	first, last uint16   // ports, both included; 0: any
	key, value  string   // of a label; "*" is any
}

// grant is what kind of thing a rule allows.
type grant uint8

const (
	grantsNothing grant = iota
	grantsAll           // "*"
	grantsBinds         // "bind:*"
	grantsHost
	grantsLabel
	grantsAccess
)

func parseRule(text string) (Rule, error) {
	if len(text) > MaxACLRule {
		return Rule{}, Errorf(CodeACLInvalid, "ACL rule %q has %d bytes, at most %d are allowed", clip(text), len(text), MaxACLRule)
	}
	if text == "*" {
		return Rule{text: text, grants: grantsAll}, nil
	}
	if target, found := strings.CutPrefix(text, "bind:"); found && target != "" {
		return bindRule(text, target)
	}
	if target, found := strings.CutPrefix(text, "access:"); found && target != "" {
		return accessRule(text, target)
	}
	return Rule{}, Errorf(CodeACLInvalid, `ACL rule %q must be "*", or start with "bind:" or "access:" and name something`, clip(text))
}

func bindRule(text, target string) (Rule, error) {
	if target == "*" {
		return Rule{text: text, grants: grantsBinds}, nil
	}
	if key, value, label := strings.Cut(target, "="); label {
		return labelRule(text, key, value)
	}
	return hostRule(text, target)
}

func labelRule(text, key, value string) (Rule, error) {
	for _, part := range []string{key, value} {
		if part == "" || part != strings.TrimSpace(part) || !utf8.ValidString(part) || strings.ContainsFunc(part, unicode.IsControl) {
			return Rule{}, Errorf(CodeACLInvalid,
				"ACL rule %q: a label rule is key=value, each at least one printable character, without blanks around it", clip(text))
		}
	}
	return Rule{text: text, grants: grantsLabel, key: key, value: value}, nil
}

func hostRule(text, target string) (Rule, error) {
	host, port, hasPort := cutPort(target)
	rule := Rule{text: text, grants: grantsHost}
	if hasPort {
		n, err := parsePort(text, port)
		if err != nil {
			return Rule{}, err
		}
		rule.first, rule.last = n, n
	}
	name, err := ParseHostname(host)
	if err != nil {
		return Rule{}, Errorf(CodeACLInvalid, "ACL rule %q: %s", clip(text), AsError(err).Text())
	}
	if hasPort && name.Wildcard() {
		return Rule{}, Errorf(CodeACLInvalid, "ACL rule %q: a wildcard has no port; name the host, or leave the port out", clip(text))
	}
	rule.host = name
	return rule, nil
}

func accessRule(text, target string) (Rule, error) {
	gateway, ports, found := cutPort(target)
	if !found {
		return Rule{}, Errorf(CodeACLInvalid, `ACL rule %q: an access rule is access:GATEWAY:PORT, where either may be "*"`, clip(text))
	}
	rule := Rule{text: text, grants: grantsAccess}
	if gateway != "*" {
		name, err := ParseHostname(gateway)
		if err != nil {
			return Rule{}, Errorf(CodeACLInvalid, "ACL rule %q: %s", clip(text), AsError(err).Text())
		}
		if name.Wildcard() {
			return Rule{}, Errorf(CodeACLInvalid, `ACL rule %q: name the gateway, or write "*" for every gateway`, clip(text))
		}
		rule.host = name
	}
	if ports == "*" {
		return rule, nil
	}
	first, last, isRange := strings.Cut(ports, "-")
	if !isRange {
		last = first
	}
	var err error
	if rule.first, err = parsePort(text, first); err != nil {
		return Rule{}, err
	}
	if rule.last, err = parsePort(text, last); err != nil {
		return Rule{}, err
	}
	if rule.first > rule.last {
		return Rule{}, Errorf(CodeACLInvalid, "ACL rule %q: the range %q ends before it begins", clip(text), clip(ports))
	}
	return rule, nil
}

// cutPort cuts behind the last colon. Unlike splitPort it tells "host:" from "host": a
// rule whose port was forgotten must not mean every port.
func cutPort(s string) (host, port string, found bool) {
	i := strings.LastIndexByte(s, ':')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

func parsePort(text, port string) (uint16, error) {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return 0, Errorf(CodeACLInvalid, "ACL rule %q: port %q is not a number from 1 to 65535", clip(text), clip(port))
	}
	return uint16(n), nil
}

// String returns the rule as it was written.
func (r Rule) String() string { return r.text }

func (r Rule) allowsURL(u URL) bool {
	switch r.grants {
	case grantsAll, grantsBinds:
		return true
	case grantsHost:
		return r.host.Covers(u.Host) && r.allowsPort(u)
	}
	return false
}

// allowsPort tells whether the rule's port is the URL's. A rule without one is for
// names: http, https and tls on whatever port, and tcp below internal, where endpoints
// of every scheme have a name of their own. Public tcp endpoints share a host, and udp
// endpoints another one, so that only their port tells whose they are.
func (r Rule) allowsPort(u URL) bool {
	port := u.Port
	if port == 0 {
		port = u.Scheme.DefaultPort()
	}
	switch {
	case port == 0:
		return false // tcp or udp, for the server to choose
	case r.first == 0:
		return u.Scheme.Hosted() || u.Host.Internal()
	}
	return r.first == port
}

func (r Rule) allowsLabel(key, value string) bool {
	switch r.grants {
	case grantsAll, grantsBinds:
		return true
	case grantsLabel:
		return (r.key == "*" || r.key == key) && (r.value == "*" || r.value == value)
	}
	return false
}

func (r Rule) allowsAccess(gateway Hostname, port uint16) bool {
	switch r.grants {
	case grantsAll:
		return true
	case grantsAccess:
		return (r.host == "" || r.host == gateway) && (r.first == 0 || r.first <= port && port <= r.last)
	}
	return false
}
