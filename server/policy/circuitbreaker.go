package policy

import (
	"net/http"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/breaker"
)

// circuitBreaker keeps requests from a service that fails.
func circuitBreaker() kind {
	return kind{
		name: "circuit-breaker", phases: in(inRequest),
		build: func(c *config) action {
			before := len(c.compiler.problems)
			c.require("error_threshold")
			usual := breaker.Default()
			made, err := breaker.New(breaker.Settings{
				Threshold: c.number("error_threshold", usual.Threshold, 0, 1),
				Volume:    c.integer("volume_threshold", usual.Volume, 1, breaker.MostVolume),
				Window:    c.duration("window_duration", usual.Window, breaker.LeastDuration, breaker.MostDuration),
				Tripped:   c.duration("tripped_duration", usual.Tripped, breaker.LeastDuration, breaker.MostDuration),
			})
			if err != nil && len(c.compiler.problems) == before {
				c.fault("error_threshold", "%v", err)
			}
			c.integer("num_buckets", breaker.Buckets, breaker.Buckets, breaker.Buckets)
			if !c.boolean("enforce", true) {
				return idle{}
			}
			return &breaking{made}
		},
	}
}

// idle does nothing.
type idle struct{}

func (idle) run(*Evaluation) (Verdict, error) { return Verdict{}, nil }

type breaking struct{ *breaker.Breaker }

func (a *breaking) run(e *Evaluation) (Verdict, error) {
	pass, passes, retry := a.Enter()
	if !passes {
		why := postern.Errorf(postern.CodePolicyCircuitOpen, "The service failed too often; it is left alone for a while.")
		return refusal(why, retry), nil
	}
	e.atEnd(func(status int) {
		if e.settled || status == 0 {
			a.Abandon(pass) // the service was not asked, or nobody waited for its answer
			return
		}
		a.Leave(pass, status >= http.StatusInternalServerError)
	})
	return Verdict{}, nil
}
