package config

import (
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/nesting"
)

// maxFile bounds a configuration file, in bytes.
const maxFile = 1 << 20

// mostDepth bounds how deep a file or a body nests: a traffic policy is the deepest
// there is. The parser below takes time and memory with the square of it.
const mostDepth = 64

// mostDocuments is more than anybody separates: a file is one.
const mostDocuments = 4

// ReadFile reads a file that may be anything: what is larger than a configuration is
// not read to its end.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// syntax parses a file's text, after a look at its shape: the files of vendors and
// templates are strangers' text as well, and none may take the machine's memory.
func (r *reader) syntax(text string, mode parser.Mode) (*ast.File, error) {
	if len(text) > maxFile {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "%s: the file is larger than %d bytes", r.name, maxFile)
	}
	// Editors on Windows write a byte-order mark, which the parser would take for a
	// part of the first key.
	text = strings.TrimPrefix(text, "\ufeff")
	if err := r.checkShape(lexer.Tokenize(text)); err != nil {
		return nil, err
	}
	file, err := parser.ParseBytes([]byte(text), mode)
	if err != nil {
		return nil, r.syntaxError(err)
	}
	return file, nil
}

// checkShape refuses what nests deeper than any configuration, by brackets or along one
// line. What is indented line by line cannot get deep within maxFile.
func (r *reader) checkShape(tokens token.Tokens) error {
	var gauge nesting.Gauge
	documents := 0
	for _, t := range tokens {
		if t.Type == token.DocumentHeaderType {
			if documents++; documents > mostDocuments {
				return r.located(t, "a file is one document")
			}
		}
		if gauge.Depth(t) > mostDepth {
			return r.located(t, "nested deeper than %d", mostDepth)
		}
	}
	return nil
}
