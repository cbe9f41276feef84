package connector

import (
	"net/netip"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
)

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// speakOfAddresses tells whether there is a rule that an address at this port could
// satisfy.
func speakOfAddresses(rules allow.Targets, port uint16) bool {
	for _, rule := range rules {
		host, _, _ := strings.Cut(strings.TrimPrefix(rule.String(), "["), "]")
		if !strings.HasPrefix(rule.String(), "[") {
			host, _, _ = strings.Cut(rule.String(), ":")
		}
		network, err := netip.ParsePrefix(host)
		if err != nil {
			addr, notOne := netip.ParseAddr(host)
			if notOne != nil {
				continue
			}
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		if rule.Allows(network.Addr().String(), port) {
			return true
		}
	}
	return false
}

// permit gives what decides, address by address, whether the target of a remote may be
// dialled; nil where nothing restricts it. A rule that names the target lets it have any
// address; else the address itself must be allowed. Both, the connector's rules and the
// remote's own, have to let it pass.
func permit(r Remote, rules ...allow.Targets) func(netip.AddrPort) error {
	var asked []allow.Targets
	for _, set := range rules {
		if len(set) > 0 && !set.Allows(r.Host, r.TargetPort) {
			asked = append(asked, set)
		}
	}
	if len(asked) == 0 {
		return nil
	}
	return func(addr netip.AddrPort) error {
		for _, set := range asked {
			if !set.Allows(addr.Addr().Unmap().String(), addr.Port()) {
				return postern.Errorf(postern.CodeTargetRefused, "%s is not allowed as an address of %s", addr, r.Target())
			}
		}
		return nil
	}
}
