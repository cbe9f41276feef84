package expression

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
	"cel.dev/cel-go/parser"
)

// environments are those of the phases. They are made when the first expression is
// compiled, and never change.
var environments = sync.OnceValues(func() ([phases]*cel.Env, error) {
	var all [phases]*cel.Env
	registry, err := types.NewRegistry()
	if err != nil {
		return all, err
	}
	options := []cel.EnvOption{
		cel.CustomTypeProvider(&provider{Provider: registry, schema: known()}),
		cel.CustomTypeAdapter(adapter{registry}),
		cel.StdLib(cel.StdLibSubset(&env.LibrarySubset{ExcludeMacros: []string{"has"}})),
		cel.Macros(cel.GlobalMacro("has", 1, expandHas), cel.ReceiverMacro("sortBy", 2, expandSortBy)),
		cel.ParserExpressionSizeLimit(mostText), cel.ExpressionNodeLimit(mostNodes), cel.ParserRecursionLimit(mostNested),
		cel.DefaultUTCTimeZone(true), cel.CrossTypeNumericComparisons(true), cel.EnableHiddenAccumulatorName(true),
		ext.Math(),
		cel.Variable("time.now", kind.text), cel.Variable("vars", mapTo(kind.anything)), cel.Variable("actions", mapTo(kind.anything)),
		cel.Variable(scopeName, kind.scope),
	}
	for _, f := range functions() {
		options = append(options, f.option())
	}
	base, err := cel.NewCustomEnv(options...)
	if err != nil {
		return all, err
	}
	for p := range phases {
		var roots []cel.EnvOption
		for _, name := range known().names(p) {
			if root := known().roots[name]; root != nil {
				roots = append(roots, cel.Variable(name, root.typ()))
			}
		}
		if all[p], err = base.Extend(roots...); err != nil {
			return all, err
		}
	}
	return all, nil
})

// names of functions as they are written in expressions: plain ones and methods by their
// names, those of namespaces with theirs.
var functionNames = sync.OnceValue(func() []string {
	all, err := environments()
	if err != nil {
		return nil
	}
	names := []string{
		"has", "secrets.get", "matches", "sortBy", "all", "exists", "exists_one", "filter", "map", "math.greatest", "math.least",
	}
	names = append(names, slices.Collect(maps.Keys(lookups))...)
	for name := range all[Connect].Functions() {
		if name != "in" && !strings.ContainsAny(name, "@_!?-<>+*/%=&|") || name == "basic_auth.encode" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
})

// namespaces stand before the dot of functions like hash.md5.
var namespaces = sync.OnceValue(func() []string {
	var all []string
	for _, name := range functionNames() {
		if namespace, _, ok := strings.Cut(name, "."); ok {
			all = append(all, namespace)
		}
	}
	return slices.Compact(all)
})

// expandHas is has of a field, or of an element of a map or a list.
func expandHas(make parser.ExprHelper, _ ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	switch argument := args[0]; argument.Kind() {
	case ast.SelectKind:
		selection := argument.AsSelect()
		return make.NewPresenceTest(selection.Operand(), selection.FieldName()), nil
	case ast.CallKind:
		if index := argument.AsCall(); index.FunctionName() == "_[_]" {
			return make.NewCall("@has", index.Args()...), nil
		}
	}
	return nil, make.NewError(args[0].ID(), "has takes a field, such as has(req.headers.accept), or an element, such as has(req.headers['accept'])")
}

// expandSortBy is list.sortBy(x, key): pairs of keys and elements are sorted.
func expandSortBy(make parser.ExprHelper, list ast.Expr, args []ast.Expr) (ast.Expr, *common.Error) {
	pair := make.NewList(args[1], make.Copy(args[0]))
	pairs, fault := parser.MakeMap(make, list, []ast.Expr{args[0], pair})
	if fault != nil {
		return nil, fault
	}
	return make.NewCall("@sortPairs", pairs), nil
}

// Functions lists the functions and macros that expressions may use, as they are written:
// hash.md5 is one of a namespace, md5 a method.
func Functions() []string { return slices.Clone(functionNames()) }
