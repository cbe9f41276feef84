package trial

import (
	"fmt"
	"net/http"
	"slices"
)

// Misses lists in what an outcome departs from a wish, in sentences. A header that is
// wished to have no values must not be there.
func (o *Outcome) Misses(want *Outcome) (all []string) {
	miss := func(what string, got, want any) {
		all = append(all, fmt.Sprintf("%s is %v, not %v", what, got, want))
	}
	if want.Decision != "" && want.Decision != o.Decision {
		miss("the decision", o.Decision, want.Decision)
	}
	if want.Code != "" && want.Code != o.Code {
		miss("the code", o.Code, want.Code)
	}
	if want.Forward != "" && want.Forward != o.Forward {
		miss("the internal endpoint", o.Forward, want.Forward)
	}
	all = append(all, o.missedCalls(want)...)
	switch {
	case want.Request == nil:
	case o.Request == nil:
		all = append(all, "the service gets no request")
	default:
		if want.Request.Method != "" && want.Request.Method != o.Request.Method {
			miss("the method", o.Request.Method, want.Request.Method)
		}
		if want.Request.URL != "" && want.Request.URL != o.Request.URL {
			miss("what the service is asked for", o.Request.URL, want.Request.URL)
		}
		if want.Request.Body != "" && want.Request.Body != o.Request.Body {
			miss("the request's body", fmt.Sprintf("%q", o.Request.Body), fmt.Sprintf("%q", want.Request.Body))
		}
		all = append(all, missed("the request's", o.Request.Headers, want.Request.Headers)...)
	}
	switch {
	case want.Response == nil:
	case o.Response == nil:
		all = append(all, "the visitor gets no answer")
	default:
		if want.Response.Status != 0 && want.Response.Status != o.Response.Status {
			miss("the status", o.Response.Status, want.Response.Status)
		}
		if want.Response.Body != "" && want.Response.Text() != o.Response.Body {
			miss("the answer's body", fmt.Sprintf("%q", o.Response.Body), fmt.Sprintf("%q", want.Response.Text()))
		}
		all = append(all, missed("the answer's", o.Response.Headers, want.Response.Headers)...)
	}
	return all
}

// missedCalls compares what the policy asks with what it is wished to.
func (o *Outcome) missedCalls(want *Outcome) (all []string) {
	if want.Calls == nil {
		return nil
	}
	if len(o.Calls) != len(want.Calls) {
		return []string{fmt.Sprintf("the policy makes %d calls, not %d", len(o.Calls), len(want.Calls))}
	}
	for i, wish := range want.Calls {
		got := o.Calls[i]
		for _, text := range []struct{ what, got, want string }{{"method", got.Method, wish.Method}, {"URL", got.URL, wish.URL}, {"body", got.Body, wish.Body}} {
			if text.want != "" && text.got != text.want {
				all = append(all, fmt.Sprintf("the %s of call %d is %q, not %q", text.what, i+1, text.got, text.want))
			}
		}
		all = append(all, missed(fmt.Sprintf("call %d's", i+1), got.Headers, wish.Headers)...)
	}
	return all
}

func missed(whose string, got, want map[string]Values) (all []string) {
	for name, values := range want {
		if of := got[http.CanonicalHeaderKey(name)]; !slices.Equal(of, values) {
			all = append(all, fmt.Sprintf("%s header %s is %q, not %q", whose, name, []string(of), []string(values)))
		}
	}
	slices.Sort(all)
	return all
}

// headerChanges says which headers are others than they were.
func headerChanges(whose string, was, now map[string]Values) (all []string) {
	for name, values := range now {
		before, there := was[name]
		switch {
		case !there:
			all = append(all, fmt.Sprintf("%s header %s is added", whose, name))
		case !slices.Equal(before, values):
			all = append(all, fmt.Sprintf("%s header %s is changed", whose, name))
		}
	}
	for name := range was {
		if _, there := now[name]; !there {
			all = append(all, fmt.Sprintf("%s header %s is removed", whose, name))
		}
	}
	slices.Sort(all)
	return all
}

func canonical(header map[string]Values) map[string]Values {
	return values(newHead(header, "").header)
}
