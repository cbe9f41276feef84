package session

import (
	"net"
	"net/netip"
	"path"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
)

// Upstream is the address of a service. Make one with ParseUpstream; the zero value
// is no service.
type Upstream struct {
	Network string // "tcp", "udp", "unix" or "file"
	Address string // "host:port" or a path
	Secure  bool   // the service expects TLS
	text    string
}

// ParseUpstream reads the address of a service behind an endpoint of the scheme:
//
//	8080 :8080              on this machine, over IPv4 or IPv6
//	host host:8080 [::1]:80 anywhere; the port may be absent for http only
//	http://… https://…      for http and https endpoints
//	tcp://… tls://…         for tcp and tls endpoints
//	udp://…                 for udp endpoints, which take a port and host:port besides
//	unix:///run/app.sock    a socket of this machine
//	file:///srv/site        a directory whose files are served, for http and https
//
// Port 443 means TLS unless a scheme says otherwise (not for tcp endpoints, whose
// bytes pass as they are, nor for udp). Errors are CodeUpstreamAddressInvalid and name the text.
func ParseUpstream(text string, endpoint postern.Scheme) (Upstream, error) {
	scheme, rest, found := strings.Cut(strings.TrimSpace(text), "://")
	if !found {
		scheme, rest = "", strings.TrimSpace(text)
	}
	scheme = strings.ToLower(scheme)
	if endpoint == postern.UDP {
		return datagramUpstream(text, scheme, rest)
	}
	switch scheme {
	case "unix":
		return unixUpstream(text, rest)
	case "file":
		return fileUpstream(text, rest, endpoint)
	}
	if err := checkUpstreamScheme(text, scheme, endpoint); err != nil {
		return Upstream{}, err
	}
	rest = strings.TrimSuffix(rest, "/")
	if strings.ContainsAny(rest, "/?#@\\") {
		return Upstream{}, invalidUpstream(text, "it may have a scheme, a host and a port only")
	}
	host, port, err := upstreamAuthority(text, rest)
	if err != nil {
		return Upstream{}, err
	}
	return assembleUpstream(text, scheme, host, port, endpoint)
}

func unixUpstream(text, socket string) (Upstream, error) {
	if !path.IsAbs(socket) || strings.ContainsRune(socket, 0) {
		return Upstream{}, invalidUpstream(text, "a unix socket is written unix:///path/of/the.sock")
	}
	return Upstream{Network: "unix", Address: socket, text: "unix://" + socket}, nil
}

// datagramUpstream takes "5353", ":5353", "host:5353" and those behind "udp://".
func datagramUpstream(text, scheme, rest string) (Upstream, error) {
	if scheme != "" && scheme != "udp" {
		return Upstream{}, invalidUpstream(text, "a udp endpoint takes a port, host:port or udp://")
	}
	rest = strings.TrimSuffix(rest, "/")
	if strings.ContainsAny(rest, "/?#@\\") {
		return Upstream{}, invalidUpstream(text, "it may have a scheme, a host and a port only")
	}
	host, port, err := upstreamAuthority(text, rest)
	if err != nil {
		return Upstream{}, err
	}
	if port == 0 {
		return Upstream{}, invalidUpstream(text, "a udp endpoint needs the port of the service")
	}
	address := net.JoinHostPort(host, strconv.Itoa(int(port)))
	return Upstream{Network: "udp", Address: address, text: "udp://" + address}, nil
}

// fileUpstream takes the path as it stands: nothing in it is decoded. On Windows
// file:///C:/site and file://C:\\site are the same.
func fileUpstream(text, directory string, endpoint postern.Scheme) (Upstream, error) {
	drive := strings.TrimPrefix(directory, "/")
	windows := len(drive) > 2 && drive[1] == ':' && (drive[2] == '/' || drive[2] == '\\')
	switch {
	case endpoint != postern.HTTP && endpoint != postern.HTTPS:
		return Upstream{}, invalidUpstream(text, "files are for http endpoints")
	case strings.ContainsRune(directory, 0) || !windows && !path.IsAbs(directory):
		return Upstream{}, invalidUpstream(text, "a directory is written file:///path/of/it")
	case windows:
		directory = drive
	}
	shown := "file://" + directory
	if windows {
		shown = "file:///" + directory
	}
	return Upstream{Network: "file", Address: directory, text: shown}, nil
}

