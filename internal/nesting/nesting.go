// Package nesting bounds how deep YAML nests before it is parsed: a parser takes time and
// memory with the square of it, and the text may be a stranger's.
package nesting

import "github.com/goccy/go-yaml/token"

// Gauge follows the tokens of a text. Its zero value is at the beginning.
type Gauge struct{ line, brackets, along int }

// Depth takes the next token, and gives how deep the text is nested there: by brackets, or
// along one line. What is indented line by line cannot get deep in a text of bounded size.
func (g *Gauge) Depth(t *token.Token) int {
	if t.Position.Line != g.line {
		g.line, g.along = t.Position.Line, 0
	}
	switch t.Type {
	case token.MappingStartType, token.SequenceStartType:
		g.brackets++
	case token.MappingEndType, token.SequenceEndType:
		g.brackets--
	case token.CollectEntryType: // a comma: the next item begins
		g.along = 0
	case token.SequenceEntryType, token.MappingKeyType, token.MappingValueType, token.AnchorType, token.TagType:
		g.along++
	}
	return max(g.brackets, g.along)
}
