package allow

import (
	"net/netip"
	"strconv"
	"strings"
)

// Target is one rule about targets: a host and its ports, such as "db.corp.example:5432",
// "*.corp.example:443", "10.0.0.0/8:*" or "[fd00::1]:8000-8999". The zero value allows
// nothing.
//
// An address is compared as an address, however it is written; a name without regard to
// case and a dot at its end. A rule with a network is about addresses alone: which
// addresses a name has is known to whoever dials it, and changes.
type Target struct {
	any     bool
	network netip.Prefix // of addresses; invalid for names
	name    string       // canonical, "" for addresses
	below   bool         // names below name, and not name itself
	ports   Port
}

// ParseTarget reads a rule about targets.
func ParseTarget(rule string) (Target, error) {
	if len(rule) > MaxRule {
		return Target{}, tooLong(rule)
	}
	host, ports, fault := cutHost(rule)
	if fault == "" && ports == "" {
		fault = `it has no port; write HOST:PORT, or HOST:* for every port`
	}
	if fault != "" {
		return Target{}, invalid(rule, fault)
	}
	var t Target
	if t.ports, fault = parseRange(ports); fault != "" {
		return Target{}, invalid(rule, fault)
	}
	if fault = t.setHost(host); fault != "" {
		return Target{}, invalid(rule, fault)
	}
	return t, nil
}

// cutHost cuts a rule before its port. A host with colons has brackets around it; without
// a port they may be left out.
func cutHost(rule string) (host, port, fault string) {
	if inner, is := strings.CutPrefix(rule, "["); is {
		host, rest, closed := strings.Cut(inner, "]")
		if !closed || !strings.Contains(host, ":") {
			return "", "", "brackets go around an IPv6 address or network, as in [fd00::/8]:443"
		}
		if rest == "" {
			return host, "", ""
		}
		port, is = strings.CutPrefix(rest, ":")
		if !is || port == "" {
			return "", "", "a colon and a port follow the bracket"
		}
		return host, port, ""
	}
	i := strings.LastIndexByte(rule, ':')
	if i < 0 || strings.IndexByte(rule, ':') != i {
		return rule, "", "" // none, or an IPv6 address
	}
	if rule[i+1:] == "" {
		return "", "", "no port follows the colon"
	}
	return rule[:i], rule[i+1:], ""
}

func (t *Target) setHost(host string) (fault string) {
	if host == "*" {
		t.any = true
		return ""
	}
	if strings.Contains(host, ":") || strings.Contains(host, "/") || isAddress(host) {
		t.network, fault = parseNetwork(host)
		return fault
	}
	name := host
	name, t.below = strings.CutPrefix(name, "*.")
	if t.name = canonical(name); !isName(t.name) {
		return "the host " + strconv.Quote(clip(host)) + ` is no name, wildcard such as *.corp.example, address or network; names outside ASCII are written with xn--`
	}
	return ""
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// parseNetwork reads an address or a network that is given by its first address.
func parseNetwork(text string) (network netip.Prefix, fault string) {
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, strconv.Quote(clip(text)) + " is no IP address, or one with a zone"
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), ""
	}
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, strconv.Quote(clip(text)) + " is no network; write it as 10.0.0.0/8 or fd00::/8"
	case network != network.Masked():
		return netip.Prefix{}, "the network is not given by its first address; write " + network.Masked().String()
	case network.Addr().Is4In6():
		return netip.Prefix{}, "write the network in its IPv4 form"
	}
	return network, ""
}

// Allows tells whether a port of a host may be dialled. host is a name, or an address
// without brackets.
func (t Target) Allows(host string, port uint16) bool {
	if !t.ports.holds(port) {
		return false
	}
	if t.any {
		return host != ""
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		return t.network.IsValid() && t.network.Contains(addr.Unmap()) // never one with a zone
	}
	if t.name == "" {
		return false
	}
	host = canonical(host)
	if t.below {
		return strings.HasSuffix(host, "."+t.name) && isName(host)
	}
	return host == t.name
}

// String is the rule in its shortest form.
func (t Target) String() string {
	host := t.name
	switch {
	case t.any:
		host = "*"
	case t.network.IsValid():
		host = printNetwork(t.network)
		if t.network.Addr().Is6() {
			host = "[" + host + "]"
		}
	case t.below:
		host = "*." + t.name
	}
	return host + ":" + t.ports.ports()
}

func printNetwork(network netip.Prefix) string {
	if network.IsSingleIP() {
		return network.Addr().String()
	}
	return network.String()
}

func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// isName tells whether a canonical name could be looked up: labels of letters, digits,
// hyphens and underscores. One whose last label is a number would be taken for an address
// by some and for a name by others (RFC 1123 §2.1).
func isName(name string) bool {
	const maxName, maxLabel = 253, 63
	if name == "" || len(name) > maxName {
		return false
	}
	numeric := false
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
		numeric = strings.Trim(label, "0123456789") == ""
	}
	return !numeric
}

// Targets are rules about targets. No rules at all allow every target.
type Targets []Target

// ParseTargets reads rules about targets.
func ParseTargets(rules []string) (Targets, error) { return parseAll(rules, ParseTarget) }

// Allows tells whether a port of a host may be dialled. host is a name, or an address
// without brackets.
func (t Targets) Allows(host string, port uint16) bool {
	if len(t) == 0 {
		return host != "" && port != 0
	}
	for _, rule := range t {
		if rule.Allows(host, port) {
			return true
		}
	}
	return false
}
