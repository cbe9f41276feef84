package trial

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/policy"
)

// DryRun tells what a program would have made of requests that were captured. What the
// cases want does not matter. It ends early, with an error, when ctx does.
func DryRun(ctx context.Context, p *policy.Program, t policy.Target, w *policy.World, cases []Case) (resource.PolicyDryRun, error) {
	run := resource.PolicyDryRun{Requests: len(cases), Outcomes: make([]resource.PolicyDryRunOutcome, 0, len(cases)), Rules: []resource.PolicyDryRunRule{}, Warnings: []resource.PolicyDryRunWarning{}}
	for _, w := range p.Warnings() {
		run.Warnings = append(run.Warnings, resource.PolicyDryRunWarning{Line: w.Line, Column: w.Column, Where: w.Where, Msg: w.Message})
	}
	index := make(map[string]int)
	for _, rule := range p.Rules() {
		index[rule.Where] = len(run.Rules)
		run.Rules = append(run.Rules, resource.PolicyDryRunRule{Rule: rule.Where, Name: rule.Name})
	}
	for i := range cases {
		if err := ctx.Err(); err != nil {
			return run, postern.Errorf(postern.CodePolicyFailed, "only %d of %d requests were tried within the time that there is", i, len(cases)).Because(err)
		}
		got, err := Run(ctx, p, t, w, cases[i])
		if err != nil {
			return run, err
		}
		shown := show(&cases[i], got)
		switch {
		case got.Decision != policy.Continue.String():
			run.Answered++
		case len(shown.Changes) > 0:
			run.Changed++
		}
		count(run.Rules, index, got.Steps)
		run.Outcomes = append(run.Outcomes, shown)
	}
	return run, nil
}

// count counts each rule once for a request, however many messages of a stream it was
// asked about.
func count(rules []resource.PolicyDryRunRule, index map[string]int, steps []policy.Step) {
	asked, matched := make(map[string]bool), make(map[string]bool)
	for _, s := range steps {
		i, known := index[s.Where]
		if !known || s.Action != "" {
			continue
		}
		if !asked[s.Where] {
			asked[s.Where] = true
			rules[i].Asked++
		}
		if s.Matched && !matched[s.Where] {
			matched[s.Where] = true
			rules[i].Matched++
		}
	}
}

func show(c *Case, got *Outcome) resource.PolicyDryRunOutcome {
	shown := resource.PolicyDryRunOutcome{
		Request: c.Name, Decision: got.Decision, Code: orNil(got.Code), Changes: append([]string{}, changes(c, got)...),
		Calls: got.shownCalls(), Steps: make([]resource.PolicyDryRunStep, len(got.Steps)),
	}
	if c.Request != nil {
		shown.Request = cmp.Or(c.Request.Method, http.MethodGet) + " " + c.Request.URL
	}
	switch {
	case got.Response != nil:
		shown.StatusCode = got.Response.Status
	case got.Decision == "fail":
		shown.StatusCode = postern.Code(got.Code).Entry().Status
	}
	for i, s := range got.Steps {
		step := resource.PolicyDryRunStep{Rule: s.Where, Name: s.Name, Action: s.Action, Matched: s.Matched, Decision: s.Verdict.Decision.String()}
		if s.Err != nil {
			coded := postern.AsError(s.Err)
			step.Decision, step.Code, step.Msg = "fail", orNil(string(coded.Code)), coded.Text()
			if got.secretive {
				step.Msg = coded.Code.Entry().Title
			}
		}
		shown.Steps[i] = step
	}
	return shown
}

// shownCalls names the policy's calls. Their queries, headers and bodies may have what
// nobody is to read, and so may all of a URL once secrets were read.
func (o *Outcome) shownCalls() []string {
	all := make([]string, len(o.Calls))
	for i, c := range o.Calls {
		target, _, _ := strings.Cut(c.URL, "?")
		if o.secretive {
			target = "a URL that is not shown, for the policy has read secrets"
		}
		all[i] = c.Method + " " + target
	}
	return all
}

func orNil(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// changes says what became otherwise than it was, without values, which may be secrets.
func changes(c *Case, got *Outcome) (all []string) {
	was := cmp.Or(c.Response.Status, http.StatusOK)
	switch got.Decision {
	case "fail":
		return []string{fmt.Sprintf("the visitor gets %s, not the answer of the service", got.Code)}
	case policy.Close.String():
		return []string{"the connection is closed without an answer"}
	case policy.Forward.String():
		all = append(all, "it goes to "+got.unlessSecret(got.Forward, "another endpoint"))
	case policy.Respond.String():
		why := ""
		if got.Code != "" {
			why = " (" + got.Code + ")"
		}
		all = append(all, fmt.Sprintf("the policy answers with %d%s; the service has answered with %d", got.Response.Status, why, was))
	}
	if c.Request != nil && got.Request != nil {
		all = append(all, got.requestChanges(c.Request, got.Request)...)
	}
	if got.Decision == policy.Continue.String() && got.Response != nil {
		all = append(all, headerChanges("the answer's", canonical(c.Response.Headers), got.Response.Headers)...)
		if c.Response.Text() != got.Response.Body {
			all = append(all, "the answer's body is changed")
		}
	}
	return all
}

// unlessSecret is a text that the policy has made, or what to say instead.
func (o *Outcome) unlessSecret(text, instead string) string {
	if o.secretive {
		return instead
	}
	return text
}

func (o *Outcome) requestChanges(was, now *Request) (all []string) {
	if head, err := was.head(); err == nil && head.host+head.target != now.URL {
		all = append(all, fmt.Sprintf("the service is asked for %s, not %s", o.unlessSecret(now.URL, "another URL"), head.host+head.target))
	}
	all = append(all, headerChanges("the request's", canonical(was.Headers), now.Headers)...)
	if was.Body != now.Body {
		all = append(all, "the request's body is changed")
	}
	return all
}
