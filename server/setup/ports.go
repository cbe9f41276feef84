package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// dialTime bounds one connection of this machine to itself.
const dialTime = 5 * time.Second

// Port is one that the server listens on.
type Port struct {
	Network string // "tcp" or "udp"
	Address string // host:port, as in listen.https; the host may be empty
	For     string // "visitors and agents"
}

// Network is what a check of ports needs of the machine.
type Network struct {
	// Listen opens a port and keeps it until it is closed. What arrives is dropped.
	Listen func(ctx context.Context, network, address string) (io.Closer, error)
	Dial   func(ctx context.Context, network, address string) (net.Conn, error)
	// Holder names the program that listens on a port, "" where that cannot be known.
	Holder func(network string, port uint16) string
}

// Ports looks whether the server can have its ports, and whether this machine reaches
// itself there by its public addresses. running tells that the server has them already.
func Ports(ctx context.Context, n Network, ports []Port, ours []netip.Addr, running bool) Findings {
	var all Findings
	for _, port := range ports {
		all = append(all, portOf(ctx, n, port, ours, running))
	}
	return append(all, Finding{Check: "reachable from outside", Status: Unseen,
		Text: "a machine cannot see that of itself: firewalls of a provider (security groups, network ACLs) stand before it",
		Fix:  fromOutside(ports, ours)})
}

func portOf(ctx context.Context, n Network, p Port, ours []netip.Addr, running bool) Finding {
	_, text, err := net.SplitHostPort(p.Address)
	number, parseErr := strconv.ParseUint(text, 10, 16)
	f := Finding{Check: fmt.Sprintf("port %s/%s", text, p.Network), Status: Failed}
	if err != nil || parseErr != nil {
		f.Text = fmt.Sprintf("%q is no address", p.Address)
		return f
	}
	held, err := n.Listen(ctx, p.Network, p.Address)
	holder := ""
	if n.Holder != nil && err != nil {
		holder = n.Holder(p.Network, uint16(number))
	}
	switch {
	case err == nil:
		defer held.Close()
	case errors.Is(err, syscall.EADDRINUSE) && running:
		f.Status, f.Text = OK, "the server has it ("+p.For+")"
		return f
	case errors.Is(err, syscall.EADDRINUSE):
		f.Text, f.Fix = taken(holder, text, p)
		return f
	case errors.Is(err, syscall.EACCES):
		f.Status, f.Text = Warning, "this user may not have ports below 1024"
		f.Fix = "Run the check as root (sudo) to see it; the service that is installed is given the right to have such ports."
		return f
	default:
		f.Text = fmt.Sprintf("it cannot be opened: %v", err)
		f.Fix = "See that listen names an address that this machine has."
		return f
	}
	f.Status, f.Text = OK, "is free ("+p.For+")"
	if p.Network != "tcp" {
		return f
	}
	for _, addr := range ours {
		if err := reach(ctx, n, netip.AddrPortFrom(addr, uint16(number))); err != nil {
			f.Status = Warning
			f.Text += fmt.Sprintf("; this machine does not reach itself at %s: %v", addr, err)
			f.Fix = "That is so where a router translates addresses (many clouds), and no harm; otherwise see the firewall of this machine."
		}
	}
	return f
}

func taken(holder, port string, p Port) (text, fix string) {
	text = "another program listens there"
	fix = fmt.Sprintf("See which with: ss -ltnup 'sport = :%s'. Stop it, or choose another port with listen in the configuration.", port)
	switch {
	case holder == "":
	case strings.HasPrefix(holder, "systemd-resolve") && port == "53":
		text = "systemd-resolved listens there"
		fix = "Give listen.dns the machine's public address, such as 203.0.113.7:53, in place of :53; or set DNSStubListener=no in /etc/systemd/resolved.conf and run: systemctl restart systemd-resolved"
	default:
		text = holder + " listens there"
		fix = fmt.Sprintf("Stop it (a web server's: systemctl disable --now nginx, apache2 or caddy), or let it hand %s over to Postern on another port: public in the configuration.", p.For)
	}
	return text, fix
}

func reach(ctx context.Context, n Network, to netip.AddrPort) error {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := n.Dial(ctx, "tcp", to.String())
	if err != nil {
		var inner *net.OpError
		if errors.As(err, &inner) {
			err = inner.Err
		}
		return err
	}
	return conn.Close()
}

// fromOutside says how somebody else finds out.
func fromOutside(ports []Port, ours []netip.Addr) string {
	host := "ADDRESS"
	if len(ours) > 0 {
		host = ours[0].String()
	}
	var rules []string
	for _, p := range ports {
		_, port, _ := net.SplitHostPort(p.Address)
		rules = append(rules, port+"/"+p.Network)
	}
	return "Let in " + strings.Join(rules, ", ") + ". When the server runs, try from another network: nc -vz " + host + " 443"
}
