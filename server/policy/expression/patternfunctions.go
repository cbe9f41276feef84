package expression

import (
	"regexp"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"

	"github.com/postern-dev/postern/internal/repetition"
)

// matchesName is what resolver makes of matches, so that no matching is done but here.
const matchesName = "@matches"

func patternFunctions() []function {
	return []function{{matchesName, []form{call(kind.boolean, matches, kind.text, kind.text)}}}
}

// pattern is a regular expression with what it costs to use it.
type pattern struct {
	compiled *regexp.Regexp
	size     int // instructions
}

// CompilePattern compiles a regular expression within the bounds of those in expressions,
// and tells of how many instructions it is.
func CompilePattern(text string) (made *regexp.Regexp, size int, err error) {
	p, err := compilePattern(text)
	if err != nil {
		return nil, 0, err
	}
	return p.compiled, p.size, nil
}

// compilePattern refuses patterns that would take long.
func compilePattern(text string) (*pattern, error) {
	if len(text) > mostPattern {
		return nil, exceeded("the regular expression has %d bytes, and may have %d", len(text), mostPattern)
	}
	about, err := repetition.Steps(text)
	if err != nil {
		return nil, unfit("the regular expression is not valid in RE2")
	}
	if about > 2*mostProgram { // to find out how many takes long
		return nil, exceeded("the regular expression is too large: its repetitions count too far, and it may have %d steps", mostProgram)
	}
	size, err := types.RegexProgramSize(text)
	if err != nil {
		return nil, unfit("the regular expression is not valid in RE2")
	}
	if size > mostProgram {
		return nil, exceeded("the regular expression is too large: it compiles to %d steps, and may have %d", size, mostProgram)
	}
	compiled, err := regexp.Compile(text)
	if err != nil {
		return nil, unfit("the regular expression is not valid in RE2")
	}
	return &pattern{compiled, size}, nil
}

func (p *pattern) match(text ref.Val) ref.Val {
	s, ok := text.(types.String)
	if !ok {
		return types.WrapErr(unfit("matches takes a text"))
	}
	if len(s)*p.size > mostSteps {
		return types.WrapErr(exceeded("the text is too long for this regular expression"))
	}
	return types.Bool(p.compiled.MatchString(string(s)))
}

// matches is for patterns that are worked out; others are compiled once.
func matches(text, expression ref.Val) ref.Val {
	wanted, err := textOf(expression)
	if err != nil {
		return types.WrapErr(err)
	}
	p, err := compilePattern(wanted)
	if err != nil {
		return types.WrapErr(err)
	}
	return p.match(text)
}

// constantPatterns compiles the patterns that stand in an expression when it is compiled,
// and notes their sizes.
func constantPatterns(sizes map[string]int) *interpreter.RegexOptimization {
	return &interpreter.RegexOptimization{
		Function: matchesName, RegexIndex: 1,
		Factory: func(call interpreter.InterpretableCall, text string) (interpreter.InterpretableCall, error) {
			p, err := compilePattern(text)
			if err != nil {
				return nil, err
			}
			sizes[text] = p.size
			return interpreter.NewCall(call.ID(), call.Function(), call.OverloadID(), call.Args(), func(args ...ref.Val) ref.Val {
				return p.match(args[0])
			}), nil
		},
	}
}
