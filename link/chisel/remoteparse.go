package chisel

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
)

// Defaults of a remote whose text leaves a part out.
const (
	anyHost      = "0.0.0.0"
	loopbackHost = "127.0.0.1"
	socksPort    = "1080"
)

// ParseRemote reads a remote as chisel's command line has it, all forms:
//
//	3000  3000:8080  host:3000          listener and target of one machine or two
//	3000:host:80  address:3000:host:80  both in full
//	socks  5000:socks  address:5000:socks
//	stdio:host:22
//
// with "R:" in front where the server listens and the client dials, "/udp" behind a
// port, and IPv6 addresses in brackets. What a gateway offers of that is for Offered
// to say.
//
// Errors are CodeRemoteInvalid and begin with chisel's own words, by which people look
// for help. It is stricter than chisel in one way: a text of which chisel would pass
// over a part, or take a part for something else than it looks, is refused.
func ParseRemote(text string) (Remote, error) {
	p := remoteParser{text: text}
	r, problem := p.parse()
	if problem != nil {
		return Remote{}, postern.Errorf(postern.CodeRemoteInvalid, "Failed to decode remote '%s': %s", clipped(text), problem.text())
	}
	return r, nil
}

// problem is what is wrong with a remote: chisel's words, and more for who reads them.
type problem struct{ chisels, ours string }

func (p *problem) text() string {
	if p.ours == "" {
		return p.chisels
	}
	return p.chisels + " (" + p.ours + ")"
}

// The words of chisel.
const (
	saysInvalid  = "Invalid remote"
	saysNoPorts  = "Missing ports"
	saysBadHost  = "Invalid host"
	saysProtocol = "cross-protocol remotes are not supported yet"
	saysSocksTCP = "only TCP SOCKS is supported"
	saysStdio    = "stdio cannot be reversed"
)

// part is one of the up to four parts of a remote between its colons.
type part struct {
	text     string // without protocol, brackets kept
	protocol string // "", "tcp" or "udp"
	port     string // canonical digits where it is a port, else ""
}

type remoteParser struct {
	text    string
	parts   []part
	reverse bool
}

func (p *remoteParser) parse() (Remote, *problem) {
	rest, reverse := strings.CutPrefix(p.text, "R:")
	p.reverse = reverse
	if bad := p.split(rest); bad != nil {
		return Remote{}, bad
	}
	last := p.parts[len(p.parts)-1]
	var (
		r   Remote
		bad *problem
	)
	if last.text == "socks" && last.protocol == "" {
		r, bad = p.socks()
	} else {
		r, bad = p.addresses()
	}
	r.Reverse = reverse
	switch {
	case bad != nil:
		return Remote{}, bad
	case r.Stdio && reverse:
		return Remote{}, &problem{saysStdio, ""}
	}
	return r, nil
}

// split cuts at the colons that are not within brackets.
func (p *remoteParser) split(rest string) *problem {
	switch {
	case rest == "":
		return &problem{saysInvalid, "it is empty"}
	case strings.TrimSpace(rest) == "":
		return &problem{saysNoPorts, "it is blank"}
	}
	var texts []string
	for more := true; more; {
		var one string
		if strings.HasPrefix(rest, "[") {
			end := strings.IndexByte(rest, ']')
			if end < 0 {
				return &problem{saysInvalid, "the bracket is not closed"}
			}
			inside := rest[:end+1]
			one, rest, more = strings.Cut(rest[end+1:], ":")
			one = inside + one
		} else {
			one, rest, more = strings.Cut(rest, ":")
		}
		if one == "" {
			return &problem{saysInvalid, "nothing stands before, between or behind two colons; IPv6 addresses are written in brackets"}
		}
		texts = append(texts, one)
	}
	if len(texts) > 4 {
		return &problem{saysInvalid, "it has more than four parts; IPv6 addresses are written in brackets"}
	}
	p.parts = make([]part, len(texts))
	for i := len(texts) - 1; i >= 0; i-- {
		var bad *problem
		if p.parts[i], bad = newPart(texts[i]); bad != nil {
			if i == len(texts)-1 {
				bad.chisels = saysNoPorts // which is where chisel stops
			}
			return bad
		}
	}
	return nil
}

