package policy

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/expression"
	"github.com/postern-dev/postern/server/policy/window"
)

// mostKeys is how many expressions make the key of a rate limit.
const mostKeys = 10

// rateLimit lets each key pass only so often within a sliding window of time.
func rateLimit() kind {
	return kind{
		name: "rate-limit", phases: in(inRequest),
		build: func(c *config) action {
			before := len(c.compiler.problems)
			for _, name := range []string{"name", "algorithm", "capacity", "rate", "bucket_key"} {
				c.require(name)
			}
			if len(c.text("name", "")) >= 1024 {
				c.fault("name", "it must have fewer than 1024 bytes")
			}
			c.choice("algorithm", "sliding_window", "sliding_window")
			limit := window.Limit{
				Capacity: c.integer("capacity", 1, 1, window.MostCapacity),
				Rate:     c.duration("rate", window.LeastRate, window.LeastRate, window.MostRate),
			}
			a := &rateLimiting{enforced: c.boolean("enforce", true), key: c.keys("bucket_key")}
			counter, err := window.New(limit)
			if err != nil && len(c.compiler.problems) == before {
				c.fault("rate", "%v", err)
			}
			a.counter = counter
			return a
		},
	}
}

// keys reads a list of expressions whose values together are a key.
func (c *config) keys(name string) []*expression.Template {
	var all []*expression.Template
	for _, item := range c.list(name, mostKeys) {
		if item.kind != isText {
			c.compiler.report(postern.CodePolicyValueInvalid, item, c.place(name), "its items must be expressions, this is %s", item.kind)
			continue
		}
		made, problem := expression.CompileTemplate(c.phase, open+item.text+end) // for its way to write values as texts
		if problem != nil {
			if problem.Line <= 1 {
				problem.Column -= len(open)
			}
			c.compiler.reportExpression(item, c.place(name), problem)
			continue
		}
		c.compiler.reads(item, c.place(name), made.Reads())
		all = append(all, made)
	}
	return all
}

type rateLimiting struct {
	enforced bool
	key      []*expression.Template
	counter  *window.Counter
}

func (a *rateLimiting) run(e *Evaluation) (Verdict, error) {
	key := make([]string, len(a.key))
	for i, part := range a.key {
		var err error
		if key[i], err = e.fill(part); err != nil {
			return Verdict{}, err
		}
	}
	passes, retry := a.counter.Allow(e.now(), key...)
	result := map[string]any{"limited": !passes, "bucket_key": strings.Join(key, ",")}
	e.result("rate_limit", result)
	if passes {
		return Verdict{}, nil
	}
	why := postern.Errorf(postern.CodePolicyRateLimited, "This endpoint takes no more of such requests for now.")
	result["error"] = fault(why)
	if !a.enforced {
		return Verdict{}, nil
	}
	return refusal(why, retry), nil
}

// refusal is a page for a visitor who may come again after a while.
func refusal(why *postern.Error, retry time.Duration) Verdict {
	seconds := int64((retry + time.Second - 1) / time.Second)
	return Verdict{Decision: Respond, Answer: &Answer{
		Status: why.Code.Entry().Status, Failure: why,
		Header: http.Header{"Retry-After": {strconv.FormatInt(max(1, seconds), 10)}},
	}}
}

// fault is an error as results show it.
func fault(err *postern.Error) map[string]any {
	return map[string]any{"code": string(err.Code), "message": err.Text()}
}
