package service

import (
	"context"
	"maps"
	"reflect"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/store"
)

// Collection is the use cases of one kind of resource: T is what is shown, C makes one
// and U changes one. Everything is of the caller's account; what belongs to another is
// CodeNotFound. A change and its event are one transaction.
type Collection[R, T, C, U any, P store.Headed[R]] struct {
	service    *Service
	definition resource.Definition
	rows       func(store.Tx) store.Rows[R]
	events     eventTypes

	// build makes a row of a creation; its Meta is filled besides the description and
	// metadata.
	build func(d *draft, by Caller, row P, c C) error
	// made makes what belongs to a row that was just stored, and is shown with it; nil
	// where there is nothing.
	made func(d *draft, by Caller, row P) error
	// change applies a change to a row.
	change func(d *draft, by Caller, row P, u U) error
	// scope says which of the table's rows are of this kind; nil: all.
	scope store.Filter
	// release refuses to delete what is in use; nil where nothing refers to it. It may
	// delete what belongs to the row.
	release func(d *draft, by Caller, row P) error
	// remove takes a row away, where it is not just deleted.
	remove func(d *draft, row P) error
	// show makes what the API and events show. d may be read from.
	show func(tx reader, row P) (T, error)

	// stored are fields of T, by their paths in JSON, and the columns that hold the same:
	// lists are filtered by them in the store. Those of every row are not mentioned.
	stored map[string]string

	// empty is the code of a change without any field; "" where that is no mistake.
	empty postern.Code
	// needs is what the caller's role must allow for a change; Write by default.
	needs postern.Action
}

// reader is a transaction to read from.
type reader struct {
	store.Tx
	ctx context.Context //nolint:containedctx // lives as long as the transaction
}

// eventTypes are those of a kind's changes.
type eventTypes struct{ created, updated, deleted postern.EventType }

// Page says which resources are wanted.
type Page struct {
	Before string // the id of the last one of the page before; empty: from the newest
	Limit  int
	Where  store.Filter // nil: all
}

// List is a page of resources, the newest first.
type List[T any] struct {
	Items []T
	More  bool // there are older ones
}

// Create makes a resource.
func (k *Collection[R, T, C, U, P]) Create(ctx context.Context, by Caller, c C) (T, error) {
	return k.create(ctx, by, c, k.build)
}

func (k *Collection[R, T, C, U, P]) create(ctx context.Context, by Caller, c C, build func(*draft, Caller, P, C) error) (T, error) {
	var shown T
	if err := k.mayChange(by); err != nil {
		return shown, err
	}
	err := k.service.change(ctx, func(d *draft) error {
		row := P(new(R))
		head := row.Head()
		head.ID, head.Account = newID(k.definition.Prefixes[0], d.now), by.Account
		head.CreatedAt, head.UpdatedAt = d.now, d.now
		if err := build(d, by, row, c); err != nil {
			return err
		}
		if err := checkTexts(head.Description, head.Metadata); err != nil {
			return err
		}
		if err := k.rows(d.Tx).Create(d.ctx, *row); err != nil {
			return err
		}
		var err error
		if shown, err = k.tell(d, by, k.events.created, row); err != nil || k.made == nil {
			return err
		}
		if err := k.made(d, by, row); err != nil {
			return err
		}
		shown, err = k.show(reader{d.Tx, d.ctx}, row)
		return err
	})
	return shown, err
}

// Get returns a resource.
func (k *Collection[R, T, C, U, P]) Get(ctx context.Context, by Caller, id string) (T, error) {
	var shown T
	if err := by.may(postern.Read); err != nil {
		return shown, err
	}
	err := k.service.read(ctx, func(ctx context.Context, tx store.Tx) error {
		row, err := k.find(ctx, tx, by, id)
		if err != nil {
			return err
		}
		shown, err = k.show(reader{tx, ctx}, P(&row))
		return err
	})
	return shown, err
}

// List returns a page of resources.
func (k *Collection[R, T, C, U, P]) List(ctx context.Context, by Caller, p Page) (List[T], error) {
	var list List[T]
	if err := by.may(postern.Read); err != nil {
		return list, err
	}
	err := k.service.read(ctx, func(ctx context.Context, tx store.Tx) error {
		rows, err := k.rows(tx).List(ctx, store.Page{Account: by.Account, Before: p.Before, Limit: p.Limit + 1, Where: store.All(k.scope, p.Where)})
		if err != nil {
			return err
		}
		list = List[T]{More: len(rows) > p.Limit}
		rows = rows[:min(len(rows), p.Limit)]
		list.Items = make([]T, len(rows))
		for i := range rows {
			if list.Items[i], err = k.show(reader{tx, ctx}, P(&rows[i])); err != nil {
				return err
			}
		}
		return nil
	})
	return list, err
}

