package api

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/service"
)

const maxPage = 100

// query reads the parameters of a request, which must be among known, each once.
func (c *call) query(known ...string) (url.Values, error) {
	values, err := url.ParseQuery(c.URL.RawQuery)
	if err != nil {
		return nil, postern.Errorf(postern.CodeValueInvalid, "the query cannot be read: %v", err)
	}
	for name, given := range values {
		if !slices.Contains(known, name) {
			if len(known) == 0 {
				return nil, postern.Errorf(postern.CodeParameterUnknown, "the parameter %q is not known here, where none is", clip(name))
			}
			return nil, postern.Errorf(postern.CodeParameterUnknown, "the parameter %q is not known here; known are: %s", clip(name), strings.Join(known, ", "))
		}
		if len(given) > 1 {
			return nil, postern.Errorf(postern.CodeParameterRepeated, "the parameter %q is there %d times", clip(name), len(given))
		}
	}
	return values, nil
}

// page reads which page of a list is wanted.
func (c *call) page(d resource.Definition) (service.Page, url.Values, error) {
	query, err := c.query("before_id", "filter", "limit")
	if err != nil {
		return service.Page{}, nil, err
	}
	p := service.Page{Before: query.Get("before_id"), Limit: maxPage}
	if query.Has("limit") {
		limit, err := strconv.Atoi(query.Get("limit"))
		if err != nil || limit < 1 || limit > maxPage {
			return p, nil, postern.Errorf(postern.CodePageSizeInvalid, "limit is %q; it must be a number from 1 to %d", clip(query.Get("limit")), maxPage)
		}
		p.Limit = limit
	}
	before, is := d.ID(p.Before)
	if query.Has("before_id") && !is {
		return p, nil, postern.Errorf(postern.CodeCursorInvalid, "before_id is %q; ids of this list begin with %q", clip(p.Before), d.Prefixes[0]+"_")
	}
	p.Before = before
	return p, query, nil
}

// next is the address of the page behind one that ends with last.
func (a *API) next(path string, query url.Values, limit int, last string) string {
	following := url.Values{"before_id": {last}, "limit": {strconv.Itoa(limit)}}
	if filter := query.Get("filter"); filter != "" {
		following.Set("filter", filter)
	}
	return fmt.Sprintf("%s%s?%s", a.config.URL, path, following.Encode())
}
