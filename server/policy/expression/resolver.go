package expression

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// resolver goes through a parsed expression before its types are checked. It finds names
// that are not there, and says which are near; it tells texts from the objects of the same
// name (conn.client_ip and conn.client_ip.geo); and it puts in what some functions need
// beside their arguments.
type resolver struct {
	phase   Phase
	schema  *schema
	tree    *ast.AST
	text    string
	make    ast.ExprFactory
	last    int64 // id of a node
	locals  []string
	more    []string // names besides those of the phase
	problem *Problem
	loops   bool // there is a macro that loops
	calls   []string
	reads   []string // variables and their fields

	workedOut bool // there is a regular expression that is no constant
}

// lookups are the functions that look into a map which their names say.
var lookups = map[string]struct{ function, root, field, inner string }{
	"hasReqHeader":  {"@has", "req", "headers", ""},
	"getReqHeader":  {"@values", "req", "headers", ""},
	"hasReqCookie":  {"@has", "req", "cookies", ""},
	"getReqCookie":  {"@first", "req", "cookies", ""},
	"hasQueryParam": {"@has", "req", "url", "query_params"},
	"getQueryParam": {"@values", "req", "url", "query_params"},
	"hasResHeader":  {"@has", "res", "headers", ""},
	"getResHeader":  {"@values", "res", "headers", ""},
	"hasResCookie":  {"@has", "res", "cookies", ""},
	"getResCookie":  {"@first", "res", "cookies", ""},
}

func (r *resolver) run() *Problem {
	r.make, r.last = ast.NewExprFactory(), ast.MaxID(r.tree)
	r.walk(r.tree.Expr(), false)
	return r.problem
}

// walk goes through e; selected says that a field is selected of it.
func (r *resolver) walk(e ast.Expr, selected bool) {
	if r.problem != nil {
		return
	}
	switch e.Kind() {
	case ast.IdentKind:
		r.name(e)
	case ast.SelectKind:
		r.selection(e, selected)
	case ast.CallKind:
		r.call(e)
	case ast.ListKind:
		r.each(e.AsList().Elements()...)
	case ast.MapKind:
		for _, entry := range e.AsMap().Entries() {
			r.each(entry.AsMapEntry().Key(), entry.AsMapEntry().Value())
		}
	case ast.StructKind:
		r.fail(e, "objects cannot be made here; a map is written {\"name\": value}")
	case ast.ComprehensionKind:
		r.loop(e.AsComprehension())
	}
}

func (r *resolver) each(all ...ast.Expr) {
	for _, e := range all {
		r.walk(e, false)
	}
}

func (r *resolver) name(e ast.Expr) {
	if name := e.AsIdent(); !r.isName(name) {
		r.fail(e, "%s", r.unknownName(name))
	} else if !slices.Contains(r.locals, name) {
		r.reads = append(r.reads, name)
	}
}

func (r *resolver) isName(name string) bool {
	return slices.Contains(r.locals, name) || slices.Contains(r.schema.names(r.phase), name) || slices.Contains(r.more, name) || slices.Contains(typeNames, name) || strings.HasPrefix(name, "@")
}

