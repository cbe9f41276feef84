package connector

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/postern-dev/postern"
)

// yamlReader walks a file's syntax tree, so that every message knows its line and column
// and nothing in the file is passed over. Values are never quoted: they may be secret.
type yamlReader struct {
	name     string
	problems []string
}

// document parses a file that is one mapping; nil where it is not.
func (r *yamlReader) document(text []byte) ast.Node {
	// Editors on Windows write a byte-order mark, which the parser would take for a
	// part of the first key.
	file, err := parser.ParseBytes(bytes.TrimPrefix(text, []byte("\ufeff")), 0)
	if err != nil {
		at := r.name
		var located yaml.Error
		if errors.As(err, &located) && located.GetToken() != nil {
			position := located.GetToken().Position
			at = fmt.Sprintf("%s:%d:%d", r.name, position.Line, position.Column)
			err = errors.New(located.GetMessage())
		}
		r.problems = append(r.problems, fmt.Sprintf("%s: not YAML: %.200s", at, err))
		return nil
	}
	var body ast.Node
	for _, document := range file.Docs {
		switch {
		case document.Body == nil:
		case body != nil:
			r.bad(document.Body, "a second document; the configuration is one")
		default:
			body = document.Body
		}
	}
	if body == nil {
		r.problems = append(r.problems, r.name+": the file is empty")
	}
	return body
}

func (r *yamlReader) at(node ast.Node) string {
	if token := node.GetToken(); token != nil && token.Position != nil {
		return fmt.Sprintf("%s:%d:%d", r.name, token.Position.Line, token.Position.Column)
	}
	return r.name
}

func (r *yamlReader) bad(node ast.Node, format string, args ...any) {
	r.problems = append(r.problems, r.at(node)+": "+fmt.Sprintf(format, args...))
}

// err is all that is wrong, CodeConfigInvalid, or nil.
func (r *yamlReader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return postern.Errorf(postern.CodeConfigInvalid, "%s", strings.Join(r.problems, "\n"))
}

// keys says what reads the value of each key of a mapping.
type keys map[string]func(ast.Node)

// mapping reads a mapping with keys; what describes it is for messages.
func (r *yamlReader) mapping(node ast.Node, what string, known keys) {
	var entries []*ast.MappingValueNode
	switch node := plainNode(node).(type) {
	case *ast.MappingNode:
		entries = node.Values
	case *ast.MappingValueNode: // of one entry
		entries = []*ast.MappingValueNode{node}
	default:
		r.bad(node, "%s must be a mapping of keys to values", what)
		return
	}
	seen := map[string]bool{}
	for _, entry := range entries {
		key, isText := scalar(entry.Key)
		read := known[key]
		switch {
		case !isText || read == nil:
			r.bad(entry.Key, "%s has no key %q; it has %s", what, key, strings.Join(sortedKeys(known), ", "))
		case seen[key]:
			r.bad(entry.Key, "%q is set twice", key)
		default:
			read(entry.Value)
		}
		seen[key] = true
	}
}

func sortedKeys(known keys) []string {
	all := make([]string, 0, len(known))
	for key := range known {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

// list reads each item of a sequence.
func (r *yamlReader) list(node ast.Node, what string, read func(ast.Node)) {
	sequence, ok := plainNode(node).(*ast.SequenceNode)
	if !ok {
		r.bad(node, "%s must be a list", what)
		return
	}
	for _, item := range sequence.Values {
		read(item)
	}
}

// text reads one scalar.
func (r *yamlReader) text(node ast.Node, what string) string {
	value, ok := scalar(plainNode(node))
	if !ok {
		r.bad(node, "%s must be one value", what)
	}
	return value
}

// plainNode looks behind tags and anchors.
func plainNode(node ast.Node) ast.Node {
	for {
		switch wrapped := node.(type) {
		case *ast.TagNode:
			node = wrapped.Value
		case *ast.AnchorNode:
			node = wrapped.Value
		default:
			return node
		}
	}
}

// scalar is the text of a scalar as it was written.
func scalar(node ast.Node) (string, bool) {
	switch node := node.(type) {
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, true
	}
	return "", false
}
