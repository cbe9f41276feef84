package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/api/filter"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// filterTime is how long one request may look for what a filter lets through. One that
// searches in texts looks at every row of the account.
const filterTime = 5 * time.Second

// scanPage is how many resources are taken at once from the store to be looked at.
const scanPage = 500

// list gives a page of resources, the newest first.
type list[T any] func(context.Context, service.Caller, service.Page) (service.List[T], error)

// lists makes the route of a list. stored are the fields by which a Page's Where may
// select, as filter.Of wants them; nil where nothing is stored.
func lists[T any](a *API, d resource.Definition, l list[T], stored map[string]string) {
	fields := filter.Of(d.Object, stored)
	a.handle("GET "+d.Path(), func(c *call) (int, any, error) { return l.answer(c, d, d.Path(), fields) })
}

// sublists makes the route of a list of what belongs to one resource, which within
// describes; d is what is listed. l takes the id of the one.
func sublists[T any](
	a *API, within resource.Definition, name string, d resource.Definition,
	l func(context.Context, service.Caller, string, service.Page) (service.List[T], error), stored map[string]string,
) {
	fields := filter.Of(d.Object, stored)
	a.handle("GET "+within.Path()+"/{id}/"+name, func(c *call) (int, any, error) {
		id := c.PathValue("id")
		if !slices.Contains(within.Prefixes, postern.IDPrefix(id)) {
			return 0, nil, &postern.Error{Code: postern.CodeNotFound}
		}
		of := list[T](func(ctx context.Context, by service.Caller, p service.Page) (service.List[T], error) {
			return l(ctx, by, id, p)
		})
		return of.answer(c, d, within.PathOf(id)+"/"+name, fields)
	})
}

// answer gives the page that a request wants of the list at a path.
func (l list[T]) answer(c *call, d resource.Definition, path string, fields filter.Fields) (int, any, error) {
	p, query, err := c.page(d)
	if err != nil {
		return 0, nil, err
	}
	wanted, err := filter.Compile(query.Get("filter"), fields, c.api.config.Now())
	if err != nil {
		return 0, nil, err
	}
	page, last, err := l.filtered(c, p, wanted)
	if err != nil {
		return 0, nil, err
	}
	if page.Items == nil {
		page.Items = []T{} // not null
	}
	var next *string
	if page.More {
		address := c.api.next(path, query, p.Limit, last)
		next = &address
	}
	return http.StatusOK, map[string]any{d.ListKey: page.Items, "uri": c.api.config.URL + path, "next_page_uri": next}, nil
}

// filtered gives a page of what a filter lets through, and the id behind which the next
// one begins.
func (l list[T]) filtered(c *call, p service.Page, wanted *filter.Filter) (service.List[T], string, error) {
	if wanted == nil {
		return l.selected(c, c, p)
	}
	ctx, cancel := context.WithTimeout(c, filterTime)
	defer cancel()
	leave, err := c.api.turns.wait(ctx, c.caller.Account)
	if err != nil {
		return service.List[T]{}, "", err
	}
	defer leave()
	where, whole := wanted.SQL()
	p.Where = store.All(p.Where, where)
	look := l.selected
	if !whole {
		look = func(ctx context.Context, c *call, p service.Page) (service.List[T], string, error) {
			return l.scanned(ctx, c, p, wanted)
		}
	}
	page, last, err := look(ctx, c, p)
	if err != nil && ctx.Err() != nil && c.Err() == nil {
		err = postern.Errorf(postern.CodeFilterInvalid, "the filter cannot be used: it takes longer than %v; search in fewer texts, or add a condition that narrows the search", filterTime).Because(err)
	}
	return page, last, err
}

// selected gives a page of what the store selects.
func (l list[T]) selected(ctx context.Context, c *call, p service.Page) (service.List[T], string, error) {
	page, err := l(ctx, c.caller, p)
	if err != nil || len(page.Items) == 0 {
		return service.List[T]{}, "", err
	}
	return page, idOf(page.Items[len(page.Items)-1]), nil
}

// scanned looks at the resources themselves until a page is full. Where it has to stop
// before, what it found is a page that is not full. If that is nothing it fails: clients
// take an empty page for the end of the list.
func (l list[T]) scanned(ctx context.Context, c *call, p service.Page, wanted *filter.Filter) (service.List[T], string, error) {
	var found service.List[T]
	most := p.Limit
	left, inMemory := c.api.config.Scanned, wanted.Searchable() == ""
	for left > 0 && ctx.Err() == nil {
		p.Limit = min(scanPage, left)
		if inMemory { // each page is made of all that there is, and the time is bound enough
			p.Limit = c.api.config.Scanned
		} else {
			left -= p.Limit
		}
		page, err := l(ctx, c.caller, p)
		if err != nil {
			return found, "", err
		}
		for i, item := range page.Items {
			p.Before = idOf(item)
			through, err := matches(wanted, item)
			if err != nil {
				return found, "", err
			}
			if !through {
				continue
			}
			if found.Items = append(found.Items, item); len(found.Items) == most {
				found.More = page.More || i < len(page.Items)-1
				return found, p.Before, nil
			}
		}
		if !page.More || len(page.Items) == 0 {
			return found, "", nil
		}
	}
	switch {
	case len(found.Items) > 0:
		found.More = true
		return found, p.Before, nil
	case left > 0:
		return found, "", ctx.Err()
	default:
		return found, "", postern.Errorf(postern.CodeFilterInvalid,
			"the filter cannot be used: %d resources were looked at, and it fits none of them; add a condition that can be looked up: %s",
			c.api.config.Scanned, wanted.Searchable())
	}
}

// matches tells whether a filter lets a resource through as its JSON shows it.
func matches(wanted *filter.Filter, item any) (bool, error) {
	text, err := json.Marshal(item)
	if err != nil {
		return false, err
	}
	var shown map[string]any
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // a float64 would round large ones
	if err := decoder.Decode(&shown); err != nil {
		return false, err
	}
	return wanted.Match(shown), nil
}
