package access

import (
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// SecureGateway is what apps call the gateway that they are for.
const SecureGateway = "secure-gateway"

// names are the gateways that proxies know, by what they are called in lower case.
type names map[string]string

// newNames has gateway known as SecureGateway too.
func newNames(gateway string, others []string) names {
	n := names{SecureGateway: gateway}
	for _, name := range append([]string{gateway}, others...) {
		n[strings.ToLower(name)] = name
	}
	return n
}

// find gives the port that a client of a proxy means. There is no other name than the
// gateways', and no address: whoever asks for one is refused with CodeAccessDenied.
func (n names) find(network postern.Scheme, host string, port uint16) (link.GatewayPort, error) {
	gateway, known := n[strings.ToLower(strings.TrimSuffix(host, "."))]
	switch {
	case !known:
		return link.GatewayPort{}, postern.Errorf(postern.CodeAccessDenied,
			"this proxy leads to ports of private gateways only, and knows none called %.80q", host)
	case port == 0:
		return link.GatewayPort{}, postern.Errorf(postern.CodeGatewayPortClosed, "there is no port 0")
	}
	return link.GatewayPort{Gateway: gateway, Network: network, Port: port}, nil
}
