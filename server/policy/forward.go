package policy

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
)

// forwardInternal passes what has come on to an internal endpoint of the account.
func forwardInternal() kind {
	return kind{
		name: "forward-internal", phases: in(inTCP, inRequest), needs: NeedChange, // of the endpoint that is forwarded to, whichever that is
		ends: func(config *node) bool { n := config.get("on_error"); return n.none() || n.text != "continue" },
		build: func(c *config) action {
			c.require("url")
			c.choice("binding", "internal", "internal") // older policies say so
			f := &forwarding{to: c.template("url"), goesOn: c.choice("on_error", "halt", "halt", "continue") == "continue"}
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
	if e.subject.Forward != nil {
		if err := e.subject.Forward(to); err != nil {
			return f.failed(e, postern.AsError(err))
		}
	}
	return Verdict{Decision: Forward, Forward: to, Continues: f.goesOn}, nil
}

// failed is what follows where nobody can serve what has come.
func (f *forwarding) failed(e *Evaluation, why *postern.Error) (Verdict, error) {
	e.result("forward_internal", map[string]any{"error": map[string]any{"code": string(why.Code), "message": why.Text()}})
	if f.goesOn {
		return Verdict{}, nil
	}
	return Verdict{}, why
}
