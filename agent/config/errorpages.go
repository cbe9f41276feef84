package config

import (
	"strconv"

	"github.com/goccy/go-yaml/ast"

	"github.com/postern-dev/postern"
)

// ErrorPage is one page of an endpoint's own, and the errors that it is for. What it says
// is given as text or as the path of a file.
type ErrorPage struct {
	Errors         []string // see postern.ErrorPage
	HTML, HTMLFile string
	Text, TextFile string
}

// errorPages reads a list of pages.
func errorPages(r *reader, d *draft, e entry) error {
	list, ok := e.value.(*ast.SequenceNode)
	if !ok {
		return r.at(e.value, `%s must be a list of pages, each starting with "- errors:"`, e.path)
	}
	for i, item := range list.Values {
		path := e.path + "[" + strconv.Itoa(i) + "]"
		keys, err := r.entries(path, item)
		if err != nil {
			return err
		}
		d.ErrorPages = append(d.ErrorPages, ErrorPage{})
		if err := r.keys(d, keys, errorPageKeys); err != nil {
			return err
		}
		if err := d.lastPage().check(); err != nil {
			return r.at(item, "%s %s", path, err.Text())
		}
	}
	return nil
}

// errorPageKeys are those of the page that is being read, which is the last one.
var errorPageKeys = map[string]draftKey{
	"errors":    items(func(d *draft) *[]string { return &d.lastPage().Errors }),
	"html":      text(func(d *draft) *string { return &d.lastPage().HTML }),
	"html_file": text(func(d *draft) *string { return &d.lastPage().HTMLFile }),
	"text":      text(func(d *draft) *string { return &d.lastPage().Text }),
	"text_file": text(func(d *draft) *string { return &d.lastPage().TextFile }),
}

func (d *draft) lastPage() *ErrorPage { return &d.ErrorPages[len(d.ErrorPages)-1] }

// check refuses what would lose one of the two places where a text may be.
func (p *ErrorPage) check() *postern.Error {
	switch {
	case p.HTML != "" && p.HTMLFile != "":
		return postern.Errorf(postern.CodeConfigInvalid, "has html and html_file; give one of them")
	case p.Text != "" && p.TextFile != "":
		return postern.Errorf(postern.CodeConfigInvalid, "has text and text_file; give one of them")
	}
	return nil
}

// maintenance reads the switch: true or false, or a mapping.
func maintenance(r *reader, d *draft, e entry) (err error) {
	if _, single := scalar(e.value); single {
		d.Maintenance.Enabled, err = r.flag(e)
		return err
	}
	return r.section(d, e, maintenanceKeys)
}

var maintenanceKeys = map[string]draftKey{
	"enabled": flag(func(d *draft) *bool { return &d.Maintenance.Enabled }),
	"retry_after": func(r *reader, d *draft, e entry) error {
		text, err := r.text(e)
		if err != nil {
			return err
		}
		if d.Maintenance.RetryAfter, err = strconv.ParseInt(text, 10, 64); err != nil {
			return r.at(e.value, "%s: %q is not a number of seconds", e.path, clip(text))
		}
		return nil
	},
	"allow_cidrs": items(func(d *draft) *[]string { return &d.Maintenance.AllowCIDRs }),
}

// asErrorPages is what the server is sent. Files are read now, and paths begin where
// Endpoint.File says.
func (e *Endpoint) asErrorPages() (postern.ErrorPages, error) {
	pages := postern.ErrorPages{Maintenance: e.Maintenance}
	for _, p := range e.ErrorPages {
		html, err := e.textOf("html_file", p.HTML, p.HTMLFile)
		if err != nil {
			return postern.ErrorPages{}, err
		}
		text, err := e.textOf("text_file", p.Text, p.TextFile)
		if err != nil {
			return postern.ErrorPages{}, err
		}
		pages.Pages = append(pages.Pages, postern.ErrorPage{Errors: p.Errors, HTML: html, Text: text})
	}
	return pages, nil
}

func (e *Endpoint) textOf(key, text, path string) (string, error) {
	if path == "" {
		return text, nil
	}
	content, err := ReadFile(e.File(path))
	if err != nil {
		return "", postern.Errorf(postern.CodeFileUnreadable, "error_pages: %s: %v", key, err).Because(err)
	}
	return string(content), nil
}
