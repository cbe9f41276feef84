package setup

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// Run runs a program and returns what it printed.
type Run func(ctx context.Context, argv ...string) (output string, err error)

// Firewall looks for a firewall of this machine that people manage by name, and tells how
// it lets the ports in. Whoever writes rules for nftables or iptables by hand knows.
func Firewall(ctx context.Context, run Run, ports []Port) []Finding {
	if status, err := run(ctx, "ufw", "status"); err == nil && strings.Contains(status, "Status: active") {
		return []Finding{closed("ufw", status, ports, func(port, network string) (string, string) {
			return port + "/" + network, fmt.Sprintf("ufw allow %s/%s", port, network)
		})}
	}
	if state, err := run(ctx, "firewall-cmd", "--state"); err == nil && strings.TrimSpace(state) == "running" {
		open, err := run(ctx, "firewall-cmd", "--list-ports")
		if err == nil {
			return []Finding{closed("firewalld", open, ports, func(port, network string) (string, string) {
				return port + "/" + network, fmt.Sprintf("firewall-cmd --permanent --add-port=%s/%s && firewall-cmd --reload", port, network)
			})}
		}
	}
	return nil
}

// closed tells which ports a listing of a firewall's does not have.
func closed(name, listing string, ports []Port, words func(port, network string) (entry, command string)) Finding {
	f := Finding{Check: "firewall " + name, Status: OK, Text: "it lets the ports in"}
	var missing, commands []string
	for _, p := range ports {
		_, port, err := net.SplitHostPort(p.Address)
		if err != nil {
			continue
		}
		entry, command := words(port, p.Network)
		if !hasEntry(listing, entry, port) {
			missing, commands = append(missing, entry), append(commands, command)
		}
	}
	if len(missing) > 0 {
		f.Status, f.Text = Warning, "it is active, and has no rule that names "+strings.Join(missing, ", ")
		f.Fix = strings.Join(commands, "\n")
	}
	return f
}

// hasEntry looks for "443/tcp", or "443" for both networks, as a word of its own.
func hasEntry(listing, entry, port string) bool {
	for _, word := range strings.Fields(listing) {
		if word == entry || word == port {
			return true
		}
	}
	return false
}
