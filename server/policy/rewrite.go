package policy

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// redirect sends the visitor to another URL. With a pattern, only URLs that fit it: then
// the rules behind go on for the others. Nobody is sent to where they are.
func redirect() kind {
	return kind{
		name: "redirect", phases: inRequest,
		build: func(c *config) action {
			c.require("to")
			a := &redirection{
				from: c.pattern("from"), to: c.template("to"),
				status: int(c.integer("status_code", http.StatusFound, 300, 399)), headers: c.named("headers", mostHeaders),
			}
			for _, h := range a.headers {
				c.answers().checkHeader("headers", h.at, h.name)
			}
			c.groups("to", a.from)
			return a
		},
	}
}

type redirection struct {
	from    *urlPattern
	to      *expression.Template
	status  int
	headers []namedTemplate
}

func (a *redirection) run(e *Evaluation) (Verdict, error) {
	to, found, err := e.rewrite("redirect", a.from, a.to)
	if err != nil || !found {
		return Verdict{}, err
	}
	if to = asReference(to); to == e.wholeURL() || to == e.request.Target() {
		return Verdict{}, nil
	}
	if strings.ContainsFunc(to, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return Verdict{}, postern.Errorf(postern.CodePolicyFailed, "to has become a URL with a control character")
	}
	header, err := e.header(a.headers)
	if err != nil {
		return Verdict{}, err
	}
	header.Set("Location", to)
	return Verdict{Decision: Respond, Answer: &Answer{Status: a.status, Header: header}}, nil
}

// asReference percent-encodes what no URL can have (RFC 3986 §2) and texts that are filled in
// do: blanks, and letters beyond ASCII.
func asReference(text string) string {
	var out strings.Builder
	for i := range len(text) {
		if c := text[i]; c == ' ' || c >= 0x80 {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// urlRewrite changes what the service is asked for.
func urlRewrite() kind {
	return kind{
		name: "url-rewrite", phases: inRequest,
		build: func(c *config) action {
			c.require("to")
			a := &rewriting{c.pattern("from"), c.template("to")}
			c.groups("to", a.from)
			return a
		},
	}
}

type rewriting struct {
	from *urlPattern
	to   *expression.Template
}

func (a *rewriting) run(e *Evaluation) (Verdict, error) {
	to, found, err := e.rewrite("url_rewrite", a.from, a.to)
	if err != nil || !found {
		return Verdict{}, err
	}
	target, err := url.Parse(to)
	if err != nil || target.IsAbs() && target.Host == "" {
		return Verdict{}, postern.Errorf(postern.CodePolicyFailed, "to has become what is no URL")
	}
	if target.IsAbs() && target.Host != e.request.Host() {
		e.request.SetHost(target.Host)
	}
	path := target.EscapedPath()
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if target.RawQuery != "" || target.ForceQuery {
		path += "?" + target.RawQuery
	}
	e.request.SetTarget(path)
	e.url = nil
	return Verdict{}, nil
}

// rewrite gives what becomes of the request's whole URL. What the pattern's groups have
// found stands in the text as $1; expressions are filled in before, in both. found is false
// where the pattern does not fit. The rules behind find it as actions.ngrok.<result>.
func (e *Evaluation) rewrite(result string, from *urlPattern, to *expression.Template) (text string, found bool, err error) {
	text, err = e.fill(to)
	if err != nil {
		return "", false, err
	}
	whole := e.wholeURL()
	matches := []any{whole}
	if from != nil {
		if text, matches, err = from.replace(e, whole, text); err != nil {
			return "", false, err
		}
	}
	if e.program.asksResults {
		e.result(result, map[string]any{"matches": matches, "url": text})
	}
	return text, len(matches) > 0, nil
}

// wholeURL is the request's URL as the visitor typed it.
func (e *Evaluation) wholeURL() string {
	target := e.request.Target()
	if !strings.HasPrefix(target, "/") {
		return target
	}
	return e.subject.Scheme + "://" + e.request.Host() + target
}
