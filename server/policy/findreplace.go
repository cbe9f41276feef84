package policy

import (
	"fmt"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/body"
	"github.com/postern-dev/postern/server/policy/body/pattern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// mostReplacements is how many replacements one action may have. Each holds a window of
// the text.
const mostReplacements = 10

// substitution is a replacement as a policy has it: its texts may depend on the exchange.
type substitution struct {
	field    *expression.Template // of an event; nil where there are none
	from, to *expression.Template
	fixed    *pattern.Pattern // from, where it does not depend on anything
}

// substitutions reads the replacements of an action.
func (c *config) substitutions(fields bool) (all []substitution) {
	c.require("replacements")
	items := c.list("replacements", mostReplacements)
	if n := c.node.get("replacements"); n != nil && n.kind == isList && len(items) == 0 {
		c.fault("replacements", "it is empty; one replacement at least is needed")
	}
	for i, item := range items {
		where := c.place(fmt.Sprintf("replacements[%d]", i))
		if item.kind != isObject {
			c.compiler.report(postern.CodePolicyValueInvalid, item, where, "it must be an object with from and to, it is %s", item.kind)
			continue
		}
		inner := c.inside(item, where)
		inner.require("from")
		s := substitution{from: inner.template("from"), to: inner.template("to")}
		if fields {
			s.field = inner.template("field")
			inner.fixedField(s.field)
		}
		s.fixed = inner.fixedPattern(s.from)
		inner.done()
		all = append(all, s)
	}
	return all
}

// fixedPattern compiles a pattern that is always the same.
func (c *config) fixedPattern(from *expression.Template) *pattern.Pattern {
	if from == nil {
		return nil
	}
	text, constant := from.Constant()
	if !constant {
		return nil
	}
	p, err := compilePattern(text)
	if err != nil {
		c.fault("from", "it is no regular expression that can be used: %v", err)
	}
	return p
}

func compilePattern(text string) (*pattern.Pattern, error) {
	if len(text) > mostPattern {
		return nil, postern.Errorf(postern.CodePolicyFailed, "a regular expression of %d bytes; at most %d are allowed", len(text), mostPattern)
	}
	return pattern.Compile(text)
}

// replacement fills in what depends on the exchange.
func (s *substitution) replacement(e *Evaluation) (r body.Replacement, err error) {
	if r.To, err = e.fill(s.to); err != nil {
		return r, err
	}
	if r.From = s.fixed; r.From != nil {
		return r, nil
	}
	from, err := e.fill(s.from)
	if err != nil {
		return r, err
	}
	if late := e.work(func() { r.From, err = compilePattern(from) }); late != nil {
		return r, late
	}
	if err != nil {
		err = unusablePattern()
	}
	return r, err
}
