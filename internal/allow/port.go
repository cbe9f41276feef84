package allow

import (
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
)

// The networks that rules speak of.
const (
	TCP = "tcp"
	UDP = "udp"
)

const (
	// MaxRule is the most bytes that one rule may have.
	MaxRule = 320
	// MaxRules is how many rules a list may have.
	MaxRules = 1000
)

// Port is one rule about ports: "8081", "9000-9100", "53/udp", "*". Without a network it
// speaks of both. The zero value allows nothing.
type Port struct {
	network     string // "" for both
	first, last uint16 // both included
}

// ParsePort reads a rule about ports.
func ParsePort(rule string) (Port, error) {
	if len(rule) > MaxRule {
		return Port{}, tooLong(rule)
	}
	ports, network, narrowed := strings.Cut(rule, "/")
	if narrowed && network != TCP && network != UDP {
		return Port{}, invalid(rule, `the network is tcp or udp, as in "53/udp"`)
	}
	p, fault := parseRange(ports)
	if fault != "" {
		return Port{}, invalid(rule, fault)
	}
	p.network = network
	return p, nil
}

// Allows tells whether the rule is about that port of a network, "tcp" or "udp".
func (p Port) Allows(network string, port uint16) bool {
	if network != TCP && network != UDP || p.network != "" && p.network != network {
		return false
	}
	return p.holds(port)
}

func (p Port) holds(port uint16) bool { return port != 0 && p.first <= port && port <= p.last }

// Any tells whether the rule is "*", alone or of one network: every port that there may be.
func (p Port) Any() bool { return p.first == 1 && p.last == 65535 }

// Meets tells whether there is a port that both rules are about.
func (p Port) Meets(other Port) bool {
	return p.first != 0 && other.first != 0 && p.first <= other.last && other.first <= p.last &&
		(p.network == "" || other.network == "" || p.network == other.network)
}

// Each yields the network and number of each port, those of TCP first.
func (p Port) Each() iter.Seq2[string, uint16] {
	return func(yield func(string, uint16) bool) {
		for _, network := range []string{TCP, UDP} {
			if p.network != "" && p.network != network || p.first == 0 {
				continue
			}
			for port := int(p.first); port <= int(p.last); port++ {
				if !yield(network, uint16(port)) { //nolint:gosec // a port's
					return
				}
			}
		}
	}
}

// String is the rule in its shortest form.
func (p Port) String() string {
	text := p.ports()
	if p.network != "" {
		text += "/" + p.network
	}
	return text
}

func (p Port) ports() string {
	switch {
	case p.Any():
		return "*"
	case p.first == p.last:
		return strconv.Itoa(int(p.first))
	default:
		return strconv.Itoa(int(p.first)) + "-" + strconv.Itoa(int(p.last))
	}
}

// parseRange reads "*", "443" or "9000-9100" and says what is wrong with anything else.
func parseRange(text string) (p Port, fault string) {
	if text == "*" {
		return Port{first: 1, last: 65535}, ""
	}
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	var ok bool
	if p.first, ok = parseNumber(first); !ok {
		return Port{}, notPort(first)
	}
	if p.last, ok = parseNumber(last); !ok {
		return Port{}, notPort(last)
	}
	if p.first > p.last {
		return Port{}, "the range ends before it begins"
	}
	return p, ""
}

func parseNumber(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && n > 0 && text[0] != '0' && text[0] != '+'
}

func notPort(text string) string {
	return "the port " + strconv.Quote(clip(text)) + ` is not a number from 1 to 65535, a range such as 9000-9100, or "*"`
}

// Ports are rules about ports. No rules at all allow every port.
type Ports []Port

// ParsePorts reads rules about ports.
func ParsePorts(rules []string) (Ports, error) { return parseAll(rules, ParsePort) }

// Allows tells whether a port of a network, "tcp" or "udp", may be offered.
func (p Ports) Allows(network string, port uint16) bool {
	if len(p) == 0 {
		return port != 0 && (network == TCP || network == UDP)
	}
	for _, rule := range p {
		if rule.Allows(network, port) {
			return true
		}
	}
	return false
}

// Meet tells whether there is a port that both allow.
func (p Ports) Meet(other Ports) bool {
	if len(p) == 0 || len(other) == 0 {
		return true
	}
	for _, one := range p {
		if slices.ContainsFunc(other, one.Meets) {
			return true
		}
	}
	return false
}

// parseAll reads each rule of a list.
func parseAll[R any](rules []string, parse func(string) (R, error)) ([]R, error) {
	if len(rules) > MaxRules {
		return nil, postern.Errorf(postern.CodeRuleInvalid, "there are %d rules, at most %d are allowed", len(rules), MaxRules)
	}
	var all []R
	for _, text := range rules {
		rule, err := parse(text)
		if err != nil {
			return nil, err
		}
		all = append(all, rule)
	}
	return all, nil
}

func invalid(rule, fault string) error {
	return postern.Errorf(postern.CodeRuleInvalid, "the rule %q is not valid: %s", clip(rule), fault)
}

func tooLong(rule string) error {
	return postern.Errorf(postern.CodeRuleInvalid, "the rule %q has %d bytes, at most %d are allowed", clip(rule), len(rule), MaxRule)
}

// clip shortens what somebody wrote for a message.
func clip(text string) string { return postern.Clip(text, 80) }
