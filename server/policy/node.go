package policy

import "strconv"

// node is a value of a policy's text, and where it stands.
type node struct {
	line, column int
	quotes       int // before the text, in its line
	kind         nodeKind
	text         string // of texts, and of numbers as they were written
	items        []*node
	fields       []field // in their order
}

type nodeKind uint8

const (
	isNull nodeKind = iota
	isText
	isNumber
	isBool
	isList
	isObject
)

type field struct {
	name  string
	at    *node // the name
	value *node
}

// String is how messages call a kind.
func (k nodeKind) String() string {
	return [...]string{"nothing", "a text", "a number", "true or false", "a list", "an object"}[k]
}

// get gives a field of an object; nil where there is none.
func (n *node) get(name string) *node {
	if n == nil {
		return nil
	}
	for i := range n.fields {
		if n.fields[i].name == name {
			return n.fields[i].value
		}
	}
	return nil
}

// none tells whether nothing was written: no field, or null.
func (n *node) none() bool { return n == nil || n.kind == isNull }

// plain is the value in Go's own types, for those who look at no positions.
func (n *node) plain() any {
	switch n.kind {
	case isText:
		return n.text
	case isBool:
		return n.text == "true"
	case isNumber:
		if whole, err := strconv.ParseInt(n.text, 10, 64); err == nil {
			return whole
		}
		value, _ := strconv.ParseFloat(n.text, 64)
		return value
	case isList:
		all := make([]any, len(n.items))
		for i, item := range n.items {
			all[i] = item.plain()
		}
		return all
	case isObject:
		all := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			all[f.name] = f.value.plain()
		}
		return all
	}
	return nil
}
