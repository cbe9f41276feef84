package api

import (
	"context"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/service"
)

// uses are the use cases behind a collection that has all operations.
type uses[T, C, U any] interface {
	Create(ctx context.Context, by service.Caller, c C) (T, error)
	Get(ctx context.Context, by service.Caller, id string) (T, error)
	List(ctx context.Context, by service.Caller, p service.Page) (service.List[T], error)
	Update(ctx context.Context, by service.Caller, id string, u U) (T, error)
	Delete(ctx context.Context, by service.Caller, id string) error

	// Stored are the fields by which the store finds rows, as filter.Of wants them.
	Stored() map[string]string
}

// bind makes the routes of a collection that has all operations.
func bind[T, C, U any](a *API, c resource.Collection[T, C, U], u uses[T, C, U]) {
	creates(a, c.Definition, u.Create)
	gets(a, c.Definition, u.Get)
	lists(a, c.Definition, u.List, u.Stored())
	updates(a, c.Definition, u.Update)
	deletes(a, c.Definition, u.Delete)
}

func creates[T, C any](a *API, d resource.Definition, create func(context.Context, service.Caller, C) (T, error)) {
	a.handle("POST "+d.Path(), func(c *call) (int, any, error) {
		var wanted C
		if err := c.decode(&wanted, d); err != nil {
			return 0, nil, err
		}
		made, err := create(c, c.caller, wanted)
		return http.StatusCreated, made, err
	})
}

func gets[T any](a *API, d resource.Definition, get func(context.Context, service.Caller, string) (T, error)) {
	a.handle("GET "+d.Path()+"/{id}", func(c *call) (int, any, error) {
		id, err := c.id(d)
		if err != nil {
			return 0, nil, err
		}
		found, err := get(c, c.caller, id)
		return http.StatusOK, found, err
	})
}

func updates[T, U any](a *API, d resource.Definition, update func(context.Context, service.Caller, string, U) (T, error)) {
	a.handle("PATCH "+d.Path()+"/{id}", func(c *call) (int, any, error) {
		id, err := c.id(d)
		if err != nil {
			return 0, nil, err
		}
		var wanted U
		if err := c.decode(&wanted, d); err != nil {
			return 0, nil, err
		}
		changed, err := update(c, c.caller, id, wanted)
		return http.StatusOK, changed, err
	})
}

// changes makes POST /<name>/{id}/<action> change a resource and answer with it.
func changes[T, W any](a *API, d resource.Definition, action string, change func(context.Context, service.Caller, string, W) (T, error)) {
	a.handle("POST "+d.Path()+"/{id}/"+action, func(c *call) (int, any, error) {
		id, err := c.id(d)
		if err != nil {
			return 0, nil, err
		}
		var wanted W
		if err := c.decode(&wanted, d); err != nil {
			return 0, nil, err
		}
		changed, err := change(c, c.caller, id, wanted)
		return http.StatusOK, changed, err
	})
}

func deletes(a *API, d resource.Definition, remove func(context.Context, service.Caller, string) error) {
	a.handle("DELETE "+d.Path()+"/{id}", func(c *call) (int, any, error) {
		id, err := c.id(d)
		if err != nil {
			return 0, nil, err
		}
		return http.StatusNoContent, nil, remove(c, c.caller, id)
	})
}

// decode reads the body of a creation or change.
func (c *call) decode(to any, d resource.Definition) error {
	if _, err := c.query(); err != nil {
		return err
	}
	if err := decode(c.body, to, d.Ignored); err != nil {
		return err
	}
	return checkRequired(reflect.ValueOf(to).Elem())
}

// checkRequired refuses a body that leaves out what its type requires.
func checkRequired(value reflect.Value) error {
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if !says(field, "required") || says(field, "checked") || !value.Field(i).IsZero() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		return postern.Errorf(postern.CodeValueInvalid, "the field %q is missing", name)
	}
	return nil
}

// says tells whether a word is in a field's tag api.
func says(field reflect.StructField, word string) bool {
	return slices.Contains(strings.Split(field.Tag.Get("api"), ","), word)
}

// id is the one in the path. What cannot be an id of the collection is not found.
func (c *call) id(d resource.Definition) (string, error) {
	if c.Method != http.MethodPatch {
		if _, err := c.query(); err != nil {
			return "", err
		}
	}
	id, is := d.ID(c.PathValue("id"))
	if !is {
		return "", &postern.Error{Code: postern.CodeNotFound}
	}
	return id, nil
}

// idOf is the id of what a list holds; every resource embeds resource.Identity, or has a
// field ID.
func idOf(item any) string {
	id, _ := reflect.ValueOf(item).FieldByName("ID").Interface().(string)
	return id
}
