package policy

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// forwardInternal passes what has come on to an internal endpoint of the account.
func forwardInternal() kind {
	return kind{
		name: "forward-internal", phases: in(inTCP, inRequest),
		ends: func(config *node) bool { n := config.get("on_error"); return n.none() || n.text != "continue" },
		build: func(c *config) action {
			c.require("url")
			f := &forwarding{to: c.template("url"), goesOn: c.choice("on_error", "halt", "halt", "continue") == "continue"}
			if !c.compiler.target.Last {
				c.compiler.report(postern.CodePolicyActionAbsent, c.at, c.where, "this server has forward-internal for cloud endpoints only")
			}
			return f
		},
	}
}

type forwarding struct {
	to     *expression.Template
	goesOn bool
}

func (f *forwarding) run(e *Evaluation) (Verdict, error) {
	to, err := e.fill(f.to)
	if err != nil {
		return Verdict{}, err
	}
	return Verdict{Decision: Forward, Forward: to, Continues: f.goesOn}, nil
}
