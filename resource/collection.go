package resource

import (
	"net/http"
	"reflect"
	"strings"
)

// Definition says all about one kind of resource that is not said by its types.
type Definition struct {
	Name     string   // plural, as in the path: "ip_policies"
	Singular string   // for people: "IP policy"
	Doc      string   // what it is, in a sentence or two
	ListKey  string   // where lists have their items; empty means Name
	Prefixes []string // of ids: the one that is given, and others that are taken too

	// CommandName is the name on the command line where that is not the path's.
	CommandName string

	Operations Operations
	Actions    []Action
	Routes     []Route

	// Ignored are fields of old clients that are taken and mean nothing.
	Ignored []string

	// Object, Creation and Change are the types; Creation and Change are nil where there
	// is no such operation. Define sets them.
	Object, Creation, Change reflect.Type
}

// Operations is a set of what can be done with a resource.
type Operations uint8

// The operations.
const (
	Create Operations = 1 << iota
	Get
	List
	Update
	Delete

	ReadOnly = Get | List
	All      = Create | Get | List | Update | Delete
)

// Has tells whether all of other are in o.
func (o Operations) Has(other Operations) bool { return o&other == other }

// Action is something that can be done with one resource beside the operations:
// POST /<name>/{id}/<action>, with an empty object as its body and answered by 204.
type Action struct {
	Name string // in the path: "restart"
	Doc  string
}

// Route is anything else below a collection's path that answers.
type Route struct {
	Method string
	Path   string // below the collection's: "/{id}/secrets"
	Doc    string

	Body   reflect.Type // of the request; nil for none
	Answer reflect.Type // nil for none; a list's items where ListKey is not empty
	Status int          // of success

	ListKey string
	Paged   bool // the list comes in pages
}

// None is the type of a creation or change that does not exist.
type None struct{}

// Collection is a Definition with its types.
type Collection[T, C, U any] struct{ Definition }

// Define makes a collection of T that is created from C and changed by U; either may be
// None.
func Define[T, C, U any](d Definition) Collection[T, C, U] {
	d.Object = reflect.TypeFor[T]()
	if d.Operations.Has(Create) {
		d.Creation = reflect.TypeFor[C]()
	}
	if d.Operations.Has(Update) {
		d.Change = reflect.TypeFor[U]()
	}
	if d.ListKey == "" {
		d.ListKey = d.Name
	}
	return Collection[T, C, U]{d}
}

// Path is that of the collection: "/ip_policies".
func (d Definition) Path() string { return "/" + d.Name }

// PathOf is that of one resource.
func (d Definition) PathOf(id string) string { return "/" + d.Name + "/" + id }

// ID gives an id of this kind with the prefix that is given, and tells whether it has a
// prefix of this kind at all.
func (d Definition) ID(id string) (string, bool) {
	for _, prefix := range d.Prefixes {
		if unique, is := strings.CutPrefix(id, prefix+"_"); is {
			return d.Prefixes[0] + "_" + unique, true
		}
	}
	return "", false
}

// Command is the name on the command line: "ip-policies".
func (d Definition) Command() string {
	if d.CommandName != "" {
		return d.CommandName
	}
	return strings.NewReplacer("_", "-", "/", "-").Replace(d.Name)
}

// Method is how an operation is asked for.
func (o Operations) Method() string {
	switch o {
	case Create:
		return http.MethodPost
	case Update:
		return http.MethodPatch
	case Delete:
		return http.MethodDelete
	default:
		return http.MethodGet
	}
}
