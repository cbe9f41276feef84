package connector

import (
	"net"
	"net/url"
	"path"
	"strings"

	"github.com/postern-dev/postern"
)

// address is where a gateway is reached.
type address struct {
	url    *url.URL // http or https, with a port in Host
	secure bool
}

// parseAddress reads a gateway's address: "https://org.example.com/sg_…". ws and wss
// mean http and https; without a scheme it is http, as in chisel. Errors are
// CodeFlagInvalid and show no password.
func parseAddress(text string) (address, error) {
	full := strings.TrimSpace(text)
	switch lower := strings.ToLower(full); {
	case strings.HasPrefix(lower, "ws://"), strings.HasPrefix(lower, "wss://"):
		full = "http" + full[2:]
	case !strings.Contains(full, "://"):
		full = "http://" + full
	}
	u, err := url.Parse(full)
	if err != nil || u.Hostname() == "" || strings.HasSuffix(u.Host, ":") {
		return address{}, postern.Errorf(postern.CodeFlagInvalid, "the server %q cannot be read; write its address as it was shown with the token, https://HOST/sg_…", withoutPassword(text))
	}
	u.Scheme = strings.ToLower(u.Scheme)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return address{}, postern.Errorf(postern.CodeFlagInvalid, "the server %q has the scheme %q; gateways are at https:// or http://", withoutPassword(text), u.Scheme)
	case u.User != nil:
		return address{}, postern.Errorf(postern.CodeFlagInvalid, "the server %q has a user in it; give user and password with --auth", withoutPassword(text))
	case u.Fragment != "":
		return address{}, postern.Errorf(postern.CodeFlagInvalid, "the server %q has a # in it, behind which nothing is sent", withoutPassword(text))
	}
	return withPort(u), nil
}

// HostPort is what is dialled for an address of a gateway, "host:port". Errors are
// CodeFlagInvalid.
func HostPort(text string) (string, error) {
	at, err := parseAddress(text)
	if err != nil {
		return "", err
	}
	return at.hostPort(), nil
}

// withPort makes the port explicit.
func withPort(u *url.URL) address {
	a := address{url: u, secure: u.Scheme == "https"}
	if u.Port() == "" {
		port := "80"
		if a.secure {
			port = "443"
		}
		u.Host = net.JoinHostPort(u.Hostname(), port)
	}
	return a
}

// withoutPassword shows what somebody gave as an address without what may be secret.
func withoutPassword(text string) string {
	if at := strings.LastIndexByte(text, '@'); at >= 0 {
		scheme, _, found := strings.Cut(text, "://")
		if !found {
			scheme = "…"
		}
		return scheme + "://xxxxx" + text[at:]
	}
	return text
}

// shown is the address as chisel's log has it: of the WebSocket, always with its port.
func (a address) shown() string {
	u := *a.url
	u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	u.RawQuery = ""
	return u.String()
}

// hostPort is what is dialled.
func (a address) hostPort() string { return a.url.Host }

// gateway is the last part of the path, by which our server knows the gateway.
func (a address) gateway() string {
	name := path.Base(a.url.Path)
	if name == "." || name == "/" {
		return ""
	}
	return name
}

// with adds parameters to the query, which an address may have already.
func (a address) with(parameters ...string) *url.URL {
	u := *a.url
	for i := 0; i+1 < len(parameters); i += 2 {
		if u.RawQuery != "" {
			u.RawQuery += "&"
		}
		u.RawQuery += parameters[i] + "=" + parameters[i+1]
	}
	return &u
}

// redirected resolves a redirect's Location against the address. A gateway that was
// reached over TLS is not left for one that is not: the token would be readable.
func (a address) redirected(location string) (address, error) {
	if location == "" {
		return address{}, postern.Errorf(postern.CodeIntercepted, "%s redirects to nowhere: it gives no Location", a.shown())
	}
	u, err := a.url.Parse(location)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return address{}, postern.Errorf(postern.CodeIntercepted, "%s redirects to something else than a gateway", a.shown()).Because(err)
	}
	if a.secure && u.Scheme != "https" {
		return address{}, postern.Errorf(postern.CodeIntercepted, "%s redirects to an address without TLS, where the token could be read on the way", a.shown())
	}
	u.Fragment = ""
	return withPort(u), nil
}
