package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// What a policy may have.
const (
	mostRules       = 200 // of one phase
	mostExpressions = 50  // of one rule
	mostActions     = 50  // of one rule
)

// Compile reads a policy for a target. Its error is Problems. It takes milliseconds, and
// does not look at anything but the text.
func Compile(text string, target Target) (*Program, error) {
	c := &compiler{target: target, program: &Program{text: text, before: target.Before}}
	if target.Before != "" {
		c.fromOptions = true
		c.compile(target.Before.Reveal())
		c.fromOptions = false
	}
	c.compile(text)
	c.finish()
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	return c.program, nil
}

type compiler struct {
	target   Target
	program  *Program
	problems Problems
	// fromOptions says that what is read was written by us, from options.
	fromOptions bool
	ended       bool // every connection has met an end of TLS
}

func (c *compiler) compile(text string) {
	document, problem := parse(text)
	if problem != nil {
		problem.Code = postern.CodePolicySyntax
		c.problems = append(c.problems, *problem)
		return
	}
	if document.kind == isNull {
		document.kind = isObject // an empty text is a policy without rules
	}
	if document.kind != isObject {
		c.report(postern.CodePolicySyntax, document, "", "a policy is an object whose keys are phases, such as %s", OnHTTPRequest)
		return
	}
	modernize(document)
	for _, f := range document.fields {
		c.phase(f)
	}
}

// finish looks at the whole.
func (c *compiler) finish() {
	if c.target.Last && len(c.problems) == 0 && !c.program.Terminates(c.target) {
		c.report(postern.CodePolicyNotTerminating, &node{line: 1, column: 1}, "",
			"the policy does not end with a rule that answers whatever comes over %s", c.target.Scheme)
	}
	for _, rules := range c.program.phases {
		if all := gates(rules); len(all) > 1 {
			c.report(postern.CodePolicyTwoGates, all[1].node, all[1].where, "it asks every visitor to sign in, as %s does; one can", all[0].where)
		}
	}
}

// gates are the actions that every visitor must sign in at.
func gates(rules []rule) (all []place) {
	for _, r := range rules {
		if len(r.expressions) == 0 {
			all = append(all, r.gates...)
		}
	}
	return all
}

// place is where something of a policy is written.
type place struct {
	where string
	node  *node // nil for what was written by us, from options
}

func (c *compiler) phase(f field) {
	p, known := phaseNamed(f.name)
	switch {
	case !known:
		c.report(postern.CodePolicyPhase, f.at, "", "there is no phase %q; there are %s", clip(f.name),
			strings.Join([]string{OnTCPConnect, OnHTTPRequest, OnHTTPResponse, OnEventStreamMessage}, ", "))
		return
	case f.value.kind == isNull:
		return
	case f.value.kind != isList:
		c.report(postern.CodePolicySyntax, f.value, f.name, "it must be a list of rules, it is %s", f.value.kind)
		return
	case p.http && !c.target.HTTP():
		c.report(postern.CodePolicyPhaseProtocol, f.at, f.name, "%s endpoints have no requests; use %s", c.target.Scheme, OnTCPConnect)
		return
	case p.at == expression.Connect && c.target.Internal && c.target.HTTP():
		c.report(postern.CodePolicyInternalConnections, f.at, f.name, "internal endpoints for requests have no connections of their own; use %s", OnHTTPRequest)
		return
	case len(f.value.items) > mostRules:
		c.report(postern.CodePolicyValueInvalid, f.value, f.name, "it has %d rules, at most %d are allowed", len(f.value.items), mostRules)
		return
	}
	c.rules(p, f.value.items)
}

func (c *compiler) rules(p phase, items []*node) {
	for i, item := range items {
		before := len(c.problems)
		r := c.rule(p, fmt.Sprintf("%s[%d]", p.name, i), item)
		if len(c.problems) > before {
			continue // what it would do is not known: its expressions may be what is wrong
		}
		c.program.phases[p.at] = append(c.program.phases[p.at], r)
		if len(r.expressions) == 0 && r.ends && i < len(items)-1 {
			c.report(postern.CodePolicyUnreachable, items[i+1], fmt.Sprintf("%s[%d]", p.name, i+1), "it is never reached: the rule before answers whatever comes")
			return
		}
	}
}

