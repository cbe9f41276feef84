package policy

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/gate"
	"github.com/postern-dev/postern/server/policy/expression"
)

// doubt notes that a rule for requests has read something that services may read in
// another way: the request is refused, whatever the rule has found. Where the request has
// gone on it is too late.
func (e *Evaluation) doubt(why string) {
	if e.at == expression.Request && why != "" {
		e.doubtful = why
	}
}

// settle gives err, or what becomes of a request that is in doubt. It is asked after each
// expression and action, for an expression may be true whatever came of a part of it.
func (e *Evaluation) settle(err error) error {
	if e.doubtful == "" || err != nil {
		return err
	}
	return postern.Errorf(postern.CodeRequestInvalid, "the endpoint's policy reads %s", e.doubtful)
}

// pathDoubt tells why services may take a path for another one, "" for not. Services and
// what stands before them resolve dots, merge slashes and decode in different orders.
func pathDoubt(u *url.URL) string {
	escaped := u.EscapedPath()
	for segment := range strings.SplitSeq(u.Path, "/") {
		if segment == "." || segment == ".." {
			return "the path, which must not have the segments . and .."
		}
	}
	switch {
	case strings.Contains(u.Path, ";"):
		return "the path, which must not have parameters (;)"
	case !utf8.ValidString(u.Path):
		return "the path, which must be UTF-8"
	case strings.Contains(u.Path, "//"):
		return "the path, which must not have empty segments (//)"
	case strings.Contains(u.Path, `\`):
		return "the path, which must not have a backslash"
	case strings.Count(u.Path, "/") != strings.Count(escaped, "/"):
		return "the path, which must not have an encoded slash (%2F)"
	case strings.ContainsFunc(u.Path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "the path, which must not have control characters"
	}
	return ""
}

// headerDoubt tells why services may read a header of that name that the rule does not
// see, "" for not.
func (e *Evaluation) headerDoubt(name string) string {
	if others := e.aliasesOf(name); len(others) > 0 {
		return "the header " + http.CanonicalHeaderKey(name) + ", which some services take " + others[0] + " for"
	}
	for _, trailer := range e.request.Trailers() {
		if gate.SameName(trailer, name) {
			return "the header " + http.CanonicalHeaderKey(name) + ", which must not come behind the body, too"
		}
	}
	return ""
}

// singleDoubt is headerDoubt for a header that has one line: of two, services believe the
// one or the other.
func (e *Evaluation) singleDoubt(name string) string {
	if len(e.request.Values(name)) > 1 {
		return "the header " + http.CanonicalHeaderKey(name) + ", which must not be there twice"
	}
	return e.headerDoubt(name)
}

// methodDoubt tells why services may do something else than what the method says, "" for
// not.
func (e *Evaluation) methodDoubt() string {
	if method := e.request.Method(); method != strings.ToUpper(method) {
		return "the method, which must be in capitals"
	}
	return e.overrideDoubt("the method", gate.OverridesMethod)
}

// targetDoubt tells why services may look at something else than the URL, "" for not.
func (e *Evaluation) targetDoubt() string { return e.overrideDoubt("the URL", gate.OverridesTarget) }

func (e *Evaluation) overrideDoubt(what string, overrides func(name string) bool) string {
	e.list()
	for _, name := range e.overriding {
		if overrides(name) && len(e.request.Values(name)) > 0 { // no rule has removed it
			return what + ", which some services take from " + name
		}
	}
	for _, trailer := range e.request.Trailers() { // to some services they are headers that come late
		if overrides(trailer) {
			return what + ", which some services take from " + trailer + " behind the body"
		}
	}
	return ""
}

// list notes the names among the request's headers that services may make something else
// of. It is done once: rules cannot add what a visitor has not sent.
func (e *Evaluation) list() {
	if e.listed {
		return
	}
	e.listed = true
	for _, name := range e.request.Names() {
		if strings.ContainsAny(name, "_.") {
			e.unusual = append(e.unusual, name)
		}
		if gate.OverridesMethod(name) || gate.OverridesTarget(name) {
			e.overriding = append(e.overriding, name)
		}
	}
}

// portDoubt tells why services may take a URL for that of another place, "" for not: which
// port a visitor writes does not matter to whom the request goes.
func (e *Evaluation) portDoubt(u *url.URL) string {
	port := u.Port()
	if port == "" || port == strconv.Itoa(int(e.subject.Endpoint.URL.Port)) {
		return ""
	}
	if public, err := url.Parse(e.subject.Endpoint.Public); err == nil && public.Port() == port {
		return ""
	}
	return "the port, which must be the endpoint's"
}

// removeAliases removes what some services would read as the header of that name.
func (e *Evaluation) removeAliases(name string) {
	for _, other := range e.aliasesOf(name) {
		e.request.Remove(other)
	}
	for _, trailer := range e.request.Trailers() {
		if gate.SameName(trailer, name) {
			e.request.RemoveTrailer(trailer)
		}
	}
}

// aliasesOf are the names among the request's headers that servers that hand headers on
// as variables read as the given one: "-", "_" and "." are one character there.
func (e *Evaluation) aliasesOf(name string) (all []string) {
	e.list()
	if len(e.unusual) == 0 && !strings.ContainsAny(name, "_.") {
		return nil
	}
	for _, other := range e.request.Names() {
		if !strings.EqualFold(other, name) && gate.SameName(other, name) {
			all = append(all, other)
		}
	}
	return all
}

// plainHost is a host as it is looked for: in lower case, without the dot at the end, and
// without the port that the scheme has anyhow.
func plainHost(host, scheme string) string {
	name, port := splitHost(strings.ToLower(host))
	switch {
	case port == "", scheme == "http" && port == "80", scheme == "https" && port == "443":
		return name
	}
	return name + ":" + port
}

// splitHost splits a host from its port, "" for none.
func splitHost(host string) (name, port string) {
	at := strings.LastIndexByte(host, ':')
	if at < 0 || strings.HasSuffix(host, "]") {
		return strings.TrimSuffix(host, "."), ""
	}
	return strings.TrimSuffix(host[:at], "."), host[at+1:]
}

// plainPath spells a decoded path in one way (RFC 3986 §6.2.2): only what must be is
// encoded.
func plainPath(path string) string {
	var text strings.Builder
	for i := range len(path) {
		c := path[i]
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("/-._~!$&'()*+,;=:@", c) >= 0 {
			text.WriteByte(c)
		} else {
			fmt.Fprintf(&text, "%%%02X", c)
		}
	}
	return text.String()
}
