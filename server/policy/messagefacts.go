package policy

import (
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/postern-dev/postern/server/policy/expression"
)

// requestFacts is req.
type requestFacts struct{ *Evaluation }

// Field implements expression.Object.
func (f requestFacts) Field(name string) any {
	r := f.request
	switch name {
	case "method":
		f.doubt(f.methodDoubt())
		return r.Method()
	case "host":
		name, _ := splitHost(strings.ToLower(r.Host()))
		return name
	case "version":
		return strings.TrimPrefix(f.subject.Protocol, "HTTP/")
	case "url":
		if f.Evaluation.url == nil {
			f.Evaluation.url = newURLFacts(f.wholeURL(), f.Evaluation)
		}
		return f.Evaluation.url
	case "user_agent":
		f.doubt(f.singleDoubt("User-Agent"))
		return agentFacts(r.Get("User-Agent"))
	case "content_type":
		f.doubt(f.singleDoubt("Content-Type"))
	case "content_encoding":
		f.doubt(f.headerDoubt("Content-Encoding"))
	case "cookies":
		f.doubt(f.headerDoubt("Cookie"))
		return cookieFacts(sentCookies, r.Values("Cookie"))
	case "ts":
		return messageTimes{f.subject.Started}
	case "headers":
		return headerFacts{r, f.Evaluation}
	}
	return headFacts(r, name)
}

// responseFacts is res.
type responseFacts struct{ *Evaluation }

// Field implements expression.Object.
func (f responseFacts) Field(name string) any {
	r := f.response
	switch name {
	case "status_code":
		return int64(r.Status())
	case "cookies":
		return cookieFacts(func(line string) ([]*http.Cookie, error) {
			one, err := http.ParseSetCookie(line)
			return []*http.Cookie{one}, err
		}, r.Values("Set-Cookie"))
	case "ts":
		return messageTimes{f.now()}
	}
	return headFacts(r, name)
}

// headFacts are the fields that requests and answers share.
func headFacts(h Head, name string) any {
	switch name {
	case "headers":
		return headerFacts{Head: h}
	case "trailers":
		return map[string][]string{} // they come when a program has long decided
	case "content_length":
		if h.Length() < 0 {
			return nil // nobody knows it yet
		}
		return h.Length()
	case "content_type":
		return mediaFacts(h.Get("Content-Type"))
	case "location":
		return given(h.Get("Location"))
	case "content_encoding":
		return listed(h.Values("Content-Encoding"))
	}
	return nil
}

// given is a text; nil for none, which an expression can tell by has().
func given(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// headerFacts are the headers of a head.
type headerFacts struct {
	Head
	of *Evaluation // of a request; nil for answers
}

// Get implements expression.Map.
func (f headerFacts) Get(name string) any {
	if f.of != nil && f.of.at == expression.Request {
		f.of.doubt(f.of.headerDoubt(name))
	}
	if values := f.Values(name); len(values) > 0 {
		return values
	}
	return nil
}

// listed splits a header that is a list.
func listed(values []string) []string {
	all := []string{}
	for _, line := range values {
		for item := range strings.SplitSeq(line, ",") {
			if item = strings.TrimSpace(item); item != "" {
				all = append(all, item)
			}
		}
	}
	return all
}

// mediaFacts is a header that names a media type: its text is the type alone, as types are
// compared.
type mediaFacts string

// Text implements expression.Text.
func (f mediaFacts) Text() string {
	kind, _, _ := strings.Cut(string(f), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

// Field implements expression.Object.
func (f mediaFacts) Field(name string) any {
	switch name {
	case "raw":
		return string(f)
	case "parameters":
		if _, parameters, err := mime.ParseMediaType(string(f)); err == nil {
			return parameters
		}
		return map[string]string{}
	}
	return nil
}

// urlFacts is req.url: its text, and its parts.
type urlFacts struct {
	text string
	url  *url.URL // nil where it is none
	of   *Evaluation
}

func newURLFacts(text string, of *Evaluation) *urlFacts {
	parsed, err := url.Parse(text)
	if err != nil {
		parsed = nil
	} else {
		parsed.Host = plainHost(parsed.Host, parsed.Scheme)
	}
	return &urlFacts{text, parsed, of}
}

// Text implements expression.Text.
func (f *urlFacts) Text() string {
	f.judge("path")
	f.judge("authority")
	if f.url == nil || f.url.Host == "" {
		return f.text
	}
	return f.url.Scheme + "://" + f.url.Host + f.uri()
}

// uri is the path in its one spelling, and the query.
func (f *urlFacts) uri() string {
	_, query, asked := strings.Cut(f.url.RequestURI(), "?")
	if asked {
		query = "?" + query
	}
	if f.url.Path == "" {
		return "/" + query
	}
	return plainPath(f.url.Path) + query
}

// judge notes what is in doubt of a part that is read. Who reads raw and raw_path wants
// what was sent, and judges it.
func (f *urlFacts) judge(part string) {
	switch {
	case f.url == nil:
		f.of.doubt("the URL, which is none")
	case part == "path" || part == "uri":
		f.of.doubt(pathDoubt(f.url))
		f.of.doubt(f.of.targetDoubt())
	case part == "query_params" && readQuery(f.url.RawQuery) == nil:
		f.of.doubt("the parameters of the query, which cannot be told for sure")
	case part == "query_params":
		f.of.doubt(f.of.targetDoubt())
	case part == "authority" || part == "port":
		f.of.doubt(f.of.portDoubt(f.url))
	}
}

// Field implements expression.Object.
func (f *urlFacts) Field(name string) any {
	if name == "raw" {
		return f.text
	}
	if f.judge(name); f.url == nil {
		return nil
	}
	switch name {
	case "scheme":
		return f.url.Scheme
	case "authority":
		return f.url.Host
	case "host":
		return f.url.Hostname()
	case "port":
		return portOf(f.url)
	case "path":
		return f.url.Path
	case "raw_path":
		return f.url.EscapedPath()
	case "query":
		return f.url.RawQuery
	case "query_params":
		return queryFacts{readQuery(f.url.RawQuery), f.of}
	case "uri":
		return f.uri()
	case "user_password":
		return f.url.User.String()
	}
	return nil
}

var (
	_ expression.Object = requestFacts{}
	_ expression.Object = responseFacts{}
	_ expression.Map    = headerFacts{}
	_ expression.Text   = mediaFacts("")
	_ expression.Text   = (*urlFacts)(nil)
)
