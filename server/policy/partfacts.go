package policy

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/postern-dev/postern/server/policy/expression"
)

// mostParameters bounds how many parts of a query are looked at: what is hidden behind
// more makes the query one that cannot be judged (Go CVE-2026-39825's lesson).
const mostParameters = 1000

// queryFacts are the parameters of a query.
type queryFacts struct {
	values url.Values
	of     *Evaluation
}

// readQuery gives the parameters of a query; nil where they cannot be told for sure.
func readQuery(raw string) url.Values {
	if strings.Count(raw, "&") >= mostParameters {
		return nil
	}
	values, err := url.ParseQuery(raw)
	if err != nil {
		return nil
	}
	for name := range values {
		if !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) {
			return nil
		}
	}
	return values
}

// Get implements expression.Map.
func (f queryFacts) Get(name string) any {
	for other := range f.values {
		if other != name && baseName(other) == baseName(name) {
			f.of.doubt("the parameter " + clip(name) + ", which some services take " + clip(other) + " for")
		}
	}
	if values := f.values[name]; values != nil {
		return []string(values)
	}
	return nil
}

// Names implements expression.Map.
func (f queryFacts) Names() []string { return slices.Sorted(maps.Keys(f.values)) }

// baseName is a parameter's name to services that make lists and maps of "a[]" and "a[b]",
// and to PHP, whose variables have neither blanks nor dots.
func baseName(name string) string {
	name = strings.TrimLeft(name, " ")
	if at := strings.IndexByte(name, '['); at > 0 {
		name = name[:at]
	}
	return strings.NewReplacer(" ", "_", ".", "_").Replace(name)
}

func portOf(u *url.URL) any {
	text := u.Port()
	switch {
	case text != "":
	case u.Scheme == "https":
		text = "443"
	default:
		text = "80"
	}
	port, _ := strconv.ParseInt(text, 10, 64)
	return port
}

// messageTimes is req.ts and res.ts.
type messageTimes struct{ head time.Time }

// Field implements expression.Object.
func (f messageTimes) Field(name string) any {
	if name == "header_received" {
		return f.head
	}
	return nil
}

// cookieFacts are cookies by their names.
func cookieFacts(parse func(line string) ([]*http.Cookie, error), lines []string) any {
	all := map[string]any{}
	for _, line := range lines {
		cookies, err := parse(line)
		if err != nil {
			continue
		}
		for _, c := range cookies {
			before, _ := all[c.Name].([]any)
			all[c.Name] = append(before, cookieFact{c})
		}
	}
	return all
}

// sentCookies reads a line of Cookie as the most lenient of services do: what is no cookie
// to RFC 6265 hides none of the others.
func sentCookies(line string) (all []*http.Cookie, err error) {
	for pair := range strings.SplitSeq(line, ";") {
		name, value, _ := strings.Cut(pair, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		if name != "" {
			all = append(all, &http.Cookie{Name: name, Value: value})
		}
	}
	return all, nil
}

type cookieFact struct{ *http.Cookie }

// Field implements expression.Object.
func (f cookieFact) Field(name string) any {
	switch name {
	case "name":
		return f.Name
	case "value":
		return f.Value
	case "domain":
		return given(f.Domain)
	case "path":
		return given(f.Path)
	case "expires":
		if !f.Expires.IsZero() {
			return f.Expires
		}
	case "max_age":
		if f.MaxAge != 0 { // below 0: none are left
			return time.Duration(max(0, f.MaxAge)) * time.Second
		}
	case "secure":
		return f.Secure
	case "http_only":
		return f.HttpOnly
	case "same_site":
		return given([...]string{"", "", "lax", "strict", "none"}[f.SameSite])
	case "unparsed_attributes":
		all := make(map[string]string, len(f.Unparsed))
		for _, attribute := range f.Unparsed {
			key, value, _ := strings.Cut(attribute, "=")
			all[key] = value
		}
		return all
	}
	return nil
}

var (
	_ expression.Text   = agentFacts("")
	_ expression.Object = cookieFact{}
	_ expression.Map    = queryFacts{}
)