func checkUpstreamScheme(text, scheme string, endpoint postern.Scheme) error {
	web := endpoint == postern.HTTP || endpoint == postern.HTTPS
	switch scheme {
	case "":
		return nil
	case "http", "https":
		if web {
			return nil
		}
		return invalidUpstream(text, "a "+string(endpoint)+" endpoint takes host:port, tcp:// or tls://")
	case "tcp", "tls":
		if !web {
			return nil
		}
		return invalidUpstream(text, "an http endpoint takes a port, host:port, http:// or https://")
	}
	return invalidUpstream(text, "the scheme "+strconv.Quote(scheme)+" is not known")
}

// upstreamAuthority splits "8080", ":8080", "host", "host:port" and "[v6]:port".
func upstreamAuthority(text, authority string) (host string, port uint16, err error) {
	if isNumber(authority) {
		authority = ":" + authority
	}
	host = authority
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		host = authority[:i]
		n, err := strconv.ParseUint(authority[i+1:], 10, 16)
		if err != nil || n == 0 || authority[i+1] == '+' {
			return "", 0, invalidUpstream(text, "the port must be a number from 1 to 65535")
		}
		port = uint16(n)
	}
	if host == "" && port != 0 {
		return "localhost", port, nil
	}
	if bare, found := strings.CutPrefix(host, "["); found {
		bare = strings.TrimSuffix(bare, "]")
		if ip, err := netip.ParseAddr(bare); err != nil || !ip.Is6() || !strings.HasSuffix(host, "]") {
			return "", 0, invalidUpstream(text, "the IPv6 address in brackets cannot be read")
		}
		return bare, port, nil
	}
	if err := checkUpstreamHost(host); err != "" {
		return "", 0, invalidUpstream(text, err)
	}
	return host, port, nil
}

// checkUpstreamHost accepts names as resolvers do; what a private network calls its
// machines need not be a valid public name.
func checkUpstreamHost(host string) (problem string) {
	if host == "" {
		return "the host is missing"
	}
	if strings.ContainsRune(host, ':') {
		return "an IPv6 address must stand in brackets, like [::1]:8080"
	}
	for _, c := range host {
		if c <= ' ' || c == 0x7f || strings.ContainsRune(`"'<>[]%,;`, c) {
			return "the host has the character " + strconv.QuoteRune(c)
		}
	}
	return ""
}

func assembleUpstream(text, scheme, host string, port uint16, endpoint postern.Scheme) (Upstream, error) {
	web := endpoint == postern.HTTP || endpoint == postern.HTTPS
	secure := scheme == "https" || scheme == "tls" || scheme == "" && port == 443 && endpoint != postern.TCP
	if port == 0 {
		if !web {
			return Upstream{}, invalidUpstream(text, "a "+string(endpoint)+" endpoint needs the port of the service")
		}
		port = postern.HTTP.DefaultPort()
		if secure {
			port = postern.HTTPS.DefaultPort()
		}
	}
	address := net.JoinHostPort(host, strconv.Itoa(int(port)))
	shown := address
	switch {
	case web && secure:
		shown = "https://" + address
	case web:
		shown = "http://" + address
	case secure:
		shown = "tls://" + address
	case port == 443 && endpoint == postern.TLS:
		shown = "tcp://" + address
	}
	return Upstream{Network: "tcp", Address: address, Secure: secure, text: shown}, nil
}

// String gives the address in full, as logs and screens show it; it parses to the
// same Upstream.
func (u Upstream) String() string { return u.text }

// HostHeader is what a request sent straight to the service would carry as Host:
// without the port where that is the scheme's default.
func (u Upstream) HostHeader() string {
	if u.Network != "tcp" && u.Network != "udp" {
		return "localhost"
	}
	host, port, err := net.SplitHostPort(u.Address)
	if err != nil { // cannot happen: ParseUpstream joined it
		return u.Address
	}
	if u.Secure && port == "443" || !u.Secure && port == "80" {
		if strings.ContainsRune(host, ':') {
			return "[" + host + "]"
		}
		return host
	}
	return u.Address
}

// host is the name that a certificate of the service must carry.
func (u Upstream) host() string {
	host, _, err := net.SplitHostPort(u.Address)
	if err != nil {
		return "localhost"
	}
	return host
}

func isNumber(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || '9' < c {
			return false
		}
	}
	return s != ""
}

func invalidUpstream(text, problem string) *postern.Error {
	const most = 200
	if len(text) > most {
		text = text[:most] + "…"
	}
	return postern.Errorf(postern.CodeUpstreamAddressInvalid, "invalid or malformed address: %s (%s)", text, problem)
}
