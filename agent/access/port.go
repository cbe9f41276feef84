package access

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Port is a local listener and the port of a gateway that it leads to.
type Port struct {
	Gateway string         // its name or id
	Network postern.Scheme // TCP or UDP
	Port    uint16
	Listen  netip.AddrPort // port 0 is the system's choice
}

// target is the port as the server hears of it.
func (p *Port) target() link.GatewayPort {
	return link.GatewayPort{Gateway: p.Gateway, Network: p.Network, Port: p.Port}
}

// String is the gateway's end: "stage:8081/tcp".
func (p *Port) String() string { return targetText(p.target()) }

func targetText(p link.GatewayPort) string {
	return fmt.Sprintf("%s:%d/%s", p.Gateway, p.Port, p.Network)
}

// ParsePort reads PORT[/tcp|/udp][:[ADDRESS:]LOCAL]: "8081", "8081:9000", "53/udp:5353",
// "8081:0.0.0.0:9000", "8081:[::1]:9000". Without an address it is 127.0.0.1, without a
// local port the gateway's; a local port 0 is the system's choice. Errors are
// CodeFlagInvalid.
func ParsePort(gateway, text string) (Port, error) {
	p := Port{Gateway: gateway, Network: postern.TCP}
	remote, local, given := strings.Cut(text, ":")
	number, network, named := strings.Cut(remote, "/")
	if named {
		p.Network = postern.Scheme(strings.ToLower(network))
	}
	if p.Network != postern.TCP && p.Network != udp {
		return p, invalidPort(text, fmt.Sprintf("%q is not tcp or udp", network))
	}
	port, ok := parseNumber(number)
	if !ok || port == 0 {
		return p, invalidPort(text, fmt.Sprintf("%q is not a port from 1 to 65535", number))
	}
	p.Port, p.Listen = port, netip.AddrPortFrom(loopback(), port)
	if !given {
		return p, nil
	}
	var err error
	if p.Listen, err = ParseListen(local); err != nil {
		return p, invalidPort(text, postern.AsError(err).Text())
	}
	return p, nil
}

// udp is the network of ports that take datagrams.
const udp postern.Scheme = "udp"

func invalidPort(text, problem string) error {
	return postern.Errorf(postern.CodeFlagInvalid,
		"the port %q cannot be read: %s; write PORT, PORT/udp, PORT:LOCAL or PORT:ADDRESS:LOCAL", text, problem)
}

// ParseListen reads the address of a listener: "1080", ":1080", "127.0.0.1:1080",
// "localhost:1080", "[::1]:1080". Without an address it is 127.0.0.1: what listens for
// everybody has to say so. Errors are CodeFlagInvalid.
func ParseListen(text string) (netip.AddrPort, error) {
	host, number := "", text
	if i := strings.LastIndexByte(text, ':'); i >= 0 {
		host, number = text[:i], text[i+1:]
	}
	port, ok := parseNumber(number)
	if !ok {
		return netip.AddrPort{}, postern.Errorf(postern.CodeFlagInvalid, "%q does not end with a port from 0 to 65535", text)
	}
	if inner, found := strings.CutPrefix(host, "["); found {
		host = strings.TrimSuffix(inner, "]")
	}
	switch strings.ToLower(host) {
	case "", "localhost":
		return netip.AddrPortFrom(loopback(), port), nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, postern.Errorf(postern.CodeFlagInvalid, "%q does not begin with an IP address of this machine", text)
	}
	return netip.AddrPortFrom(ip, port), nil
}

func parseNumber(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && strings.Trim(text, "0123456789") == ""
}

func loopback() netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 0, 1}) }
