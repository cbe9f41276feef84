package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
)

// Resources are one kind of resource behind an API. What a kind cannot do (see its
// definition's Operations) the API refuses.
type Resources[T, C, U any] struct {
	client     *Client
	definition resource.Definition
}

// For gives a kind of resource, one of package resource's collections.
func For[T, C, U any](c *Client, of resource.Collection[T, C, U]) Resources[T, C, U] {
	return Resources[T, C, U]{c, of.Definition}
}

// Create makes one.
func (r Resources[T, C, U]) Create(ctx context.Context, wanted C) (made T, err error) {
	err = r.client.Call(ctx, http.MethodPost, r.definition.Path(), wanted, &made)
	return made, err
}

// Get returns one by its id; postern.CodeNotFound where there is none.
func (r Resources[T, C, U]) Get(ctx context.Context, id string) (found T, err error) {
	err = r.client.Call(ctx, http.MethodGet, r.path(id), nil, &found)
	return found, err
}

// Update changes what of wanted is not nil.
func (r Resources[T, C, U]) Update(ctx context.Context, id string, wanted U) (changed T, err error) {
	err = r.client.Call(ctx, http.MethodPatch, r.path(id), wanted, &changed)
	return changed, err
}

// Delete removes one.
func (r Resources[T, C, U]) Delete(ctx context.Context, id string) error {
	return r.client.Call(ctx, http.MethodDelete, r.path(id), nil, nil)
}

// Do lets one do an action of its definition, such as "restart".
func (r Resources[T, C, U]) Do(ctx context.Context, id, action string) error {
	return r.client.Call(ctx, http.MethodPost, r.path(id)+"/"+url.PathEscape(action), struct{}{}, nil)
}

func (r Resources[T, C, U]) path(id string) string { return r.definition.PathOf(url.PathEscape(id)) }

// ListOption says which resources List gives.
type ListOption func(url.Values)

// Filtered gives those for which a CEL expression over obj is true.
func Filtered(expression string) ListOption {
	return func(query url.Values) { query.Set("filter", expression) }
}

// PageSize is how many come with one request, 1 to 100; it changes nothing of the result.
func PageSize(n int) ListOption {
	return func(query url.Values) { query.Set("limit", strconv.Itoa(n)) }
}

// Before gives those that were made before the one with this id.
func Before(id string) ListOption {
	return func(query url.Values) { query.Set("before_id", id) }
}

// List gives all, the newest first, and asks for pages as they are needed. It ends with
// the first error.
func (r Resources[T, C, U]) List(ctx context.Context, options ...ListOption) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for page, err := range r.Pages(ctx, options...) {
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range page {
				if !yield(item, nil) {
					return
				}
			}
		}
	}
}

// Pages is List, a page at a time.
func (r Resources[T, C, U]) Pages(ctx context.Context, options ...ListOption) iter.Seq2[[]T, error] {
	query := url.Values{}
	for _, option := range options {
		option(query)
	}
	return func(yield func([]T, error) bool) {
		at := r.definition.Path()
		if len(query) > 0 {
			at += "?" + query.Encode()
		}
		for at != "" {
			items, next, err := r.page(ctx, at)
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(items, nil) || len(items) == 0 {
				return
			}
			at = next
		}
	}
}

// page reads one page and the address of the next, empty for none.
func (r Resources[T, C, U]) page(ctx context.Context, at string) (items []T, next string, err error) {
	var answer map[string]json.RawMessage
	if err := r.client.Call(ctx, http.MethodGet, at, nil, &answer); err != nil {
		return nil, "", err
	}
	if err := read(answer[r.definition.ListKey], &items); err != nil {
		return nil, "", postern.Errorf(postern.CodeAPIUnreachable, "the list of the API cannot be read").Because(err)
	}
	if err := read(answer["next_page_uri"], &next); err != nil {
		return nil, "", postern.Errorf(postern.CodeAPIUnreachable, "the list of the API cannot be read").Because(err)
	}
	return items, next, nil
}

// read reads a part of an answer; what is absent leaves to as it is.
func read(text json.RawMessage, to any) error {
	if len(text) == 0 {
		return nil
	}
	return json.Unmarshal(text, to)
}
