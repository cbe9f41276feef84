package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/postern-dev/postern"
)

// ParseTunnel reads the JSON with which the local API starts a tunnel: the keys of a
// tunnel of any generation, and name. both tells that an http tunnel that does not
// say has two URLs. Keys that are not understood are passed over, as wrappers send
// their own; warnings names them. Errors are *SyntaxError for what is no JSON, else
// CodeConfigInvalid in the words that clients look for.
func ParseTunnel(body []byte, both bool) (e Endpoint, warnings []string, err error) {
	d, warnings, err := readBody(body, tunnelKeys)
	if err != nil {
		return Endpoint{}, nil, err
	}
	if d.Name == "" {
		return Endpoint{}, nil, postern.Errorf(postern.CodeConfigInvalid, "Tunnel declaration must contain a 'name'")
	}
	if err := d.finishTunnel(both); err != nil {
		return Endpoint{}, nil, err
	}
	return d.Endpoint, warnings, nil
}

// ParseEndpoint is ParseTunnel for an endpoint of version 3.
func ParseEndpoint(body []byte) (e Endpoint, warnings []string, err error) {
	d, warnings, err := readBody(body, endpointKeys)
	if err != nil {
		return Endpoint{}, nil, err
	}
	if err := d.finishEndpoint(); err != nil {
		return Endpoint{}, nil, err
	}
	return d.Endpoint, warnings, nil
}

// SyntaxError says what is wrong with a text that is not JSON, and where.
type SyntaxError struct {
	Line, Column int
	Problem      string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Problem)
}

func readBody(body []byte, table map[string]draftKey) (*draft, []string, error) {
	value, err := decode(body)
	if err != nil {
		return nil, nil, err
	}
	node, err := asYAML(value)
	if err != nil {
		return nil, nil, err
	}
	var config Config
	r := &reader{config: &config, version: "3", seen: map[string]bool{}}
	keys, err := r.entries("", node)
	if err != nil {
		return nil, nil, err
	}
	d := &draft{}
	named := func(r *reader, d *draft, e entry) (err error) {
		d.Name, err = r.text(e)
		return err
	}
	// The name first: messages have it.
	for _, key := range keys {
		if key.key == "name" {
			if err := named(r, d, key); err != nil {
				return nil, nil, err
			}
		}
	}
	others := keys[:0]
	for _, key := range keys {
		if key.key != "name" {
			others = append(others, key)
		}
	}
	return d, config.Warnings, r.keys(d, others, table)
}

// asYAML makes of a JSON value what reader walks.
func asYAML(value any) (ast.Node, error) {
	text, err := yaml.Marshal(value)
	if err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "%s", clip(err.Error()))
	}
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "%s", clip(err.Error()))
	}
	return file.Docs[0].Body, nil
}

// decode reads one JSON object.
func decode(body []byte) (map[string]any, error) {
	if depth(body) > mostDepth {
		return nil, &SyntaxError{1, 1, fmt.Sprintf("nested deeper than %d", mostDepth)}
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, syntaxError(body, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, at(body, decoder.InputOffset(), "something follows the object")
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, at(body, 0, "expected an object: { … }")
	}
	return plain(object).(map[string]any), nil
}

// plain turns numbers into what YAML knows.
func plain(value any) any {
	switch v := value.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		return v.String()
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	}
	return value
}

// syntaxError adds the hints for what people leave out and leave over.
func syntaxError(body []byte, err error) error {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		offset := max(0, syntax.Offset-1)
		problem := syntax.Error()
		before := bytes.TrimRight(body[:min(offset, int64(len(body)))], " \t\r\n")
		if bytes.HasSuffix(before, []byte(",")) && int(offset) < len(body) && (body[offset] == '}' || body[offset] == ']') {
			return at(body, int64(len(before)-1), "a comma without anything behind it; remove it")
		}
		if problem == "unexpected end of JSON input" {
			return at(body, int64(len(body)), "the text ends too early; a closing } or \" is missing")
		}
		return at(body, offset, problem)
	case errors.Is(err, io.EOF):
		return at(body, 0, "the body is empty")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return at(body, int64(len(body)), "the text ends too early; a closing } or \" is missing")
	}
	return at(body, 0, err.Error())
}

func at(body []byte, offset int64, problem string) *SyntaxError {
	before := body[:min(offset, int64(len(body)))]
	line := bytes.Count(before, []byte("\n"))
	return &SyntaxError{Line: line + 1, Column: len(before) - bytes.LastIndexByte(before, '\n'), Problem: problem}
}

// depth is how deep the brackets of a JSON text nest, at most.
func depth(body []byte) int {
	deepest, now, quoted := 0, 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			now++
			deepest = max(deepest, now)
		case c == '}' || c == ']':
			now--
		}
	}
	return deepest
}
