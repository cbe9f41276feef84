package server

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/postern-dev/postern/internal/nearest"
)

// parse lays a file over c. It walks the syntax tree itself instead of decoding
// into a struct, so that every message knows its line and column and nothing in
// the file is passed over.
func parse(name string, text []byte, c *Config) Problems {
	c.places = map[string]string{"": name}
	r := &reader{name: name, config: c, settings: make(map[string]Setting)}
	for _, setting := range Settings() {
		r.settings[setting.Key] = setting
	}
	// Editors on Windows write a byte-order mark, which the parser would take for a
	// part of the first key.
	file, err := parser.ParseBytes(bytes.TrimPrefix(text, []byte("\ufeff")), 0)
	if err != nil {
		r.syntax(err)
		return r.problems
	}
	for i, document := range file.Docs {
		if i > 0 && document.Body != nil {
			r.problems.add(r.at(document.Body), "a second document; the configuration is one")
			break
		}
		r.root(document.Body)
	}
	return r.problems
}

// reader walks one file.
type reader struct {
	name     string
	config   *Config
	settings map[string]Setting
	problems Problems
}

func (r *reader) syntax(err error) {
	var located yaml.Error
	if errors.As(err, &located) && located.GetToken() != nil {
		position := located.GetToken().Position
		r.problems.add(fmt.Sprintf("%s:%d:%d", r.name, position.Line, position.Column), "not YAML: %s", clip(located.GetMessage()))
		return
	}
	r.problems.add(r.name, "not YAML: %s", clip(err.Error()))
}

func (r *reader) at(node ast.Node) string {
	if token := node.GetToken(); token != nil && token.Position != nil {
		return fmt.Sprintf("%s:%d:%d", r.name, token.Position.Line, token.Position.Column)
	}
	return r.name
}

func (r *reader) root(body ast.Node) {
	if body == nil || body.Type() == ast.NullType || body.Type() == ast.CommentType || body.Type() == ast.CommentGroupType {
		return // an empty file sets nothing
	}
	values, ok := mapping(body)
	if !ok {
		r.problems.add(r.at(body), "the configuration must be a mapping of keys to values")
		return
	}
	r.section("", values)
}

// mapping gives the entries of a mapping node; a mapping of one entry has a node
// type of its own.
func mapping(node ast.Node) ([]*ast.MappingValueNode, bool) {
	switch node := node.(type) {
	case *ast.MappingNode:
		return node.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{node}, true
	}
	return nil, false
}

func (r *reader) section(prefix string, entries []*ast.MappingValueNode) {
	seen := make(map[string]bool)
	for _, entry := range entries {
		name, ok := entry.Key.(*ast.StringNode)
		if !ok {
			r.problems.add(r.at(entry.Key), "a key must be a plain word; anchors, aliases and merges are not supported")
			continue
		}
		key := prefix + name.Value
		if seen[key] {
			r.problems.add(r.at(entry.Key), "%s is set twice", clip(key))
			continue
		}
		seen[key] = true
		r.entry(key, entry)
	}
}

func (r *reader) entry(key string, entry *ast.MappingValueNode) {
	if setting, known := r.settings[key]; known {
		r.setting(setting, entry.Value)
		return
	}
	if !r.isSection(key) {
		r.unknown(key, entry.Key)
		return
	}
	entries, ok := mapping(entry.Value)
	switch {
	case ok:
		r.section(key+".", entries)
	case entry.Value.Type() != ast.NullType:
		r.problems.add(r.at(entry.Value), "%s must be a mapping of keys to values", key)
	}
}

func (r *reader) isSection(key string) bool {
	for known := range r.settings {
		if strings.HasPrefix(known, key+".") {
			return true
		}
	}
	return false
}

