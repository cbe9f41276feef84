package trial

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
	"github.com/postern-dev/postern/server/policy"
)

// Answers are what a URL answers, one after the other; the last one from then on. One
// alone may be written without a list.
type Answers []CannedAnswer

// CannedAnswer is what somebody would say whom a policy asks. Nobody is asked.
type CannedAnswer struct {
	Status  int               `yaml:"status"` // 0 is 200
	Headers map[string]Values `yaml:"headers"`
	Body    string            `yaml:"body"`
	Addr    string            `yaml:"resolved_ip"` // that answers
	Error   string            `yaml:"error"`       // instead: the code of why there is no answer
}

// UnmarshalYAML reads one answer or a list of them.
func (a *Answers) UnmarshalYAML(text []byte) error {
	var all []CannedAnswer
	if err := yaml.UnmarshalWithOptions(text, &all, yaml.Strict()); err == nil {
		*a = all
		return nil
	}
	var one CannedAnswer
	err := yaml.UnmarshalWithOptions(text, &one, yaml.Strict())
	*a = Answers{one}
	return err
}

// Call is a request that a policy makes.
type Call struct {
	Method  string            `yaml:"method"`
	URL     string            `yaml:"url"`
	Headers map[string]Values `yaml:"headers"`
	Body    string            `yaml:"body"`
}

// answering gives canned answers.
type answering struct {
	mu    sync.Mutex
	by    map[string]Answers
	given map[string]int
}

func newAnswering(by map[string]Answers) (*answering, error) {
	for url, all := range by {
		for _, one := range all {
			if _, err := netip.ParseAddr(one.Addr); err != nil && one.Addr != "" {
				return nil, postern.Errorf(postern.CodeConfigInvalid, "responses: %s: resolved_ip %q is not an address", url, one.Addr)
			}
			if code := postern.Code(one.Error); one.Error != "" && code != postern.CodeInternal && code.Entry().Title == postern.CodeInternal.Entry().Title {
				return nil, postern.Errorf(postern.CodeConfigInvalid, "responses: %s: there is no error %q; %s is one", url, one.Error, postern.CodeOutcallFailed)
			}
		}
	}
	return &answering{by: by, given: make(map[string]int)}, nil
}

// Do implements policy.Caller. An answer is of the whole URL, or of all queries to it.
func (a *answering) Do(_ context.Context, call outcall.Call) (*outcall.Answer, error) {
	if err := outcall.CheckURL(call.URL); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	url := call.URL
	if _, whole := a.by[url]; !whole {
		url, _, _ = strings.Cut(url, "?")
	}
	all := a.by[url]
	if len(all) == 0 {
		return nil, postern.Errorf(postern.CodeOutcallRefused, "responses has no answer of %s", url)
	}
	one := all[min(a.given[url], len(all)-1)]
	a.given[url]++
	if one.Error != "" {
		return nil, &postern.Error{Code: postern.Code(one.Error)}
	}
	addr, _ := netip.ParseAddr(one.Addr)
	return &outcall.Answer{
		URL: call.URL, Addr: addr, Status: cmp.Or(one.Status, http.StatusOK),
		Header: newHead(one.Headers, "").header, Body: []byte(one.Body),
	}, nil
}

// recording notes what is asked, of whom it may be nil.
type recording struct {
	of    policy.Caller
	calls []Call
}

// mostCalls is how many calls of a case are kept.
const mostCalls = 100

// Do implements policy.Caller.
func (r *recording) Do(ctx context.Context, call outcall.Call) (*outcall.Answer, error) {
	if len(r.calls) < mostCalls {
		r.calls = append(r.calls, Call{cmp.Or(call.Method, http.MethodGet), call.URL, values(call.Header), string(call.Body)})
	}
	if r.of == nil {
		return nil, postern.Errorf(postern.CodeOutcallRefused, "nobody is asked in a trial")
	}
	return r.of.Do(ctx, call)
}

var (
	_ policy.Caller = (*answering)(nil)
	_ policy.Caller = (*recording)(nil)
)