func (c *compiler) rule(p phase, where string, n *node) rule {
	r := rule{where: where}
	if n.kind != isObject {
		c.report(postern.CodePolicySyntax, n, where, "it must be an object with actions, it is %s", n.kind)
		return r
	}
	for _, f := range n.fields {
		switch f.name {
		case "name":
			if f.value.kind != isText && f.value.kind != isNull {
				c.report(postern.CodePolicyValueInvalid, f.value, where+".name", "it must be a text, it is %s", f.value.kind)
			}
			r.name = f.value.text
		case "expressions":
			r.expressions = c.expressions(p, where, f.value)
		case "actions":
		default:
			c.report(postern.CodePolicyFieldUnknown, f.at, where+"."+clip(f.name), "there is no such field; there are: name, expressions, actions")
		}
	}
	actions := n.get("actions")
	if actions.none() || actions.kind != isList || len(actions.items) == 0 || len(actions.items) > mostActions {
		c.report(postern.CodePolicySyntax, either(actions, n), where+".actions", "it must be a list of 1 to %d actions", mostActions)
		return r
	}
	for i, item := range actions.items {
		if r.ends {
			c.report(postern.CodePolicyUnreachable, item, fmt.Sprintf("%s.actions[%d]", where, i), "it is never reached: the action before ends the policy")
			break
		}
		c.action(p, &r, fmt.Sprintf("%s.actions[%d]", where, i), item)
	}
	return r
}

func either(n, otherwise *node) *node {
	if n == nil {
		return otherwise
	}
	return n
}

func (c *compiler) expressions(p phase, where string, n *node) (all []condition) {
	if n.kind == isNull {
		return nil
	}
	if n.kind != isList || len(n.items) > mostExpressions {
		c.report(postern.CodePolicyValueInvalid, n, where+".expressions", "it must be a list of at most %d texts", mostExpressions)
		return nil
	}
	for i, item := range n.items {
		at := fmt.Sprintf("%s.expressions[%d]", where, i)
		if item.kind != isText && item.kind != isBool {
			c.report(postern.CodePolicyValueInvalid, item, at, "it must be a text, it is %s", item.kind)
			continue
		}
		made, problem := expression.Compile(p.at, item.text)
		if problem != nil {
			c.reportExpression(item, at, problem)
			continue
		}
		c.reads(item, at, made.Reads())
		all = append(all, condition{text: item.text, Expression: made})
	}
	return all
}

// reportExpression reports what is wrong in an expression; n is the text that has it.
func (c *compiler) reportExpression(n *node, where string, p *expression.Problem) {
	at := *n
	if p.Line <= 1 {
		at.column += at.quotes + max(0, p.Column-1)
	} else {
		at.line += p.Line - 1
		at.column = p.Column
	}
	c.report(postern.CodePolicyExpression, &at, where, "%s", p.Message)
}

func (c *compiler) action(p phase, r *rule, where string, n *node) {
	if n.kind != isObject {
		c.report(postern.CodePolicySyntax, n, where, "it must be an object with a type, it is %s", n.kind)
		return
	}
	for _, f := range n.fields {
		if f.name != "type" && f.name != "config" {
			c.report(postern.CodePolicyFieldUnknown, f.at, where+"."+clip(f.name), "there is no such field; there are: type, config")
		}
	}
	name := n.get("type")
	if name.none() || name.kind != isText {
		c.report(postern.CodePolicyActionUnknown, either(name, n), where+".type", "it must be the name of an action, such as deny")
		return
	}
	given := n.get("config")
	if !given.none() && given.kind != isObject {
		c.report(postern.CodePolicySyntax, given, where+".config", "it must be an object, it is %s", given.kind)
		return
	}
	k, known := kindNamed(name.text)
	if !known {
		c.unknownAction(name, where)
		return
	}
	if !slices.Contains(k.phases, p.at) {
		c.report(postern.CodePolicyPhase, name, where+".type", "%s is not for %s", k.name, p.name)
		return
	}
	if given.none() {
		given = nil
	}
	reader := &config{compiler: c, phase: p.at, at: n, node: given, where: where}
	made := k.build(reader)
	reader.done()
	if t, ends := made.(*termination); ends {
		c.endsOnce(t, r, name, where)
	}
	r.actions = append(r.actions, step{kind: k.name, action: made})
	r.ends = k.ends != nil && k.ends(given)
	c.program.needs |= k.needs
	if (k.arrives != nil || k.leaves != nil) && !slices.ContainsFunc(c.program.used, func(u kind) bool { return u.name == k.name }) {
		c.program.used = append(c.program.used, k)
	}
	if k.authenticates && (given.get("enforce").none() || given.get("enforce").text != "false") {
		r.gates = append(r.gates, c.placeOf(name, where))
	}
}

// placeOf is where something is written, as messages name it.
func (c *compiler) placeOf(n *node, where string) place {
	if c.fromOptions {
		return place{where: anOption}
	}
	return place{where, n}
}

func (c *compiler) unknownAction(name *node, where string) {
	if instead, known := absent()[name.text]; known {
		text := "this server does not have " + name.text
		if instead != "" {
			text += "; " + instead
		}
		c.report(postern.CodePolicyActionAbsent, name, where+".type", "%s", text)
		return
	}
	c.report(postern.CodePolicyActionUnknown, name, where+".type", "there is no action %q; there are %s", clip(name.text), strings.Join(Kinds(), ", "))
}
