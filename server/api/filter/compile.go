package filter

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"

	"github.com/postern-dev/postern/server/store"
)

// compiler makes comparisons out of what was read.
type compiler struct {
	info   *ast.SourceInfo
	fields Fields
	now    time.Time
	also   string // what the resource may be called beside obj
	cost   int
}

// comparisons are CEL's operators, and what they are when their sides are exchanged.
var comparisons = map[string]struct{ op, exchanged store.Op }{
	operators.Equals:        {store.Equals, store.Equals},
	operators.NotEquals:     {store.Differs, store.Differs},
	operators.Less:          {store.Less, store.More},
	operators.LessEquals:    {store.AtMost, store.AtLeast},
	operators.Greater:       {store.More, store.Less},
	operators.GreaterEquals: {store.AtLeast, store.AtMost},
}

// condition compiles what is true or false.
func (c *compiler) condition(e ast.Expr) (store.Filter, error) {
	if literal, found := constant(e).(bool); found {
		if literal {
			return store.And{}, nil
		}
		return store.Or{}, nil
	}
	if e.Kind() != ast.CallKind {
		return c.flag(e)
	}
	call := e.AsCall()
	name, args := call.FunctionName(), call.Args()
	switch name {
	case operators.LogicalAnd:
		parts, err := c.conditions(args)
		return store.And(parts), err
	case operators.LogicalOr:
		parts, err := c.conditions(args)
		return store.Or(parts), err
	case operators.LogicalNot:
		inner, err := c.condition(args[0])
		return store.Not{Filter: inner}, err
	case operators.In:
		return c.in(e, args[0], args[1])
	case string(store.StartsWith), string(store.Contains), string(store.EndsWith):
		return c.search(e, store.Op(name), call)
	}
	if comparison, found := comparisons[name]; found {
		if isConstant(args[0]) && !isConstant(args[1]) {
			return c.compare(e, args[1], comparison.exchanged, args[0])
		}
		return c.compare(e, args[0], comparison.op, args[1])
	}
	return nil, c.unsupported(e)
}

func (c *compiler) conditions(args []ast.Expr) ([]store.Filter, error) {
	parts := make([]store.Filter, len(args))
	for i, arg := range args {
		var err error
		if parts[i], err = c.condition(arg); err != nil {
			return nil, err
		}
	}
	return parts, nil
}

// flag compiles a field that is a condition by itself.
func (c *compiler) flag(e ast.Expr) (store.Filter, error) {
	if !isPath(e) {
		return nil, c.unsupported(e)
	}
	path, field, err := c.field(e)
	if err != nil {
		return nil, err
	}
	if field.Type != Boolean {
		return nil, c.fault(e, "obj.%s is not true or false; compare it with something, as in %s", path, example)
	}
	return store.Equal(path, true), c.pay(e, 1)
}

// isOperand tells whether e is what may be compared with a constant: a field, or the
// size of one.
func isOperand(e ast.Expr) bool {
	if isPath(e) {
		return true
	}
	_, sized := sizeOf(e)
	return sized
}

// isConstant tells whether e looks like a constant.
func isConstant(e ast.Expr) bool {
	return e.Kind() == ast.LiteralKind || e.Kind() == ast.CallKind && isTimestamp(e.AsCall())
}

// isPath tells whether e is names with dots between them.
func isPath(e ast.Expr) bool {
	for e.Kind() == ast.SelectKind {
		e = e.AsSelect().Operand()
	}
	return e.Kind() == ast.IdentKind
}

// sizeOf gives what e takes the size of, as size(x) or x.size().
func sizeOf(e ast.Expr) (ast.Expr, bool) {
	if e.Kind() != ast.CallKind || e.AsCall().FunctionName() != "size" {
		return nil, false
	}
	call := e.AsCall()
	switch {
	case call.IsMemberFunction() && len(call.Args()) == 0:
		return call.Target(), true
	case !call.IsMemberFunction() && len(call.Args()) == 1:
		return call.Args()[0], true
	}
	return nil, false
}

// field looks up what a path leads to.
func (c *compiler) field(e ast.Expr) (string, Field, error) {
	var names []string
	root := e
	for root.Kind() == ast.SelectKind {
		names = append(names, root.AsSelect().FieldName())
		root = root.AsSelect().Operand()
	}
	if name := root.AsIdent(); name != "obj" && (name == "" || name != c.also) {
		return "", Field{}, c.fault(e, "there is no %q; fields are written obj.name, and texts in quotes", root.AsIdent())
	}
	slices.Reverse(names)
	asked := strings.Join(names, ".")
	path, field, found := c.fields.find(asked)
	if !found {
		return "", Field{}, c.fault(e, "there is no field obj.%s to filter by; there are %s", asked, c.fields.list(func(Field) bool { return true }))
	}
	return path, field, nil
}

// pay adds to what the filter costs.
func (c *compiler) pay(e ast.Expr, cost int) error {
	if c.cost += cost; c.cost > mostCost {
		return c.fault(e, "it asks for too much: conditions and values of lists cost 1 each, searches in texts %d, and %d is the most", searchCost, mostCost)
	}
	return nil
}

func (c *compiler) fault(e ast.Expr, format string, args ...any) error {
	return fault(c.start(e), format, args...)
}

// start is the index of the first character of e; -1 if it is not known.
func (c *compiler) start(e ast.Expr) int {
	for {
		switch {
		case e.Kind() == ast.SelectKind:
			e = e.AsSelect().Operand()
		case e.Kind() == ast.CallKind && e.AsCall().IsMemberFunction():
			e = e.AsCall().Target()
		case e.Kind() == ast.CallKind && isBinary(e.AsCall()):
			e = e.AsCall().Args()[0]
		default:
			if at, found := c.info.GetOffsetRange(e.ID()); found {
				return int(at.Start)
			}
			return -1
		}
	}
}

// isBinary tells whether a call is an operator that stands behind its first argument.
func isBinary(call ast.CallExpr) bool {
	_, found := operators.FindReverseBinaryOperator(call.FunctionName())
	return (found || call.FunctionName() == operators.Conditional || call.FunctionName() == operators.Index) && len(call.Args()) > 0
}

// unsupported says what CEL has and filters do not.
func (c *compiler) unsupported(e ast.Expr) error {
	what := "this is not a condition"
	if e.Kind() == ast.CallKind {
		name := e.AsCall().FunctionName()
		switch name {
		case operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate:
			what = "filters do not calculate"
		case operators.Conditional:
			what = "filters have no a ? b : c"
		case operators.Index:
			what = "filters do not look into lists and maps with []"
		case "matches":
			what = "filters have no regular expressions"
		case "type":
			what = "filters do not ask for types"
		default:
			what = "filters have no " + name + "()"
		}
	}
	return c.fault(e, "%s; write conditions such as %s", what, example)
}