// Update changes a resource.
func (k *Collection[R, T, C, U, P]) Update(ctx context.Context, by Caller, id string, u U) (T, error) {
	var shown T
	if err := k.mayChange(by); err != nil {
		return shown, err
	}
	if k.empty != "" && reflect.ValueOf(u).IsZero() {
		return shown, &postern.Error{Code: k.empty}
	}
	return k.edit(ctx, by, id, func(d *draft, row P) error { return k.change(d, by, row, u) })
}

// edit changes a row.
func (k *Collection[R, T, C, U, P]) edit(ctx context.Context, by Caller, id string, apply func(*draft, P) error) (T, error) {
	var shown T
	if err := k.mayChange(by); err != nil {
		return shown, err
	}
	err := k.service.change(ctx, func(d *draft) error {
		row, err := k.find(d.ctx, d.Tx, by, id)
		if err != nil {
			return err
		}
		head := P(&row).Head()
		head.UpdatedAt = d.now
		if err := apply(d, P(&row)); err != nil {
			return err
		}
		if err := checkTexts(head.Description, head.Metadata); err != nil {
			return err
		}
		if err := k.rows(d.Tx).Update(d.ctx, row); err != nil {
			return err
		}
		shown, err = k.tell(d, by, k.events.updated, P(&row))
		return err
	})
	return shown, err
}

// Delete removes a resource. One that others refer to is refused with the code for
// that.
func (k *Collection[R, T, C, U, P]) Delete(ctx context.Context, by Caller, id string) error {
	if err := k.mayChange(by); err != nil {
		return err
	}
	return k.service.change(ctx, func(d *draft) error {
		row, err := k.find(d.ctx, d.Tx, by, id)
		if err != nil {
			return err
		}
		if k.release != nil {
			if err := k.release(d, by, P(&row)); err != nil {
				return err
			}
		}
		if _, err := k.tell(d, by, k.events.deleted, P(&row)); err != nil {
			return err
		}
		if k.remove != nil {
			return k.remove(d, P(&row))
		}
		return k.rows(d.Tx).Delete(d.ctx, by.Account, id)
	})
}

// find is the row of an id, if it is of the caller's account and of this kind.
func (k *Collection[R, T, C, U, P]) find(ctx context.Context, tx store.Tx, by Caller, id string) (R, error) {
	row, err := k.rows(tx).Get(ctx, by.Account, id)
	if err != nil || k.scope == nil {
		return row, err
	}
	within, err := k.rows(tx).List(ctx, store.Page{Account: by.Account, Limit: 1, Where: store.And{store.Equal("id", id), k.scope}})
	if err == nil && len(within) == 0 {
		err = postern.Errorf(postern.CodeNotFound, "there is no %s %q", k.definition.Singular, id)
	}
	return row, err
}

// Stored are the fields of T by which a Page's Where may select, by their paths in JSON,
// and what Where calls them.
func (k *Collection[R, T, C, U, P]) Stored() map[string]string {
	all := map[string]string{"id": "id", "created_at": "created_at", "description": "description", "metadata": "metadata"}
	maps.Copy(all, k.stored)
	return all
}

func (k *Collection[R, T, C, U, P]) mayChange(by Caller) error {
	return by.may(max(k.needs, postern.Write))
}

// tell records the event of a change and returns what it shows.
func (k *Collection[R, T, C, U, P]) tell(d *draft, by Caller, kind postern.EventType, row P) (T, error) {
	shown, err := k.show(reader{d.Tx, d.ctx}, row)
	if err != nil {
		return shown, err
	}
	head := row.Head()
	return shown, d.recordBy(by, kind, head.Account, head.ID, shown)
}

// identity is what every resource begins with.
func (s *Service) identity(d resource.Definition, m *store.Meta) resource.Identity {
	return resource.Identity{ID: m.ID, URI: s.uri(d, m.ID), CreatedAt: resource.Moment(m.CreatedAt)}
}

// notes are what was written on a resource.
func notes(m *store.Meta) resource.Notes {
	return resource.Notes{Description: m.Description, Metadata: m.Metadata}
}

// uri is a resource's address in the API.
func (s *Service) uri(d resource.Definition, id string) string { return s.apiURL + d.PathOf(id) }

// ref points to a resource; nil where there is none.
func (s *Service) ref(d resource.Definition, id string) *resource.Ref {
	if id == "" {
		return nil
	}
	return &resource.Ref{ID: id, URI: s.uri(d, id)}
}

// set changes a field that a change names.
func set[V any](field *V, to *V) {
	if to != nil {
		*field = *to
	}
}

// clip shortens what somebody sent for a message.
func clip(text string) string { return postern.Clip(text, 80) }