func newPart(text string) (part, *problem) {
	made := part{text: text}
	if head, protocol, found := cutProtocol(text); found {
		made.text, made.protocol = head, protocol
	}
	n, isNumber := decimal(made.text)
	switch {
	case isNumber && 0 < n && n <= 65535:
		made.port = strconv.Itoa(n)
	case isNumber:
		return part{}, &problem{saysInvalid, "the port " + clipped(made.text) + " is not between 1 and 65535"}
	case made.text == "socks" || made.text == "stdio":
	case !validHost(made.text):
		return part{}, &problem{saysBadHost, strconv.Quote(clipped(made.text)) + " is no name, no IPv4 address and no IPv6 address in brackets"}
	}
	return made, nil
}

// cutProtocol takes "/tcp" or "/udp", in any case, off the end.
func cutProtocol(text string) (head, protocol string, found bool) {
	if len(text) < 4 {
		return text, "", false
	}
	switch suffix := strings.ToLower(text[len(text)-4:]); suffix {
	case "/tcp", "/udp":
		return text[:len(text)-4], suffix[1:], true
	}
	return text, "", false
}

// decimal reads a text of nothing but digits; one that is too long to be a port is too
// large for one.
func decimal(text string) (n int, ok bool) {
	if text == "" {
		return 0, false
	}
	for _, c := range []byte(text) {
		if c < '0' || '9' < c {
			return 0, false
		}
		n = min(n*10+int(c-'0'), 1<<20)
	}
	return n, true
}

// validHost accepts names as resolvers of private networks do, IPv4 addresses, and
// IPv6 addresses in brackets.
func validHost(host string) bool {
	if bare, found := strings.CutPrefix(host, "["); found {
		bare, closed := strings.CutSuffix(bare, "]")
		ip, err := netip.ParseAddr(bare)
		return closed && err == nil && ip.Is6()
	}
	if host == "" || len(host) > 255 || host[0] == '-' {
		return false
	}
	for _, c := range host {
		if c <= ' ' || c == 0x7f || strings.ContainsRune("\"'<>[]%,;/\\?#@|^`{}()=&$!*+~", c) {
			return false
		}
	}
	return true
}

// socks is a remote whose target SOCKS5 names.
func (p *remoteParser) socks() (Remote, *problem) {
	r := Remote{LocalHost: loopbackHost, LocalPort: socksPort, Socks: true}
	local := p.parts[:len(p.parts)-1]
	protocols := ""
	for _, one := range local {
		protocols += one.protocol
	}
	switch {
	case strings.Contains(protocols, "udp"):
		return r, &problem{saysSocksTCP, ""}
	case len(local) == 1 && local[0].text == "stdio":
		r.LocalHost, r.LocalPort, r.Stdio = "", "", true
	case len(local) == 1 && local[0].port != "":
		r.LocalPort = local[0].port
	case len(local) == 1:
		r.LocalHost = local[0].text
	case len(local) == 2 && local[0].port == "" && local[1].port != "":
		r.LocalHost, r.LocalPort = local[0].text, local[1].port
	case len(local) != 0:
		return r, &problem{saysInvalid, "before \"socks\" stands a port, or an address and a port"}
	}
	r.LocalProto, r.RemoteProto = "tcp", "tcp"
	return r, nil
}

