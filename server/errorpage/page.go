package errorpage

import (
	"html"
	"strings"

	"github.com/postern-dev/postern"
)

// Values are what placeholders stand for.
type Values struct {
	Code      string // of the error
	Status    string
	Title     string // of the error, from the catalogue
	RequestID string
	Host      string
	Retry     string // after so many seconds
}

// placeholders are the names that there are, and what they stand for.
func placeholders() map[string]func(*Values) string {
	return map[string]func(*Values) string{
		"code":        func(v *Values) string { return v.Code },
		"status":      func(v *Values) string { return v.Status },
		"title":       func(v *Values) string { return v.Title },
		"request_id":  func(v *Values) string { return v.RequestID },
		"host":        func(v *Values) string { return v.Host },
		"retry_after": func(v *Values) string { return v.Retry },
	}
}

// Page is a page for some errors. A form that it has not is left to the server.
type Page struct{ HTML, Text *Template }

// Template is a page's text, cut at its placeholders.
type Template struct {
	pieces []piece
	escape func(string) string // nil: values stay as they are
}

// piece is plain text, and the value behind it; nil for none.
type piece struct {
	text  string
	value func(*Values) string
}

const (
	opening = "{{"
	closing = "}}"
)

// parse reads a text; what names it in messages. The empty text is nil. Errors are
// CodeValueInvalid.
func parse(what, text string, escape func(string) string) (*Template, error) {
	if text == "" {
		return nil, nil
	}
	t := &Template{escape: escape}
	for rest := text; rest != ""; {
		before, after, found := strings.Cut(rest, opening)
		if !found {
			t.pieces = append(t.pieces, piece{text: rest})
			break
		}
		name, behind, closed := strings.Cut(after, closing)
		value := placeholders()[strings.TrimSpace(name)]
		switch {
		case !closed:
			return nil, postern.Errorf(postern.CodeValueInvalid, "%s: a placeholder begins with {{ at byte %d and does not end; add }}, or write &#123; for a brace", what, len(text)-len(rest)+len(before))
		case value == nil:
			return nil, postern.Errorf(postern.CodeValueInvalid, "%s: there is no placeholder {{%s}}; there are {{code}}, {{status}}, {{title}}, {{request_id}}, {{host}} and {{retry_after}}", what, postern.Clip(strings.TrimSpace(name), mostQuoted))
		}
		t.pieces = append(t.pieces, piece{before, value})
		rest = behind
	}
	return t, nil
}

// Render writes the page. ending is put at its end where it has not got it already:
// programs look for an error's code in pages, whoever wrote them.
func (t *Template) Render(v *Values, ending string) []byte {
	var out strings.Builder
	for _, p := range t.pieces {
		out.WriteString(p.text)
		if p.value == nil {
			continue
		}
		value := p.value(v)
		if t.escape != nil {
			value = t.escape(value)
		}
		out.WriteString(value)
	}
	switch {
	case strings.Contains(out.String(), ending):
	case t.escape != nil:
		out.WriteString("\n<!-- " + ending + " -->\n")
	default:
		out.WriteString("\n" + ending + "\n")
	}
	return []byte(out.String())
}

// asHTML is for values within a page of HTML.
func asHTML(value string) string { return html.EscapeString(value) }

// mostQuoted is how many bytes of somebody's text a message shows.
const mostQuoted = 40
