package policy

import (
	"fmt"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/postern-dev/postern/internal/nesting"
)

// What a policy's text may be.
const (
	MaxText  = 128 << 10 // bytes
	maxDepth = 64
)

// parse reads YAML or JSON. The text is a stranger's: it may not nest without end, and
// nothing in it may stand for a multiple of itself. The problem's Where and Code are left
// to the caller.
func parse(text string) (*node, *Problem) {
	if len(text) > MaxText {
		return nil, &Problem{Message: fmt.Sprintf("it has more than %d bytes, which are allowed at most", MaxText)}
	}
	text = strings.TrimPrefix(text, "\ufeff")
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		if document, problem := parseJSON(text); problem == nil {
			return document, nil
		}
	}
	if problem := checkTokens(lexer.Tokenize(text)); problem != nil {
		return nil, problem
	}
	file, err := parser.ParseBytes([]byte(text), 0)
	if err != nil {
		return nil, syntaxProblem(err)
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return &node{line: 1, column: 1}, nil
	}
	if len(file.Docs) > 1 && file.Docs[1].Body != nil {
		return nil, at(file.Docs[1].Body, "there is a second document; a policy is one")
	}
	return convert(file.Docs[0].Body)
}

// syntaxProblem is what the YAML parser complains of, where it says that.
func syntaxProblem(err error) *Problem {
	problem := &Problem{Message: "it is neither YAML nor JSON: " + fmt.Sprintf("%.200s", strings.TrimSpace(err.Error()))}
	if bad, ok := err.(interface{ GetToken() *token.Token }); ok && bad.GetToken() != nil {
		problem.Line, problem.Column = bad.GetToken().Position.Line, bad.GetToken().Position.Column
	}
	if bad, ok := err.(interface{ GetMessage() string }); ok && strings.Contains(bad.GetMessage(), "'\t'") {
		problem.Message = "it is neither YAML nor JSON: a line begins with a tab; write spaces"
	} else if ok {
		problem.Message = "it is neither YAML nor JSON: " + fmt.Sprintf("%.200s", bad.GetMessage())
	}
	return problem
}

func at(n ast.Node, format string, args ...any) *Problem {
	p := &Problem{Message: fmt.Sprintf(format, args...)}
	if t := n.GetToken(); t != nil {
		p.Line, p.Column = t.Position.Line, t.Position.Column
	}
	return p
}

// checkTokens refuses what may take more of us than it says.
func checkTokens(tokens token.Tokens) *Problem {
	var gauge nesting.Gauge
	for _, t := range tokens {
		switch t.Type {
		case token.AnchorType, token.AliasType, token.MergeKeyType, token.TagType:
			return &Problem{Line: t.Position.Line, Column: t.Position.Column, Message: "anchors, aliases and tags are not supported; write the value out"}
		}
		if gauge.Depth(t) > maxDepth {
			return &Problem{Line: t.Position.Line, Column: t.Position.Column, Message: fmt.Sprintf("it is nested deeper than %d", maxDepth)}
		}
	}
	return nil
}

// convert makes nodes of YAML's.
func convert(from ast.Node) (*node, *Problem) {
	n := &node{}
	if t := from.GetToken(); t != nil {
		n.line, n.column = t.Position.Line, t.Position.Column
	}
	switch v := from.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		n.kind, n.text = isText, v.Value
		if t := v.GetToken(); t != nil && (t.Type == token.DoubleQuoteType || t.Type == token.SingleQuoteType) {
			n.quotes = 1
		}
	case *ast.LiteralNode:
		n.kind, n.text = isText, v.Value.Value
	case *ast.BoolNode:
		n.kind, n.text = isBool, fmt.Sprint(v.Value)
	case *ast.IntegerNode:
		n.kind, n.text = isNumber, fmt.Sprint(v.Value)
	case *ast.FloatNode:
		n.kind, n.text = isNumber, fmt.Sprint(v.Value)
	case *ast.SequenceNode:
		return convertList(n, v)
	case *ast.MappingNode:
		return convertObject(n, v.Values)
	case *ast.MappingValueNode:
		return convertObject(n, []*ast.MappingValueNode{v})
	default:
		return nil, at(from, "%s is not supported here", strings.ToLower(from.Type().String()))
	}
	return n, nil
}

func convertList(n *node, from *ast.SequenceNode) (*node, *Problem) {
	n.kind = isList
	for _, value := range from.Values {
		item, problem := convert(value)
		if problem != nil {
			return nil, problem
		}
		n.items = append(n.items, item)
	}
	return n, nil
}

func convertObject(n *node, from []*ast.MappingValueNode) (*node, *Problem) {
	n.kind = isObject
	for _, pair := range from {
		name, problem := convert(pair.Key)
		if problem != nil {
			return nil, problem
		}
		if name.kind == isList || name.kind == isObject {
			return nil, at(pair.Key, "a name must be a text")
		}
		value, problem := convert(pair.Value)
		if problem != nil {
			return nil, problem
		}
		if len(n.fields) == 0 {
			n.line, n.column = name.line, name.column
		}
		if n.get(name.text) != nil {
			return nil, at(pair.Key, "%q is there twice", clip(name.text))
		}
		n.fields = append(n.fields, field{name.text, name, value})
	}
	return n, nil
}
