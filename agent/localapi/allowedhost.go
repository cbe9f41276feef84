package localapi

import (
	"net/netip"
	"strings"

	"github.com/postern-dev/postern"
)

// allowedHost is an entry of web_allow_hosts.
type allowedHost struct {
	addresses netip.Prefix // valid for an address or a range
	name      string       // else; ".suffix" takes every name below it, and itself
}

func parseAllowedHost(text string) (allowedHost, error) {
	text = strings.ToLower(strings.TrimSpace(text))
	if address, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		address = address.Unmap()
		return allowedHost{addresses: netip.PrefixFrom(address, address.BitLen())}, nil
	}
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return allowedHost{addresses: prefix.Masked()}, nil
	}
	if text == "" || text == "." || strings.ContainsAny(text, "/:*@ ") {
		return allowedHost{}, postern.Errorf(postern.CodeConfigInvalid,
			"web_allow_hosts: %q is neither an address, a range such as 10.0.0.0/8, a name, nor .suffix for the names below it", clip(text))
	}
	return allowedHost{name: strings.TrimSuffix(text, ".")}, nil
}

func (g *guard) lists(host string) bool {
	address, err := netip.ParseAddr(host)
	isAddress := err == nil
	for _, entry := range g.allowed {
		switch {
		case entry.addresses.IsValid():
			if isAddress && entry.addresses.Contains(address.Unmap()) {
				return true
			}
		case strings.HasPrefix(entry.name, "."):
			if host == entry.name[1:] || strings.HasSuffix(host, entry.name) {
				return true
			}
		case host == entry.name:
			return true
		}
	}
	return false
}
