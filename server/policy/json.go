package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sort"
	"strings"
)

// parseJSON reads JSON, as SDKs and API clients send policies.
func parseJSON(text string) (*node, *Problem) {
	p := &jsonParser{decoder: json.NewDecoder(strings.NewReader(text)), text: text}
	p.decoder.UseNumber()
	for i, c := range text {
		if c == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	document, problem := p.value(0)
	if problem != nil {
		return nil, problem
	}
	if _, err := p.decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, p.problem("something comes behind the end")
	}
	return document, nil
}

type jsonParser struct {
	decoder *json.Decoder
	text    string
	lines   []int // where lines but the first begin
}

// position is where the next token begins, or nearly so.
func (p *jsonParser) position() (line, column int) {
	offset := int(p.decoder.InputOffset())
	for offset < len(p.text) && strings.IndexByte(" \t\r\n,:", p.text[offset]) >= 0 {
		offset++
	}
	before := sort.SearchInts(p.lines, offset+1)
	start := 0
	if before > 0 {
		start = p.lines[before-1]
	}
	return before + 1, offset - start + 1
}

func (p *jsonParser) problem(format string, args ...any) *Problem {
	line, column := p.position()
	return &Problem{Line: line, Column: column, Message: "it is not JSON: " + fmt.Sprintf(format, args...)}
}

func (p *jsonParser) value(depth int) (*node, *Problem) {
	if depth > maxDepth {
		return nil, p.problem("it is nested deeper than %d", maxDepth)
	}
	n := &node{}
	n.line, n.column = p.position()
	read, err := p.decoder.Token()
	if err != nil {
		return nil, p.problem("%v", err)
	}
	switch v := read.(type) {
	case nil:
	case string:
		n.kind, n.text, n.quotes = isText, v, 1
	case bool:
		n.kind, n.text = isBool, fmt.Sprint(v)
	case json.Number:
		n.kind, n.text = isNumber, v.String()
	case json.Delim:
		if v == '[' {
			return p.list(n, depth)
		}
		return p.object(n, depth)
	}
	return n, nil
}

func (p *jsonParser) list(n *node, depth int) (*node, *Problem) {
	n.kind = isList
	for p.decoder.More() {
		item, problem := p.value(depth + 1)
		if problem != nil {
			return nil, problem
		}
		n.items = append(n.items, item)
	}
	return n, p.end()
}

func (p *jsonParser) object(n *node, depth int) (*node, *Problem) {
	n.kind = isObject
	for p.decoder.More() {
		name, problem := p.value(depth + 1)
		if problem != nil {
			return nil, problem
		}
		if n.get(name.text) != nil {
			return nil, &Problem{Line: name.line, Column: name.column, Message: fmt.Sprintf("%q is there twice", clip(name.text))}
		}
		value, problem := p.value(depth + 1)
		if problem != nil {
			return nil, problem
		}
		n.fields = append(n.fields, field{name.text, name, value})
	}
	return n, p.end()
}

func (p *jsonParser) end() *Problem {
	if _, err := p.decoder.Token(); err != nil {
		return p.problem("%v", err)
	}
	return nil
}
