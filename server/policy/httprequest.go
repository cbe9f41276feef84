package policy

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy/expression"
)

// The bounds of a request that a policy makes.
const (
	mostCallParameters = 32
	usualRedirects     = 10
	leastCallTime      = time.Second
	usualCallTime      = 3 * time.Second
)

// httpRequest asks another server, and keeps the answer for the rules behind.
func httpRequest() kind {
	return kind{
		name: "http-request", phases: in(inRequest, inResponse),
		build: func(c *config) action {
			c.require("url")
			a := &calling{
				url:       c.template("url"),
				method:    c.choice("method", http.MethodGet, "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"),
				query:     c.parameters("query_params"),
				headers:   c.named("headers", mostHeaders),
				body:      c.template("body"),
				redirects: int(c.integer("max_redirects", usualRedirects, 0, outcall.MostRedirects)),
				timeout:   c.duration("timeout", usualCallTime, leastCallTime, outcall.MostTime),
				retry:     c.retryCondition("retry_condition"),
				halts:     c.choice("on_error", "continue", "halt", "continue") == "halt",
			}
			for _, h := range a.headers {
				if err := outcall.CheckHeader(h.name); err != nil {
					c.compiler.report(postern.CodePolicyValueInvalid, h.at, c.place("headers"), "%s", postern.AsError(err).Message)
				}
			}
			c.checkCalled("url", a.url)
			return a
		},
	}
}

// checkCalled reports a URL that can never be called.
func (c *config) checkCalled(name string, url *expression.Template) {
	if url == nil {
		return
	}
	text, constant := url.Constant()
	if !constant {
		return
	}
	if err := outcall.CheckURL(text); err != nil {
		c.fault(name, "%s", postern.AsError(err).Message)
	}
}

// internal tells whether a URL is of an internal endpoint.
func internal(text string) bool {
	u, err := url.Parse(text)
	return err == nil && outcall.Internal(u.Hostname())
}

// parameter is one of a query.
type parameter struct{ key, value *expression.Template }

// parameters reads a list of keys and values.
func (c *config) parameters(name string) (all []parameter) {
	for i, item := range c.list(name, mostCallParameters) {
		where := c.place(name) + "[" + strconv.Itoa(i) + "]"
		if item.kind != isObject {
			c.compiler.report(postern.CodePolicyValueInvalid, item, where, "it must be an object with key and value, it is %s", item.kind)
			continue
		}
		inner := c.inside(item, where)
		inner.require("key")
		all = append(all, parameter{inner.template("key"), inner.template("value")})
		inner.done()
	}
	return all
}

type calling struct {
	url, body *expression.Template
	method    string
	query     []parameter
	headers   []namedTemplate
	redirects int
	timeout   time.Duration
	retry     *expression.Expression // nil: never
	halts     bool
}

func (a *calling) run(e *Evaluation) (Verdict, error) {
	call, err := a.call(e)
	if err != nil {
		return Verdict{}, err
	}
	result := map[string]any{"req": map[string]any{
		"method": call.Method, "url": call.URL, "header": lowered(call.Header), "body": string(call.Body),
	}}
	e.result("http_request", result)
	unanswered, err := a.attempts(e, call, result)
	if err != nil || unanswered == nil {
		return Verdict{}, err
	}
	coded := postern.AsError(unanswered)
	if result["error"] = fault(coded); a.halts {
		return Verdict{}, coded
	}
	return Verdict{}, nil
}

// call fills in the request.
func (a *calling) call(e *Evaluation) (call outcall.Call, err error) {
	call = outcall.Call{
		Account: e.subject.Endpoint.Account, Method: a.method, Redirects: a.redirects, Timeout: a.timeout,
		Inside: &outcall.Inside{Client: e.subject.Connection.Client(), Depth: e.subject.Depth},
	}
	if call.URL, err = e.fill(a.url); err != nil {
		return call, err
	}
	query := url.Values{}
	for _, p := range a.query {
		key, err := e.fill(p.key)
		if err != nil {
			return call, err
		}
		value, err := e.fill(p.value)
		if err != nil {
			return call, err
		}
		query.Add(key, value)
	}
	call.URL = withQuery(call.URL, query)
	if call.Header, err = e.header(a.headers); err != nil {
		return call, err
	}
	body, err := e.fill(a.body)
	call.Body = []byte(body)
	return call, err
}

// withQuery puts more parameters behind those that a URL has.
func withQuery(text string, more url.Values) string {
	if len(more) == 0 {
		return text
	}
	before, fragment, _ := strings.Cut(text, "#")
	mark := "?"
	if strings.Contains(before, "?") {
		mark = "&"
	}
	before += mark + more.Encode()
	if fragment != "" {
		before += "#" + fragment
	}
	return before
}

// caller is who makes requests for the policy.
func (e *Evaluation) caller() Caller {
	if e.world.Calls == nil {
		return nobody{}
	}
	return e.world.Calls
}

// nobody makes no requests.
type nobody struct{}

// Do implements Caller.
func (nobody) Do(context.Context, outcall.Call) (*outcall.Answer, error) {
	return nil, postern.Errorf(postern.CodePolicyFailed, "nobody makes requests for policies here")
}

// call asks on behalf of the endpoint's account.
func (e *Evaluation) call(ctx context.Context, call outcall.Call) (*outcall.Answer, error) {
	return e.caller().Do(ctx, call)
}

// lowered is a header as expressions see one.
func lowered(header http.Header) map[string]any {
	all := make(map[string]any, len(header))
	for name, values := range header {
		texts := make([]any, len(values))
		for i, value := range values {
			texts[i] = value
		}
		all[strings.ToLower(name)] = texts
	}
	return all
}
