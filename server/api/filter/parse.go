package filter

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/parser"

	"github.com/postern-dev/postern"
)

// What a filter may cost. A condition costs one, each value of a list one, and a search
// in a text eight, as it may look at 4 KiB of metadata.
const (
	mostBytes   = 8192
	mostNested  = 32 // parentheses and calls within each other
	mostCost    = 256
	searchCost  = 8
	mostMessage = 400 // bytes
)

// example is what messages show to those who are far off.
const example = `obj.description == "blue" && obj.created_at > timestamp("2026-01-31T00:00:00Z")`

// parse reads text as CEL, without its macros. Blank text gives nil.
func parse(text string) (*ast.AST, error) {
	if len(text) > mostBytes {
		return nil, fault(-1, "it has %d bytes, and may have %d; ask for less at a time", len(text), mostBytes)
	}
	if i := strings.IndexFunc(text, unwanted); i >= 0 || !utf8.ValidString(text) {
		return nil, fault(characters(text[:max(i, 0)]), "it is no UTF-8 text, or has control characters in it")
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	cel, err := parser.NewParser(
		parser.EnablePrattParser(true), parser.EnableVariadicOperatorASTs(true), parser.EnableIdentEscapeSyntax(false),
		parser.MaxRecursionDepth(mostNested), parser.ErrorRecoveryLimit(1), parser.ErrorReportingLimit(1),
	)
	if err != nil {
		return nil, err
	}
	source := common.NewTextSource(text)
	parsed, faults := cel.Parse(source)
	if found := faults.GetErrors(); len(found) > 0 {
		return nil, syntaxFault(source, found[0])
	}
	return parsed, nil
}

// unwanted is what no filter needs, and what no reader of a message or a log wants.
func unwanted(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r' }

func syntaxFault(source common.Source, found *common.Error) error {
	if found.Location == common.NoLocation {
		return fault(-1, "it is nested more than %d deep; write fewer parentheses", mostNested)
	}
	at, known := source.LocationOffset(found.Location)
	if !known {
		at = -1
	}
	return fault(int(at), "%s; write conditions such as %s", strings.TrimPrefix(found.Message, "Syntax error: "), example)
}

// fault says what is wrong with a filter from the character with that index on; a
// negative one is the filter as a whole.
func fault(at int, format string, args ...any) error {
	where := "the filter cannot be used: "
	if at >= 0 {
		where = fmt.Sprintf("the filter cannot be used from character %d on: ", at+1)
	}
	text := where + fmt.Sprintf(format, args...)
	if len(text) > mostMessage {
		text = strings.ToValidUTF8(text[:mostMessage], "") + "…"
	}
	return postern.Errorf(postern.CodeFilterInvalid, "%s", text)
}

func characters(text string) int { return utf8.RuneCountInString(text) }
