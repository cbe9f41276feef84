package trial

import (
	"context"
	"net/http"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
)

// Outcome is what became of a case. In a wish, what is left empty is not compared.
type Outcome struct {
	Decision string        `yaml:"decision"` // continue, respond, close, forward or fail
	Code     string        `yaml:"code"`     // of the error, with fail, or of the page
	Forward  string        `yaml:"forward"`
	Request  *Request      `yaml:"request"`  // as the service gets it
	Response *Response     `yaml:"response"` // as the visitor gets it
	Calls    []Call        `yaml:"calls"`    // that the policy makes; a wish of [] is for none
	Steps    []policy.Step `yaml:"-"`        // the first ones

	secretive bool // secrets were read: what the policy has made may have them in it
}

// mostSteps is how many are kept of a case: rules are asked about each message of a stream.
const mostSteps = 500

// Run holds a case to a program. An error is for a case that cannot be understood.
func Run(ctx context.Context, p *policy.Program, t policy.Target, w *policy.World, c Case) (*Outcome, error) {
	if c.Now.IsZero() {
		c.Now = time.Now()
	}
	world := *w
	if world.Now == nil {
		world.Now = func() time.Time { return c.Now }
	}
	calls := &recording{of: w.Calls}
	world.Calls = calls
	subject, err := c.subject(ctx, t, c.endpoint(t))
	if err != nil {
		return nil, err
	}
	out := &Outcome{Decision: policy.Continue.String()}
	defer func() { out.Calls = calls.calls }()
	if secret := w.Secret; secret != nil {
		world.Secret = func(ctx context.Context, account postern.AccountID, vault, name string) (postern.Secret, error) {
			out.secretive = true
			return secret(ctx, account, vault, name)
		}
	}
	e := p.Begin(&world, subject)
	e.Trace(func(s policy.Step) {
		if len(out.Steps) < mostSteps {
			out.Steps = append(out.Steps, s)
		}
	})
	if over := out.take(e.Connect()); over || c.Request == nil {
		e.End(0)
		return out, nil
	}
	return out, out.exchange(e, c)
}

func (o *Outcome) exchange(e *policy.Evaluation, c Case) error {
	r, err := c.Request.head()
	if err != nil {
		return err
	}
	over := o.take(e.Request(r)) || o.breaks(r.broken)
	if !over || o.Decision == policy.Forward.String() {
		o.Request = &Request{Method: r.method, URL: r.host + r.target, Headers: values(r.header), Body: string(r.body)}
	}
	if !over {
		answer := c.Response.head()
		if !o.take(e.Response(answer)) && !o.breaks(answer.broken) {
			o.Response = &Response{Status: answer.status, Headers: values(answer.header), Body: string(answer.body)}
		}
	}
	status := 0
	if o.Response != nil {
		status = o.Response.Status
	}
	e.End(status)
	return nil
}

// take notes a verdict; true: nothing comes behind it.
func (o *Outcome) take(v policy.Verdict, err error) bool {
	if err != nil {
		coded := postern.AsError(err)
		o.Decision, o.Code = "fail", string(coded.Code)
		if coded.Code == postern.CodeHungUp || coded.Code == postern.CodeClientCertificateRefused {
			o.Decision = policy.Close.String() // by the handshake
		}
		return true
	}
	o.Decision, o.Forward = v.Decision.String(), v.Forward
	switch {
	case v.Decision != policy.Respond:
	case v.Answer.Failure != nil:
		o.Code = string(v.Answer.Failure.Code)
		o.Response = &Response{Status: v.Answer.Status, Headers: values(v.Answer.Header)}
	default:
		o.Response = &Response{Status: v.Answer.Status, Headers: values(v.Answer.Header), Body: string(v.Answer.Body)}
	}
	return v.Decision != policy.Continue
}

// breaks notes that a body ends before its time, which ends the exchange.
func (o *Outcome) breaks(why error) bool { return why != nil && o.take(policy.Verdict{}, why) }

func values(h http.Header) map[string]Values {
	all := make(map[string]Values, len(h))
	for name, of := range h {
		all[name] = of
	}
	return all
}

// Prepare gives a function that holds a case's request to a program, again and again, and
// does nothing else.
func Prepare(ctx context.Context, p *policy.Program, t policy.Target, w *policy.World, c Case) (func() (policy.Verdict, error), error) {
	subject, err := c.subject(ctx, t, policy.Endpoint{URL: postern.URL{Scheme: t.Scheme}})
	if err != nil {
		return nil, err
	}
	r, err := c.Request.head()
	if err != nil {
		return nil, err
	}
	sent := r.header
	return func() (policy.Verdict, error) {
		r.header = make(http.Header, len(sent)+1)
		e := p.Begin(w, subject)
		defer e.End(0)
		return e.Request(r)
	}, nil
}
