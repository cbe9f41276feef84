package postern

import (
	"fmt"
	"strings"
)

// Hostname is a DNS name in one canonical form: lower case, ASCII (A-labels), no
// trailing dot, no port. Its first label may be "*" (a wildcard). The zero value
// is "no name". Unicode names are converted to A-labels by the wires, the API and
// the configuration before they come here.
type Hostname string

const (
	maxHostname = 253 // RFC 1035 §2.3.4, without the root dot
	maxLabel    = 63
)

// ParseHostname normalises s and checks it: labels of 1 to 63 letters, digits,
// hyphens and underscores, 253 in all, no hyphen at a label's ends, "*" as the
// first label only. Errors are *Error with CodeHostnameInvalid.
func ParseHostname(s string) (Hostname, error) {
	name := strings.ToLower(strings.TrimSuffix(s, "."))
	if name == "" || len(name) > maxHostname {
		return "", Errorf(CodeHostnameInvalid, "hostname %q must have 1 to %d characters", clip(s), maxHostname)
	}
	rest, wild := strings.CutPrefix(name, "*.")
	if wild && rest == "" {
		return "", Errorf(CodeHostnameInvalid, "hostname %q has nothing after its wildcard", clip(s))
	}
	for label := range strings.SplitSeq(rest, ".") {
		if err := checkLabel(label); err != nil {
			return "", Errorf(CodeHostnameInvalid, "hostname %q: %v", clip(s), err)
		}
	}
	return Hostname(name), nil
}

func checkLabel(label string) error {
	if label == "" || len(label) > maxLabel {
		return fmt.Errorf("each label must have 1 to %d characters", maxLabel)
	}
	if label[0] == '-' || label[len(label)-1] == '-' {
		return fmt.Errorf("label %q starts or ends with a hyphen", label)
	}
	for _, c := range []byte(label) {
		if !isHostByte(c) {
			return fmt.Errorf("character %q is not allowed; use letters, digits and hyphens", c)
		}
	}
	return nil
}

func isHostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_'
}

// Wildcard tells whether the name is "*.something".
func (h Hostname) Wildcard() bool { return strings.HasPrefix(string(h), "*.") }

// Parent drops the first label; "" when there is only one.
func (h Hostname) Parent() Hostname {
	_, rest, _ := strings.Cut(string(h), ".")
	return Hostname(rest)
}

// Under tells whether h is a name below domain, at any depth; a name is not below
// itself. "*.example.com" is below "example.com".
func (h Hostname) Under(domain Hostname) bool {
	return domain != "" && len(h) > len(domain)+1 && strings.HasSuffix(string(h), "."+string(domain))
}

// Internal tells whether the name is below internal, the top-level domain that is kept
// for private use: endpoints there are reached from their own account only.
func (h Hostname) Internal() bool { return h.Under("internal") }

// maxInternalLabels is how many parts the name of an internal endpoint may have.
const maxInternalLabels = 5

// CheckInternal tells why the name cannot be an internal endpoint's: it is not below
// internal (CodeInternalNameInvalid), or has too many parts (CodeInternalNameDeep).
func (h Hostname) CheckInternal() error {
	if !h.Internal() {
		return Errorf(CodeInternalNameInvalid, "the name %q of an internal endpoint does not end in .internal", clip(string(h)))
	}
	if labels := strings.Count(string(h), ".") + 1; labels > maxInternalLabels {
		return Errorf(CodeInternalNameDeep, "%s has %d parts; at most %d are allowed", h, labels, maxInternalLabels)
	}
	return nil
}

// Covers tells whether traffic for name belongs to h: the same name, or any name
// below a wildcard's parent. A wildcard covers itself and narrower wildcards, and
// never its parent.
func (h Hostname) Covers(name Hostname) bool {
	if h == name {
		return true
	}
	return h.Wildcard() && name.Under(h.Parent())
}

// String returns the canonical name.
func (h Hostname) String() string { return string(h) }

// clip shortens untrusted text for a message.
func clip(text string) string { return Clip(text, 120) }
