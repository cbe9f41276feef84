package connector

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/link/chisel"
)

// The networks of remotes.
const (
	tcp = "tcp"
	udp = "udp"
)

// Remote is a port of the gateway and what is behind it.
type Remote struct {
	Key
	Listen     string // the address at the gateway, for a chisel server; "" is the gateway's to choose
	Host       string // of the target: a name or an address, without brackets
	TargetPort uint16
	// ProxyProtocol is the version of the PROXY header, 1 or 2, that tells the target who
	// the consumer is, as far as the gateway says; 0 sends none. TCP only.
	ProxyProtocol int
	Allow         allow.Targets // of this remote, beside those of the connector
	Check         *Check        // nil: the target is believed to be well
}

// Key tells the remotes of a gateway apart: TCP and UDP of one port are two.
type Key struct {
	Network string // "tcp" or "udp"
	Port    uint16
}

// String is the port as remotes are written: "8081", "53/udp".
func (k Key) String() string {
	if k.Network == udp {
		return strconv.Itoa(int(k.Port)) + "/udp"
	}
	return strconv.Itoa(int(k.Port))
}

// Target is the address that is dialled, "host:port".
func (r Remote) Target() string { return net.JoinHostPort(r.Host, strconv.Itoa(int(r.TargetPort))) }

// String is the remote as it is written on a command line.
func (r Remote) String() string { return r.wire().String() }

// wire is the remote as chisel's config request has it.
func (r Remote) wire() chisel.Remote {
	host := r.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	listen := r.Listen
	if listen == "" {
		listen = "0.0.0.0"
	}
	return chisel.Remote{
		LocalHost: listen, LocalPort: strconv.Itoa(int(r.Port)), LocalProto: r.Network,
		RemoteHost: host, RemotePort: strconv.Itoa(int(r.TargetPort)), RemoteProto: r.Network, Reverse: true,
	}
}

// ParseRemote reads "R:8081:db.corp.example:5432", with /udp behind it for UDP. Errors
// are CodeRemoteInvalid.
func ParseRemote(text string) (Remote, error) {
	parsed, err := chisel.ParseRemote(text)
	if err != nil {
		return Remote{}, err
	}
	if err := parsed.Offered(); err != nil {
		return Remote{}, err
	}
	r := Remote{Key: Key{Network: parsed.LocalProto}, Host: strings.Trim(parsed.RemoteHost, "[]")}
	if parsed.LocalHost != "0.0.0.0" {
		r.Listen = parsed.LocalHost
	}
	// The parser let no other numbers pass.
	port, _ := strconv.ParseUint(parsed.LocalPort, 10, 16)
	target, _ := strconv.ParseUint(parsed.RemotePort, 10, 16)
	r.Port, r.TargetPort = uint16(port), uint16(target)
	return r, nil
}

// ParseRemotes reads the remotes of a command line. A blank one is left out with a
// warning. Errors are CodeRemoteInvalid.
func ParseRemotes(texts []string) (remotes []Remote, warnings []string, err error) {
	for i, text := range texts {
		if strings.TrimSpace(text) == "" {
			warnings = append(warnings, fmt.Sprintf(
				"remote %d is blank and is ignored; a backslash at the end of a line continues the command only where nothing, not even a blank, follows it", i+1))
			continue
		}
		r, err := ParseRemote(text)
		if err != nil {
			return nil, warnings, err
		}
		remotes = append(remotes, r)
	}
	return remotes, warnings, checkDistinct(remotes)
}

// checkDistinct refuses two remotes of one port, in the words of outsystemscc.
func checkDistinct(remotes []Remote) error {
	seen := map[Key]bool{}
	for _, r := range remotes {
		if seen[r.Key] {
			return postern.Errorf(postern.CodeRemoteInvalid, "invalid Remote configuration: local port '%s' is duplicated", r.Key)
		}
		seen[r.Key] = true
	}
	return nil
}

// permitted tells whether rules may let the remote's target be dialled: those about
// addresses cannot be asked for a name, whose addresses are known when it is dialled.
func (r Remote) permitted(rules allow.Targets) error {
	if rules.Allows(r.Host, r.TargetPort) || !isAddress(r.Host) && speakOfAddresses(rules, r.TargetPort) {
		return nil
	}
	return postern.Errorf(postern.CodeTargetRefused, "the remote %s is not allowed: no rule of --allow lets %s be dialled", r, r.Target())
}
