package policy

import (
	"regexp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// mostVars is how many variables one action may set, and all of one exchange.
const mostVars = 100

// mostKept bounds what the variables of one exchange hold together, in bytes: they stay for
// as long as its answer takes.
const mostKept = 1 << 20

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// setVars sets variables, which the expressions behind find as vars.<name>. A value that
// is one ${…} keeps its type.
func setVars() kind {
	return kind{
		name: "set-vars", phases: in(inTCP, inRequest, inResponse),
		build: func(c *config) action {
			c.require("vars")
			a := &variables{}
			for _, item := range c.list("vars", mostVars) {
				if item.kind != isObject || len(item.fields) != 1 {
					c.compiler.report(postern.CodePolicyValueInvalid, item, c.place("vars"), "its items must be objects of one name and its value")
					continue
				}
				f := item.fields[0]
				if !variableName.MatchString(f.name) {
					c.compiler.report(postern.CodePolicyValueInvalid, f.at, c.place("vars"), "%q cannot be a name: letters, digits and _ make one", clip(f.name))
					continue
				}
				if value := c.value(f.value, c.typed("vars")); value != nil {
					a.all = append(a.all, variable{f.name, value})
				}
			}
			return a
		},
	}
}

type variables struct{ all []variable }

type variable struct {
	name string
	value
}

// value makes a Go value when it is asked for.
type value func(e *Evaluation) (any, error)

// value reads a value of any kind, in which text reads the texts; nil where one of them
// cannot be used.
func (c *config) value(n *node, text func(n *node) value) value {
	switch n.kind {
	case isText:
		return text(n)
	case isList:
		items := make([]value, len(n.items))
		for i, item := range n.items {
			if items[i] = c.value(item, text); items[i] == nil {
				return nil
			}
		}
		return func(e *Evaluation) (any, error) { return listOf(e, items) }
	case isObject:
		fields := make(map[string]value, len(n.fields))
		for _, f := range n.fields {
			if fields[f.name] = c.value(f.value, text); fields[f.name] == nil {
				return nil
			}
		}
		return func(e *Evaluation) (any, error) { return objectOf(e, fields) }
	}
	constant := n.plain()
	return func(*Evaluation) (any, error) { return constant, nil }
}

// typed reads texts of the field in which what is one ${…} keeps its type.
func (c *config) typed(name string) func(n *node) value {
	return func(n *node) value {
		made := c.templateOf(name, n)
		if made == nil {
			return nil
		}
		return func(e *Evaluation) (any, error) { return made.Value(&e.scope) }
	}
}

func listOf(e *Evaluation, items []value) (any, error) {
	all := make([]any, len(items))
	for i, item := range items {
		var err error
		if all[i], err = item(e); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func objectOf(e *Evaluation, fields map[string]value) (any, error) {
	all := make(map[string]any, len(fields))
	for name, field := range fields {
		var err error
		if all[name], err = field(e); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (a *variables) run(e *Evaluation) (Verdict, error) {
	if e.scope.Vars == nil {
		e.scope.Vars = make(map[string]any, len(a.all))
	}
	for _, v := range a.all {
		made, err := v.value(e)
		if err != nil && !expression.IsAbsent(err) {
			return Verdict{}, postern.Errorf(postern.CodePolicyFailed, "the variable %s cannot be worked out: %v", v.name, err)
		}
		before, there := e.scope.Vars[v.name]
		if !there && len(e.scope.Vars) >= mostVars {
			return Verdict{}, postern.Errorf(postern.CodePolicyFailed, "the policy sets more than %d variables", mostVars)
		}
		if e.kept += sizeOf(made) - sizeOf(before); e.kept > mostKept {
			return Verdict{}, postern.Errorf(postern.CodePolicyFailed, "with %s the policy's variables hold more than %d KiB", v.name, mostKept>>10)
		}
		e.scope.Vars[v.name] = made
	}
	return Verdict{}, nil
}

// sizeOf is about how much memory a value takes.
func sizeOf(value any) int {
	const word = 16
	size := word
	switch v := value.(type) {
	case string:
		size += len(v)
	case []byte:
		size += len(v)
	case []any:
		for _, item := range v {
			size += sizeOf(item)
		}
	case map[string]any:
		for name, item := range v {
			size += word + len(name) + sizeOf(item)
		}
	}
	return size
}
