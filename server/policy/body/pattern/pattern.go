package pattern

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"unicode/utf8"

	"github.com/postern-dev/postern/internal/repetition"
)

const (
	// Window is how long a match can be, in bytes. Of a pattern that would match more, what
	// is found is the best match that is no longer, if there is one.
	Window = 64 << 10
	// mostInstructions bounds the work for each byte. A counted repetition is written out:
	// [a-z]{1,64} has about 128.
	mostInstructions = 1000
)

// Pattern is a regular expression in RE2's syntax, to be found in UTF-8; a byte that is
// none matches as U+FFFD. It is immutable and safe concurrently.
type Pattern struct {
	expression *regexp.Regexp
	program    *syntax.Prog
	prefix     []byte // begins every match; nil for nothing known
	first      first
	ahead      bool // whether a match ends may depend on what follows it
}

// first tells with which bytes a match may begin.
type first struct {
	bytes [256]bool
	any   bool // with anything, or with nothing at all
}

// Compile reads a pattern. Its errors are sentences for who wrote it.
func Compile(text string) (*Pattern, error) {
	if about, err := repetition.Steps(text); err == nil && about > 2*mostInstructions { // to find out how many takes long
		return nil, fmt.Errorf("the pattern's repetitions count too far; at most %d steps are allowed", mostInstructions)
	}
	expression, err := regexp.Compile(text)
	if err != nil {
		var malformed *syntax.Error
		if errors.As(err, &malformed) {
			return nil, fmt.Errorf("%s: %.100q", malformed.Code, malformed.Expr)
		}
		return nil, err
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	program, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if n := len(program.Inst); n > mostInstructions {
		return nil, fmt.Errorf("the pattern has %d steps, at most %d are allowed: its repetitions count too far", n, mostInstructions)
	}
	p := &Pattern{expression: expression, program: program}
	if prefix, _ := expression.LiteralPrefix(); prefix != "" {
		p.prefix = []byte(prefix)
	}
	p.first.look(program, uint32(program.Start), make([]bool, len(program.Inst)))
	p.ahead = slices.ContainsFunc(program.Inst, func(i syntax.Inst) bool {
		const needs = syntax.EmptyEndLine | syntax.EmptyEndText | syntax.EmptyWordBoundary | syntax.EmptyNoWordBoundary
		return i.Op == syntax.InstEmptyWidth && syntax.EmptyOp(i.Arg)&needs != 0
	})
	return p, nil
}

// look notes what the instruction at pc, and those that it leads to without consuming
// anything, can begin with.
func (f *first) look(program *syntax.Prog, pc uint32, seen []bool) {
	if seen[pc] {
		return
	}
	seen[pc] = true
	i := &program.Inst[pc]
	switch i.Op {
	case syntax.InstFail:
	case syntax.InstMatch:
		f.any = true
	case syntax.InstAlt, syntax.InstAltMatch:
		f.look(program, i.Out, seen)
		f.look(program, i.Arg, seen)
	case syntax.InstCapture, syntax.InstEmptyWidth, syntax.InstNop:
		f.look(program, i.Out, seen)
	default:
		f.mark(i)
	}
}

// mark notes what one rune of an instruction begins with. Of those outside of ASCII it
// notes them all.
func (f *first) mark(i *syntax.Inst) {
	for b := range utf8.RuneSelf {
		if i.MatchRune(rune(b)) {
			f.bytes[b] = true
		}
	}
	beyond := i.Op == syntax.InstRuneAny || i.Op == syntax.InstRuneAnyNotNL ||
		len(i.Rune) == 1 && syntax.Flags(i.Arg)&syntax.FoldCase != 0 || slices.ContainsFunc(i.Rune, func(r rune) bool { return r >= utf8.RuneSelf })
	for b := utf8.RuneSelf; beyond && b < len(f.bytes); b++ {
		f.bytes[b] = true
	}
}
