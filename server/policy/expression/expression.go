package expression

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// Expression is compiled, never changes, and may be evaluated by many at the same time.
type Expression struct {
	program cel.Program
	text    string
	info    *ast.SourceInfo
	bounded bool // its size bounds what it may take
	light   bool // and that is next to nothing
	reads   []string
}

// Reads are the variables that the expression names, and their fields with dots: conn,
// conn.tls and conn.tls.sni. What it only asks has() about is none of them, and neither is
// what can be told only once it is evaluated, such as vars.x.
func (x *Expression) Reads() []string { return x.reads }

// Compile compiles what is true or false. What only turns out to be something else when
// it is evaluated, like a variable of vars, fails then.
func Compile(p Phase, text string) (*Expression, *Problem) { return compileTruth(p, text, false) }

func compileTruth(p Phase, text string, retry bool) (*Expression, *Problem) {
	x, result, problem := compile(p, text, retry)
	if problem != nil {
		return nil, problem
	}
	if k := result.Kind(); k != types.BoolKind && k != types.DynKind {
		return nil, &Problem{1, 1, "an expression must be true or false, and this gives " + typeName(result) + "; compare it with something"}
	}
	return x, nil
}

// CompileValue compiles an expression of any type.
func CompileValue(p Phase, text string) (*Expression, *Problem) {
	x, _, problem := compile(p, text, false)
	return x, problem
}

// compile does not panic, whatever the text: what CEL does not expect is a Problem.
func compile(p Phase, text string, retry bool) (x *Expression, result *types.Type, problem *Problem) {
	defer func() {
		if recover() != nil {
			x, result, problem = nil, nil, &Problem{1, 1, "the expression cannot be compiled, which is a mistake of the server; write it in another way"}
		}
	}()
	environment, err := environmentOf(p, retry)
	if err != nil || environment == nil {
		return nil, nil, &Problem{1, 1, "expressions cannot be compiled in this phase"}
	}
	if !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
		return nil, nil, &Problem{1, 1, "the expression is no UTF-8 text"}
	}
	if utf8.RuneCountInString(text) > mostText {
		return nil, nil, &Problem{1, 1, "the expression is too long: 8,192 characters are the most; split it in several"}
	}
	if strings.TrimSpace(text) == "" {
		return nil, nil, &Problem{1, 1, "the expression is empty"}
	}
	parsed, issues := environment.Parse(text)
	if len(issues.Errors()) > 0 { // Err lays all of them out, in the square of their number
		return nil, nil, problemOf(issues, text)
	}
	r := &resolver{phase: p, schema: known(), tree: parsed.NativeRep(), text: text}
	if retry {
		r.more = retryNames
	}
	if problem := r.run(); problem != nil {
		return nil, nil, problem
	}
	checked, issues := environment.Check(parsed)
	if len(issues.Errors()) > 0 {
		return nil, nil, problemOf(issues, text)
	}
	if problem := r.checkKeys(checked.NativeRep()); problem != nil {
		return nil, nil, problem
	}
	x = &Expression{text: text, info: checked.NativeRep().SourceInfo(), bounded: r.bounded(), reads: r.reads}
	x.light = x.bounded && !slices.Contains(r.calls, "matches")
	counted := &costs{sizes: map[string]int{}}
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.OptimizeRegex(constantPatterns(counted.sizes))}
	if !x.bounded {
		options = append(options, cel.CostLimit(mostCost), cel.CostTracking(counted), cel.MemoryTracking(
			types.MemoryTrackerLimit(mostMemory), types.MemoryTrackerSizeCalculator(types.NewSizeCalculator(types.SizeCalculatorMaxDepth(mostDepth))),
		))
	}
	if x.program, err = environment.Program(checked, options...); err != nil {
		return nil, nil, &Problem{1, 1, clip("the expression cannot be compiled: " + err.Error())}
	}
	return x, checked.OutputType(), nil
}

// True evaluates what is true or false. It is false whenever there is an error, which is
// a *Failure.
func (x *Expression) True(s *Scope) (bool, error) {
	value, err := x.evaluate(s)
	if err != nil {
		return false, err
	}
	truth, ok := value.(types.Bool)
	if !ok {
		return false, &Failure{Reason: Unfit, Message: "the expression is neither true nor false"}
	}
	return bool(truth), nil
}

// Value evaluates to nil, a bool, int64, uint64, float64, string, []byte, time.Time,
// time.Duration, []any, map[string]any or Object. Errors are *Failures.
func (x *Expression) Value(s *Scope) (any, error) {
	value, err := x.evaluate(s)
	if err != nil {
		return nil, err
	}
	left := mostList
	return native(value, 0, &left)
}

func (x *Expression) evaluate(s *Scope) (ref.Val, error) {
	value, _, err := x.spend(s)
	return value, err
}

// spend evaluates, within the time that there is, and tells what that has cost.
func (x *Expression) spend(s *Scope) (ref.Val, uint64, error) {
	if x.light {
		return x.work(s)
	}
	began, err := s.start()
	if err != nil {
		return nil, 0, err
	}
	value, cost, err := x.work(s)
	s.stop(began)
	return value, cost, err
}

func (x *Expression) work(s *Scope) (ref.Val, uint64, error) {
	value, details, err := x.program.Eval((*activation)(s))
	cost := uint64(0)
	if spent := details.ActualCost(); spent != nil {
		cost = *spent
	}
	if err != nil {
		return nil, cost, x.failure(s, err)
	}
	return value, cost, nil
}

// failure makes a Failure of what CEL gave. What CEL says is not passed on: it has values
// in it.
func (x *Expression) failure(s *Scope, err error) *Failure {
	f := &Failure{Reason: Unfit, Message: "an operator or a function does not take the value that it was given"}
	var own *Failure
	var cancelled interpreter.EvalCancelledError
	switch message := err.Error(); {
	case errors.As(err, &own):
		copied := *own
		f = &copied
	case errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded, strings.Contains(message, "limit exceeded"):
		f = exceeded("it took more than an expression may")
	case strings.HasPrefix(message, "internal error"): // CEL has caught a panic
		f = unfit("the evaluation broke off, which is a mistake of the server")
	case strings.HasPrefix(message, "no such key"):
		f = absent("there is no such key")
	case strings.HasPrefix(message, "no such attribute"):
		f = absent("what it names is not there")
	case strings.HasPrefix(message, "index out of bounds"):
		f = absent("the list has no such element")
	case strings.HasPrefix(message, "division by zero"), strings.HasPrefix(message, "modulus by zero"):
		f = unfit("it divides by zero")
	}
	if ctx := s.Context; ctx != nil && ctx.Err() != nil && f.Reason == Withheld {
		f.Reason, f.cause = Cancelled, context.Cause(ctx)
	}
	var positioned *types.Err
	if errors.As(err, &positioned) && positioned.NodeID() != 0 {
		at := problemAt(x.text, x.info.GetStartLocation(positioned.NodeID()), "")
		f.Line, f.Column = at.Line, at.Column
	}
	return f
}
