package policy

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// config reads an action's configuration. What is missing or wrong is reported with its
// place; what is given back then does not matter, for nothing is made of such a policy.
type config struct {
	compiler *compiler
	phase    expression.Phase
	at       *node // the action
	node     *node // its configuration; nil for none
	where    string
	within   bool // another one
	known    []string
}

func (c *config) place(name string) string {
	if c.within {
		return c.where + "." + name
	}
	return c.where + ".config." + name
}

// fault reports that a field's value cannot be used.
func (c *config) fault(name, format string, args ...any) {
	n := c.node.get(name)
	if n == nil {
		n = c.at
	}
	c.compiler.report(postern.CodePolicyValueInvalid, n, c.place(name), format, args...)
}

// warn notes that a field's value can be used, and may not be what somebody wants.
func (c *config) warn(name, format string, args ...any) {
	n := c.node.get(name)
	if n == nil {
		n = c.at
	}
	c.compiler.warn(n, c.place(name), format, args...)
}

// field gives a field of a kind, nil where it is missing.
func (c *config) field(name string, of nodeKind) *node {
	c.known = append(c.known, name)
	n := c.node.get(name)
	if n.none() {
		return nil
	}
	if n.kind != of {
		c.fault(name, "it must be %s, it is %s", of, n.kind)
		return nil
	}
	return n
}

// require reports a field that is missing.
func (c *config) require(name string) {
	if c.node.get(name).none() {
		c.fault(name, "it is missing")
	}
}

// text reads a text; a number stands for its digits.
func (c *config) text(name, otherwise string) string {
	c.known = append(c.known, name)
	n := c.node.get(name)
	if n.none() {
		return otherwise
	}
	if n.kind != isText && n.kind != isNumber {
		c.fault(name, "it must be a text, it is %s", n.kind)
		return otherwise
	}
	return n.text
}

// choice reads one of a few texts.
func (c *config) choice(name, otherwise string, among ...string) string {
	text := c.text(name, otherwise)
	if !slices.Contains(among, text) {
		c.fault(name, "it is %q; there are: %s", clip(text), strings.Join(among, ", "))
	}
	return text
}

// integer reads a whole number between least and most.
func (c *config) integer(name string, otherwise, least, most int64) int64 {
	n := c.field(name, isNumber)
	if n == nil {
		return otherwise
	}
	value, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil || value < least || value > most {
		c.fault(name, "it is %s; it must be a whole number from %d to %d", clip(n.text), least, most)
	}
	return value
}

// number reads a number between least and most.
func (c *config) number(name string, otherwise, least, most float64) float64 {
	n := c.field(name, isNumber)
	if n == nil {
		return otherwise
	}
	value, err := strconv.ParseFloat(n.text, 64)
	if err != nil || !(value >= least && value <= most) {
		c.fault(name, "it is %s; it must be from %v to %v", clip(n.text), least, most)
	}
	return value
}

// boolean reads true or false.
func (c *config) boolean(name string, otherwise bool) bool {
	n := c.field(name, isBool)
	if n == nil {
		return otherwise
	}
	return n.text == "true"
}

// duration reads a text such as 10s.
func (c *config) duration(name string, otherwise, least, most time.Duration) time.Duration {
	n := c.field(name, isText)
	if n == nil {
		return otherwise
	}
	value, err := time.ParseDuration(n.text)
	if err != nil || value < least || value > most {
		c.fault(name, "it is %q; it must be from %v to %v, such as %v", clip(n.text), least, most, max(otherwise, least))
		return otherwise
	}
	return value
}

// texts reads a list of texts.
func (c *config) texts(name string, most int) []string {
	var all []string
	for _, n := range c.list(name, most) {
		if n.kind != isText && n.kind != isNumber {
			c.compiler.report(postern.CodePolicyValueInvalid, n, c.place(name), "its items must be texts, this is %s", n.kind)
			continue
		}
		all = append(all, n.text)
	}
	return all
}

// list reads a list of at most so many items.
func (c *config) list(name string, most int) []*node {
	n := c.field(name, isList)
	if n == nil {
		return nil
	}
	if len(n.items) > most {
		c.fault(name, "it has %d items, at most %d are allowed", len(n.items), most)
	}
	return n.items
}

// object reads a field that is a configuration itself.
func (c *config) object(name string) *config {
	n := c.field(name, isObject)
	return c.inside(n, c.place(name))
}

// inside reads a configuration that lies within this one: of a field, or an item of a
// list. Its reader must call done.
func (c *config) inside(n *node, where string) *config {
	at := c.at
	if n != nil {
		at = n
	}
	return &config{compiler: c.compiler, phase: c.phase, at: at, node: n, where: where, within: true}
}

// template reads a text with ${…} in it; nil where it is missing.
func (c *config) template(name string) *expression.Template {
	c.known = append(c.known, name)
	n := c.node.get(name)
	if n.none() {
		return nil
	}
	return c.templateOf(name, n)
}

// templateOf is template for a value inside the field.
func (c *config) templateOf(name string, n *node) *expression.Template {
	if n.kind == isList || n.kind == isObject {
		c.compiler.report(postern.CodePolicyValueInvalid, n, c.place(name), "it must be a text, it is %s", n.kind)
		return nil
	}
	made, problem := expression.CompileTemplate(c.phase, n.text)
	if problem != nil {
		c.compiler.reportExpression(n, c.place(name), problem)
		return nil
	}
	c.compiler.reads(n, c.place(name), made.Reads())
	return made
}

// named reads an object of names and templates, such as headers.
func (c *config) named(name string, most int) []namedTemplate {
	n := c.field(name, isObject)
	if n == nil {
		return nil
	}
	if len(n.fields) > most {
		c.fault(name, "it has %d entries, at most %d are allowed", len(n.fields), most)
	}
	var all []namedTemplate
	for _, f := range n.fields {
		if made := c.templateOf(name, f.value); made != nil {
			all = append(all, namedTemplate{f.name, f.at, made})
		}
	}
	return all
}

type namedTemplate struct {
	name     string
	at       *node
	template *expression.Template
}

// done reports fields that nobody has asked for.
func (c *config) done() {
	if c.node == nil {
		return
	}
	for _, f := range c.node.fields {
		if !slices.Contains(c.known, f.name) {
			c.compiler.report(postern.CodePolicyFieldUnknown, f.at, c.place(f.name), "there is no such field; there are: %s", strings.Join(c.known, ", "))
		}
	}
}
