package policy

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/postern-dev/postern"
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

// aliasDoubt tells why services may read a header of that name that the rule does not
// see, "" for not.
func (e *Evaluation) aliasDoubt(name string) string {
	if others := e.aliasesOf(name); len(others) > 0 {
		return "the header " + http.CanonicalHeaderKey(name) + ", which some services take " + others[0] + " for"
	}
	return ""
}

// removeAliases removes what some services would read as the header of that name.
func (e *Evaluation) removeAliases(name string) {
	for _, other := range e.aliasesOf(name) {
		e.request.Remove(other)
	}
}

// aliasesOf are the names among the request's headers that servers that hand headers on
// as variables read as the given one: "-", "_" and "." are one character there.
func (e *Evaluation) aliasesOf(name string) (all []string) {
	if !e.listed {
		e.listed = true
		for other := range e.request.All() {
			if strings.ContainsAny(other, "_.") {
				e.unusual = append(e.unusual, other)
			}
		}
	}
	for _, other := range e.unusual {
		if len(other) == len(name) && !strings.EqualFold(other, name) && strings.EqualFold(plainName(other), plainName(name)) {
			all = append(all, other)
		}
	}
	return all
}

func plainName(name string) string {
	return strings.NewReplacer("_", "-", ".", "-").Replace(name)
}

// plainHost is a host as it is looked for: in lower case, and without the dot at the end.
func plainHost(host string) string {
	name, port, found := strings.Cut(strings.ToLower(host), ":")
	if strings.HasPrefix(name, "[") {
		return strings.ToLower(host)
	}
	name = strings.TrimSuffix(name, ".")
	if !found {
		return name
	}
	return name + ":" + port
}
