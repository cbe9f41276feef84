package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"github.com/postern-dev/postern"
)

// Parse reads one file's text; name is for messages. Errors are *postern.Error
// with CodeConfigInvalid and start with name:line:column.
func Parse(name string, text []byte) (Config, error) {
	var c Config
	err := c.read(name, text)
	return c, err
}

// read puts what a file says over what c has.
func (c *Config) read(name string, text []byte) error {
	r := &reader{name: name, config: c, seen: map[string]bool{}}
	file, err := r.syntax(string(text), 0)
	if err != nil {
		return err
	}
	for i, document := range file.Docs {
		if i > 0 && document.Body != nil {
			return r.at(document.Body, "a file is one document")
		}
		body, err := r.withoutAliases(document.Body)
		if err != nil {
			return err
		}
		if err := r.root(body); err != nil {
			return err
		}
	}
	c.Files = append(c.Files, name)
	return nil
}

// reader walks the syntax tree of one file.
type reader struct {
	name    string          // "" leaves places out of messages
	version string          // "1", "2" or "3"
	config  *Config         // what is read goes here
	seen    map[string]bool // names of endpoints in this file
}

// entry is one key with its value.
type entry struct {
	key   string
	path  string // "tunnels.web.addr", for messages
	node  ast.Node
	value ast.Node
}

func (r *reader) syntaxError(err error) error {
	var located yaml.Error
	if errors.As(err, &located) && located.GetToken() != nil {
		message := located.GetMessage()
		if strings.Contains(message, "tab") || strings.Contains(message, "\t") {
			message = tabs
		}
		return r.located(located.GetToken(), "not YAML: %s", clip(message))
	}
	return postern.Errorf(postern.CodeConfigInvalid, "%s: not YAML: %s", r.name, clip(err.Error()))
}

// tabs are the commonest mistake of all.
const tabs = "config contains tab characters, YAML must use spaces for indentation"

func (r *reader) at(node ast.Node, format string, args ...any) *postern.Error {
	return r.located(node.GetToken(), format, args...)
}

func (r *reader) located(at *token.Token, format string, args ...any) *postern.Error {
	message := fmt.Sprintf(format, args...)
	if r.name != "" {
		message = r.where(at) + ": " + message
	}
	return postern.Errorf(postern.CodeConfigInvalid, "%s", message)
}

func (r *reader) where(at *token.Token) string {
	if r.name == "" || at == nil || at.Position == nil {
		return r.name
	}
	return fmt.Sprintf("%s:%d:%d", r.name, at.Position.Line, at.Position.Column)
}

// dir is where the file is; "" where that is the working directory, or there is no file.
func (r *reader) dir() string {
	if dir := filepath.Dir(r.name); r.name != "" && dir != "." {
		return dir
	}
	return ""
}

// entries gives the keys of a mapping; an absent value is an empty one.
func (r *reader) entries(path string, node ast.Node) ([]entry, error) {
	var pairs []*ast.MappingValueNode
	switch node := node.(type) {
	case nil, *ast.NullNode, *ast.CommentNode, *ast.CommentGroupNode:
		return nil, nil
	case *ast.AnchorNode: // of a file that is edited
		return r.entries(path, node.Value)
	case *ast.MappingNode:
		pairs = node.Values
	case *ast.MappingValueNode:
		pairs = []*ast.MappingValueNode{node}
	default:
		return nil, r.at(node, "%s must be a mapping of keys to values", orFile(path))
	}
	seen := map[string]bool{}
	found := make([]entry, 0, len(pairs))
	for _, pair := range pairs {
		if _, merge := pair.Key.(*ast.MergeKeyNode); merge {
			continue // likewise
		}
		key, ok := scalar(pair.Key)
		if !ok {
			return nil, r.at(pair.Key, "a key must be a plain word")
		}
		if seen[key] {
			return nil, r.at(pair.Key, "%s is set twice", clip(join(path, key)))
		}
		seen[key] = true
		found = append(found, entry{key, join(path, key), pair.Key, pair.Value})
	}
	return found, nil
}

func (r *reader) text(e entry) (string, error) {
	text, ok := scalar(e.value)
	if _, braces := e.value.(*ast.MappingNode); !ok && braces {
		return "", r.at(e.value, "%s must be a single value; if { … } was a placeholder, write the value itself, without braces", e.path)
	}
	if !ok {
		return "", r.at(e.value, "%s must be a single value", e.path)
	}
	return text, nil
}

// list reads a list of single values; a single value is a list of one, as ngrok
// reads it.
func (r *reader) list(e entry) ([]string, error) {
	items, ok := e.value.(*ast.SequenceNode)
	if !ok {
		text, err := r.text(e)
		if err != nil || text == "" {
			return nil, err
		}
		return []string{text}, nil
	}
	texts := make([]string, 0, len(items.Values))
	for _, item := range items.Values {
		text, ok := scalar(item)
		if !ok {
			return nil, r.at(item, "an item of %s must be a single value", e.path)
		}
		texts = append(texts, text)
	}
	return texts, nil
}

func (r *reader) flag(e entry) (bool, error) {
	text, err := r.text(e)
	if err != nil {
		return false, err
	}
	switch strings.ToLower(text) {
	case "true", "yes", "on":
		return true, nil
	case "false", "no", "off", "":
		return false, nil
	}
	return false, r.at(e.value, "%s must be true or false", e.path)
}

// scalar gives a single value as it was written.
func scalar(node ast.Node) (string, bool) {
	switch node := node.(type) {
	case nil, *ast.NullNode:
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

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func orFile(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}