// addresses is a remote with a target. Parts are told apart from the back: what is
// missing in front is taken from what follows.
func (p *remoteParser) addresses() (Remote, *problem) {
	target := p.parts[len(p.parts)-1]
	if target.port == "" {
		return Remote{}, &problem{saysNoPorts, ""}
	}
	r := Remote{LocalHost: anyHost, LocalPort: target.port, RemoteHost: loopbackHost, RemotePort: target.port, RemoteProto: target.protocol}
	front := p.parts[:len(p.parts)-1]
	if len(front) > 0 && front[0].text == "stdio" {
		r.Stdio, r.LocalHost, r.LocalPort = true, "", ""
		front = front[1:]
		if len(front) > 1 || len(front) == 1 && front[0].port != "" {
			return r, &problem{saysInvalid, "behind \"stdio\" stands a host and a port"}
		}
	}
	if bad := r.local(front); bad != nil {
		return r, bad
	}
	for _, one := range front {
		if one.protocol != "" && r.LocalProto == "" {
			r.LocalProto = one.protocol
		}
	}
	if r.RemoteProto == "" {
		r.RemoteProto = "tcp"
	}
	if r.LocalProto == "" {
		r.LocalProto = r.RemoteProto
	}
	if r.LocalProto != r.RemoteProto {
		return r, &problem{saysProtocol, "write /udp at the end of the remote"}
	}
	return r, nil
}

// local sorts the parts in front of the target's port. The order is: the address that
// is listened on, its port, the target's host. Of three parts chisel takes an address
// in front of two ports for the target's host, and so do we.
func (r *Remote) local(front []part) *problem {
	shape := ""
	for _, one := range front {
		if one.text == "socks" || one.text == "stdio" {
			return &problem{saysInvalid, strconv.Quote(one.text) + " is not in its place"}
		}
		if one.port != "" {
			shape += "p"
		} else {
			shape += "h"
		}
	}
	switch shape {
	case "":
	case "p":
		r.LocalPort = front[0].port
	case "h":
		r.RemoteHost = front[0].text
	case "ph":
		r.LocalPort, r.RemoteHost = front[0].port, front[1].text
	case "hp":
		r.RemoteHost, r.LocalPort = front[0].text, front[1].port
	case "hh":
		r.LocalHost, r.RemoteHost = front[0].text, front[1].text
	case "hph":
		r.LocalHost, r.LocalPort, r.RemoteHost = front[0].text, front[1].port, front[2].text
	default:
		return &problem{saysInvalid, "the parts are not address, port, host, port in this order"}
	}
	return nil
}

// Offered tells why a private gateway does not offer the remote, which is reachable
// from the server's side only where the server listens; nil where it does. The error
// is CodeRemoteInvalid.
func (r Remote) Offered() error {
	switch {
	case r.Stdio:
		return postern.Errorf(postern.CodeRemoteInvalid, "the remote '%s' is for standard input and output, which a private gateway does not offer", r)
	case r.Socks:
		return postern.Errorf(postern.CodeRemoteInvalid, "the remote '%s' is a SOCKS proxy, which a private gateway does not offer: each target is declared as R:<local-port>:<remote-host>:<remote-port>", r)
	case !r.Reverse:
		return postern.Errorf(postern.CodeRemoteInvalid, "the remote '%s' would listen here and not at the gateway; write R: in front of it", r)
	}
	return nil
}

// String gives the canonical form: what stands in full is left out where it says
// nothing. ParseRemote reads it to an equal Remote.
func (r Remote) String() string {
	var b strings.Builder
	if r.Reverse {
		b.WriteString("R:")
	}
	switch {
	case r.Stdio:
		b.WriteString("stdio:")
	case r.LocalHost != "" && r.LocalHost != anyHost && !r.Socks || r.Socks && r.LocalHost != loopbackHost:
		b.WriteString(r.LocalHost + ":" + r.LocalPort + ":")
	default:
		b.WriteString(r.LocalPort + ":")
	}
	if r.Socks {
		b.WriteString("socks")
		return b.String()
	}
	b.WriteString(r.RemoteHost + ":" + r.RemotePort)
	if r.RemoteProto == "udp" {
		b.WriteString("/udp")
	}
	return b.String()
}

// clipped keeps a text from a command line short enough for an error.
func clipped(text string) string { return postern.Clip(text, 120) }