// typeNames may be compared with what type() gives.
var typeNames = []string{"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "type", "uint"}

func (r *resolver) selection(e ast.Expr, selected bool) {
	selection := e.AsSelect()
	operand, name := selection.Operand(), selection.FieldName()
	if r.isNow(e) || strings.HasPrefix(name, textMark) { // of a call that was looked at before
		return
	}
	if of := r.structureOf(operand); of != nil {
		f := of.fields[name]
		if f == nil {
			r.failField(e, of, name)
			return
		}
		if !selection.IsTestOnly() {
			r.reads = append(r.reads, of.path+"."+name)
		}
		if f.object != nil && f.object.text && !selected && !selection.IsTestOnly() {
			e.SetKindCase(r.make.NewSelect(e.ID(), operand, textMark+name))
		}
	}
	r.walk(operand, true)
}

// isNow tells time.now, the one variable with a dot in its name.
func (r *resolver) isNow(e ast.Expr) bool {
	operand := e.AsSelect().Operand()
	return e.AsSelect().FieldName() == "now" && operand.Kind() == ast.IdentKind && operand.AsIdent() == "time" && !slices.Contains(r.locals, "time")
}

// structureOf is what e has the fields of, if it is a chain of names like conn.tls.
func (r *resolver) structureOf(e ast.Expr) *structure {
	switch e.Kind() {
	case ast.IdentKind:
		if slices.Contains(r.locals, e.AsIdent()) || !slices.Contains(r.schema.names(r.phase), e.AsIdent()) {
			return nil
		}
		return r.schema.roots[e.AsIdent()]
	case ast.SelectKind:
		of := r.structureOf(e.AsSelect().Operand())
		if of == nil || of.fields[e.AsSelect().FieldName()] == nil {
			return nil
		}
		return of.fields[e.AsSelect().FieldName()].object
	}
	return nil
}

func (r *resolver) call(e ast.Expr) {
	c := e.AsCall()
	name := c.FunctionName()
	args := c.Args()
	if c.IsMemberFunction() {
		if target := c.Target(); target.Kind() == ast.IdentKind && isNamespace(target.AsIdent()) && !slices.Contains(r.locals, target.AsIdent()) {
			name = target.AsIdent() + "." + name
		} else {
			r.walk(target, false)
			if name == "matches" {
				args = append([]ast.Expr{target}, args...)
			}
		}
	}
	if name == "_-_" && r.isHyphen(args) {
		r.fail(args[1], "a name with a hyphen stands in brackets and quotes, as in req.headers['user-agent']")
	}
	r.each(args...)
	if r.problem != nil {
		return
	}
	r.calls = append(r.calls, name)
	switch look, isLookup := lookups[name]; {
	case isLookup:
		r.lookUp(e, look.root, look.function, args, look.field, look.inner)
	case name == "secrets.get" && len(args) != 2:
		r.fail(e, "secrets.get takes a vault and a name, as in secrets.get('vault', 'name')")
	case name == "secrets.get":
		e.SetKindCase(r.make.NewCall(e.ID(), "@secret", append([]ast.Expr{r.make.NewIdent(r.id(e), scopeName)}, args...)...))
	case name == "matches":
		r.checkPattern(args)
		e.SetKindCase(r.make.NewCall(e.ID(), matchesName, args...))
	case !isFunction(name):
		r.fail(e, "%s", unknownFunction(name))
	}
}

// isHyphen tells req.headers.user-agent, which is a subtraction.
func (r *resolver) isHyphen(args []ast.Expr) bool {
	return len(args) == 2 && args[0].Kind() == ast.SelectKind && args[1].Kind() == ast.IdentKind && !r.isName(args[1].AsIdent())
}

// lookUp makes @has(req.headers, name) of hasReqHeader(name), and so on.
func (r *resolver) lookUp(e ast.Expr, root, function string, args []ast.Expr, path ...string) {
	if !slices.Contains(r.schema.names(r.phase), root) {
		r.fail(e, "%s cannot be used in %s: there is no %s yet", e.AsCall().FunctionName(), r.phase, map[string]string{"req": "request", "res": "response"}[root])
		return
	}
	if !isText(args) {
		r.fail(e, "%[1]s takes one name in quotes, such as %[1]s('x-name')", e.AsCall().FunctionName())
		return
	}
	container := r.make.NewIdent(r.id(e), root)
	for _, field := range path {
		if field != "" {
			container = r.make.NewSelect(r.id(e), container, field)
		}
	}
	e.SetKindCase(r.make.NewCall(e.ID(), function, append([]ast.Expr{container}, args...)...))
}

// isText tells one argument that may be a text.
func isText(args []ast.Expr) bool {
	if len(args) != 1 {
		return false
	}
	if args[0].Kind() == ast.LiteralKind {
		return args[0].AsLiteral().Type() == types.StringType
	}
	return args[0].Kind() != ast.ListKind && args[0].Kind() != ast.MapKind
}

func (r *resolver) checkPattern(args []ast.Expr) {
	if len(args) != 2 || args[1].Kind() != ast.LiteralKind {
		r.workedOut = true
		return
	}
	if text, ok := args[1].AsLiteral().(types.String); ok {
		if _, err := compilePattern(string(text)); err != nil {
			r.fail(args[1], "%s", err.Error())
		}
	}
}

func (r *resolver) loop(c ast.ComprehensionExpr) {
	r.loops = true
	r.each(c.IterRange(), c.AccuInit())
	for _, name := range []string{c.IterVar(), c.IterVar2()} {
		if slices.Contains(r.schema.names(Message), name) || name == "time" || isNamespace(name) {
			r.fail(c.IterRange(), "the name %s of this loop is that of something else; choose another, such as x", name)
			return
		}
	}
	outer := len(r.locals)
	r.locals = append(r.locals, c.IterVar(), c.IterVar2(), c.AccuVar())
	r.each(c.LoopCondition(), c.LoopStep(), c.Result())
	r.locals = r.locals[:outer]
}

// id is that of a new node which stands where e does.
func (r *resolver) id(e ast.Expr) int64 {
	r.last++
	if at, ok := r.tree.SourceInfo().GetOffsetRange(e.ID()); ok {
		r.tree.SourceInfo().SetOffsetRange(r.last, at)
	}
	return r.last
}

// checkKeys looks at the keys of maps once their types are known. Keys of other types
// would make CEL panic.
func (r *resolver) checkKeys(checked *ast.AST) *Problem {
	ast.PostOrderVisit(checked.Expr(), ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() != ast.MapKind {
			return
		}
		for _, entry := range e.AsMap().Entries() {
			key := entry.AsMapEntry().Key()
			switch checked.GetType(key.ID()).Kind() {
			case types.StringKind, types.IntKind, types.UintKind, types.BoolKind:
			default:
				r.fail(key, "a key of a map is a text, a whole number or a boolean; write string(key)")
			}
		}
	}))
	return r.problem
}

// isNamespace tells what stands before the dot of functions like hash.md5.
func isNamespace(name string) bool { return slices.Contains(namespaces(), name) }

// isFunction also knows operators, and what macros become.
func isFunction(name string) bool {
	return strings.ContainsAny(name, "@!-") || strings.HasPrefix(name, "_") || slices.Contains(functionNames(), name)
}