func (r *reader) unknown(key string, node ast.Node) {
	var candidates []string
	for _, setting := range Settings() { // in the table's order, for a stable choice
		candidates = append(candidates, setting.Key)
		if section, _, nested := strings.Cut(setting.Key, "."); nested {
			candidates = append(candidates, section)
		}
	}
	if near := nearest.Of(key, candidates); near != "" {
		r.problems.add(r.at(node), "%s is not a key of the configuration; did you mean %s?", clip(key), near)
		return
	}
	r.problems.add(r.at(node), "%s is not a key of the configuration", clip(key))
}

func (r *reader) setting(setting Setting, node ast.Node) {
	r.config.places[setting.Key] = r.at(node)
	values, ok := r.values(setting, node)
	if !ok {
		return
	}
	if err := setting.set(r.config, values); err != nil {
		r.problems.add(r.at(node), "%s: %v", setting.Key, err)
	}
}

func (r *reader) values(setting Setting, node ast.Node) ([]string, bool) {
	items, isSequence := node.(*ast.SequenceNode)
	switch {
	case setting.list && isSequence:
		return r.sequence(setting, items)
	case setting.list && node.Type() == ast.NullType:
		return nil, true
	}
	if entries, isMapping := mapping(node); isMapping && setting.future {
		if len(entries) == 0 {
			return nil, true // {} is the documented default
		}
		return []string{"{…}"}, true // the setting refuses it, whatever it holds
	}
	text, ok := scalarText(node)
	if !ok {
		r.problems.add(r.at(node), "%s must be %s", setting.Key, wanted(setting))
		return nil, false
	}
	return []string{text}, true
}

func wanted(setting Setting) string {
	if setting.list {
		return "a list"
	}
	return "a single value"
}

func (r *reader) sequence(setting Setting, sequence *ast.SequenceNode) ([]string, bool) {
	var values []string
	for _, item := range sequence.Values {
		if entries, isMapping := mapping(item); isMapping && setting.fields != nil {
			text, ok := r.item(setting, item, entries)
			if !ok {
				return nil, false
			}
			values = append(values, text)
			continue
		}
		text, ok := scalarText(item)
		if !ok {
			r.problems.add(r.at(item), "an item of %s must be a single value", setting.Key)
			return nil, false
		}
		values = append(values, text)
	}
	return values, true
}

// item turns {certificate: a, key: b} into the flag's form, "a=b", and {name: a, addresses:
// [b, c]} into "a=b+c".
func (r *reader) item(setting Setting, node ast.Node, entries []*ast.MappingValueNode) (string, bool) {
	found := make(map[string]string)
	for _, entry := range entries {
		name, text := entry.Key.String(), ""
		switch {
		case slices.Contains(setting.fields, name):
			text, _ = scalarText(entry.Value)
		case slices.Contains(setting.lists, name):
			text = listText(entry.Value)
		}
		if text == "" {
			keys := append(slices.Clone(setting.fields), setting.lists...)
			r.problems.add(r.at(entry.Key), "%s is not a key of an item of %s, or has no value; an item has %s", clip(name), setting.Key, strings.Join(keys, " and "))
			return "", false
		}
		found[name] = text
	}
	var texts []string
	for _, field := range setting.fields {
		if found[field] == "" {
			r.problems.add(r.at(node), "an item of %s lacks %s", setting.Key, field)
			return "", false
		}
		texts = append(texts, found[field])
	}
	for _, field := range setting.lists {
		if found[field] != "" {
			texts = append(texts, found[field])
		}
	}
	return strings.Join(texts, "="), true
}

// listText gives a list of scalars, or one, with pluses between them; "" for anything else.
func listText(node ast.Node) string {
	sequence, is := node.(*ast.SequenceNode)
	if !is {
		text, _ := scalarText(node)
		return text
	}
	var texts []string
	for _, item := range sequence.Values {
		text, ok := scalarText(item)
		if !ok || text == "" {
			return ""
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "+")
}

// scalarText gives a scalar as it was written.
func scalarText(node ast.Node) (string, bool) {
	switch node := node.(type) {
	case *ast.NullNode:
		return "", true
	case *ast.StringNode:
		return node.Value, true
	case *ast.LiteralNode:
		return node.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return node.GetToken().Value, true
	}
	return "", false
}
