package postern

import (
	"net/netip"
	"strconv"
	"strings"
)

// Scheme is what visitors speak to an endpoint.
type Scheme string

// The schemes of public endpoints.
const (
	HTTP  Scheme = "http"
	HTTPS Scheme = "https"
	TCP   Scheme = "tcp"
	TLS   Scheme = "tls"
	UDP   Scheme = "udp"
)

// ParseScheme accepts the names above in any case.
func ParseScheme(s string) (Scheme, error) {
	switch scheme := Scheme(strings.ToLower(s)); scheme {
	case HTTP, HTTPS, TCP, TLS, UDP:
		return scheme, nil
	}
	return "", Errorf(CodeSchemeInvalid, "scheme %q is not one of http, https, tcp, tls, udp", clip(s))
}

// DefaultPort is the port that a URL of the scheme does not show; 0 for tcp and udp,
// whose endpoints are told apart by their port.
func (s Scheme) DefaultPort() uint16 {
	switch s {
	case HTTP:
		return 80
	case HTTPS, TLS:
		return 443
	}
	return 0
}

// Hosted tells whether endpoints of the scheme share a port and are told apart by
// name (Host or SNI).
func (s Scheme) Hosted() bool { return s != TCP && s != UDP }

// URL names an endpoint. For http, https and tls the port says nothing (every
// endpoint of a server shares it) and is always 0 here; what people are shown is
// made from the server's public ports by URL.Public. For tcp and udp it is the key, each of
// its own: tcp and udp of one port are two endpoints.
//
// That of an internal endpoint has an Account, within which the name means something: two
// accounts may have the same one. Its port is part of the name for every scheme, and 0 for
// the scheme's default.
type URL struct {
	Scheme  Scheme
	Host    Hostname
	Port    uint16
	Account AccountID `json:",omitempty"` // "" for public endpoints
}

// IsZero tells whether nothing was asked for.
func (u URL) IsZero() bool { return u == URL{} }

// Internal tells whether the URL is an internal endpoint's, which only endpoints of its
// own account can send visitors to.
func (u URL) Internal() bool { return u.Account != "" }

// HasPort tells whether the endpoint has a port of the server's machine to itself.
func (u URL) HasPort() bool { return !u.Scheme.Hosted() && !u.Internal() }

// Within gives the internal URL of the same name in an account.
func (u URL) Within(account AccountID) URL {
	if u.Port == u.Scheme.DefaultPort() {
		u.Port = 0
	}
	u.Account = account
	return u
}

// String gives the canonical form: no port where it is the scheme's default.
func (u URL) String() string { return u.Public(0) }

// Public gives the form to show when the scheme is served on port (0: the
// default), which says nothing about internal endpoints: "https://app.example.com", "https://app.localhost:8443",
// "tcp://tcp.example.com:20001", "udp://udp.example.com:20001".
func (u URL) Public(port uint16) string {
	if u.Port != 0 || u.Internal() {
		port = u.Port
	}
	text := string(u.Scheme) + "://" + string(u.Host)
	if port != 0 && port != u.Scheme.DefaultPort() {
		text += ":" + strconv.Itoa(int(port))
	}
	return text
}

// URLRequest is what an agent asked for, part by part; an empty part is for the
// server to assign.
type URLRequest struct {
	Scheme Scheme
	Host   Hostname
	Port   uint16
	IP     netip.Addr // set instead of Host where the host was an IP literal
}

// ParseURLRequest reads the forms that clients send: "https://app.example.com",
// "app.example.com", "https://" (assign a name), "tcp://", "tcp://:20001",
// "tcp.example.com:20001", "". fallback is the scheme of a request without one.
// A path, query, fragment or user is CodeURLPartNotAllowed.
func ParseURLRequest(s string, fallback Scheme) (URLRequest, error) {
	req := URLRequest{Scheme: fallback}
	rest := strings.TrimSpace(s)
	if scheme, after, found := strings.Cut(rest, "://"); found {
		parsed, err := ParseScheme(scheme)
		if err != nil {
			return URLRequest{}, err
		}
		req.Scheme, rest = parsed, after
	}
	rest = strings.TrimSuffix(rest, "/")
	if strings.ContainsAny(rest, "/?#@") {
		return URLRequest{}, Errorf(CodeURLPartNotAllowed,
			"URL %q may have a scheme, a host and a port only; remove the path, query, fragment or user", clip(s))
	}
	return req.withAuthority(s, rest)
}

func (r URLRequest) withAuthority(whole, authority string) (URLRequest, error) {
	host, port := splitPort(authority)
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return URLRequest{}, Errorf(CodeURLPartNotAllowed, "URL %q: port %q is not a number from 1 to 65535", clip(whole), clip(port))
		}
		r.Port = uint16(n)
	}
	if host == "" {
		return r, nil
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		r.IP = ip
		return r, nil
	}
	name, err := ParseHostname(host)
	if err != nil {
		return URLRequest{}, err
	}
	r.Host = name
	return r, nil
}

// splitPort cuts "host:port" and "[v6]:port"; net.SplitHostPort refuses a missing
// port, which is the common case here.
func splitPort(authority string) (host, port string) {
	i := strings.LastIndexByte(authority, ':')
	if i < 0 || strings.HasSuffix(authority, "]") {
		return authority, ""
	}
	return authority[:i], authority[i+1:]
}
