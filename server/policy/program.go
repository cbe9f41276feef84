package policy

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// Program is a compiled policy. It never changes, but for what its actions count, and may
// be used by all at a time.
type Program struct {
	text   string
	before postern.Secret // what was held to before
	phases [phaseCount][]rule
	needs  Needs
	used   []kind // by phases behind that of requests, each once

	asksResults  bool // some expression looks at what actions have found
	endsTLS      bool
	showsServers bool
	tlsAt        int // how many rules for connections there are up to the last one that ends TLS
	authorities  []named

	warnings []Problem
}

// Warnings are about what can be used, and may not be what somebody wants. They have no
// codes.
func (p *Program) Warnings() []Problem { return p.warnings }

type rule struct {
	where       string
	name        string
	expressions []condition
	actions     []step
	ends        bool    // its last action has the last word
	gates       []place // actions that ask for who somebody is
}

type condition struct {
	text string
	*expression.Expression
}

type step struct {
	kind string
	action
}

// Text is what the program was made of.
func (p *Program) Text() string { return p.text }

// Same tells whether two programs, which may be nil, do the same. One without rules does
// what none does.
func (p *Program) Same(other *Program) bool {
	return p == other || p.Needs()|other.Needs() == 0 || p != nil && other != nil && p.text == other.text && p.before.Equal(other.before)
}

// Rule names a rule of a program.
type Rule struct{ Where, Name string }

// Rules lists all rules, phase by phase.
func (p *Program) Rules() (all []Rule) {
	for _, rules := range p.phases {
		for _, r := range rules {
			all = append(all, Rule{r.where, r.name})
		}
	}
	return all
}

// Connects tells whether there are rules for connections.
func (p *Program) Connects() bool { return p != nil && len(p.phases[expression.Connect]) > 0 }

// Needs is what must be had of exchanges; nothing where there are no rules for them.
func (p *Program) Needs() Needs {
	if p == nil {
		return 0
	}
	needs := p.needs
	for _, rules := range p.phases {
		if len(rules) > 0 {
			needs |= NeedHead
		}
	}
	if len(p.phases[expression.Message]) > 0 {
		needs |= NeedChange
	}
	return needs
}

// outlives tells whether anything is asked about a request once it went on.
func (p *Program) outlives() bool {
	return len(p.phases[expression.Response]) > 0 || len(p.phases[expression.Message]) > 0
}

// Terminates tells whether the program has the last word on whatever comes to t: the last
// rule of a phase in which it comes is without a condition, and its last action answers or
// passes on.
func (p *Program) Terminates(t Target) bool {
	return p.terminates(expression.Connect) || t.HTTP() && p.terminates(expression.Request)
}

func (p *Program) terminates(at expression.Phase) bool {
	rules := p.phases[at]
	if len(rules) == 0 {
		return false
	}
	last := rules[len(rules)-1]
	return len(last.expressions) == 0 && last.ends
}
