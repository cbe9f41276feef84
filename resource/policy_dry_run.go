package resource

import (
	"net/http"
	"reflect"
	"time"
)

// PolicyDryRun is what a traffic policy would have made of requests.
type PolicyDryRun struct {
	Requests int                   `json:"requests" doc:"How many requests were tried."`
	Answered int                   `json:"answered" doc:"How many of them would not have had the service's answer: the policy answers, closes, sends on elsewhere, or fails."`
	Changed  int                   `json:"changed" doc:"How many of the others would have been changed, to the service or back."`
	Warnings []PolicyDryRunWarning `json:"warnings" doc:"What can be used, and may not be what somebody wants."`
	Rules    []PolicyDryRunRule    `json:"rules" doc:"All rules of the policy, in their order."`
	Outcomes []PolicyDryRunOutcome `json:"outcomes" doc:"What would have become of each request, in their order."`
}

// PolicyDryRunWarning is about a place in the policy.
type PolicyDryRunWarning struct {
	Line   int    `json:"line" doc:"From 1; 0 where the whole text is meant."`
	Column int    `json:"column" doc:"The same."`
	Where  string `json:"where" doc:"What stands there, as on_http_request[0].actions[0].config."`
	Msg    string `json:"msg" doc:"The warning, for people."`
}

// PolicyDryRunRule is how often a rule counted.
type PolicyDryRunRule struct {
	Rule    string `json:"rule" doc:"Where it stands, as on_http_request[0]."`
	Name    string `json:"name" doc:"Its name; empty for none."`
	Asked   int    `json:"asked" doc:"For how many requests it was asked."`
	Matched int    `json:"matched" doc:"How many of them it matched."`
}

// PolicyDryRunOutcome is what would have become of one request.
type PolicyDryRunOutcome struct {
	Request    string             `json:"request" doc:"Its method and URL."`
	Decision   string             `json:"decision" doc:"continue, respond, close, forward or fail."`
	StatusCode int                `json:"status_code" doc:"What the visitor gets; 0 for no answer."`
	Code       *string            `json:"error_code" doc:"The code of an error or of its page; null for none."`
	Changes    []string           `json:"changes" doc:"What would be otherwise than it was, in sentences. Values of headers and bodies are left out."`
	Calls      []string           `json:"calls" doc:"The requests that the policy would make, or has made with make_calls, to others: method and URL without its query."`
	Steps      []PolicyDryRunStep `json:"steps" doc:"What each rule came to, and each action of those that matched; the first 500."`
}

// PolicyDryRunStep is what a rule, or an action of it, came to.
type PolicyDryRunStep struct {
	Rule     string  `json:"rule" doc:"Where the rule stands."`
	Name     string  `json:"name" doc:"Its name; empty for none."`
	Action   string  `json:"action" doc:"The action; empty for the rule's expressions."`
	Matched  bool    `json:"matched" doc:"Whether all expressions of the rule were true."`
	Decision string  `json:"decision" doc:"What the action decided: continue, respond, close or forward."`
	Code     *string `json:"error_code" doc:"Of what failed; null where nothing did."`
	Msg      string  `json:"msg" doc:"The same for people."`
}

// PolicyDryRunOf is a policy, and requests to hold it to.
type PolicyDryRunOf struct {
	TrafficPolicy string                `json:"traffic_policy" api:"required" doc:"The policy, in YAML or JSON."`
	Scheme        string                `json:"scheme,omitzero" doc:"Of the endpoint: https, which is the default, or http."`
	MakeCalls     bool                  `json:"make_calls,omitzero" doc:"Have the server make the requests that the policy makes (http-request, the keys of jwt-validation). Otherwise nobody is asked, and such actions find no answer."`
	Requests      []PolicyDryRunRequest `json:"requests" api:"required" doc:"The requests, in the order in which they came; 1 to 100."`
}

// PolicyDryRunRequest is a request, and what the service answered.
type PolicyDryRunRequest struct {
	Method   string               `json:"method,omitzero" doc:"GET where it is empty."`
	URL      string               `json:"url" api:"required" doc:"The whole URL, as the visitor typed it."`
	Headers  map[string][]string  `json:"headers,omitzero" doc:"Names, and the values of each."`
	Body     string               `json:"body,omitzero" doc:"As text."`
	ClientIP string               `json:"client_ip,omitzero" doc:"The visitor's address; 203.0.113.7 where it is empty."`
	At       time.Time            `json:"at,omitzero" doc:"When it came, by which limits are counted; now where it is left out."`
	Response PolicyDryRunResponse `json:"response,omitzero" doc:"What the service answered."`
}

// PolicyDryRunResponse is the answer of a service.
type PolicyDryRunResponse struct {
	StatusCode int                 `json:"status_code,omitzero" doc:"200 where it is 0."`
	Headers    map[string][]string `json:"headers,omitzero" doc:"Names, and the values of each."`
	Body       string              `json:"body,omitzero" doc:"As text."`
}

// TrafficPolicies is what can be done with policies that belong to no endpoint.
func TrafficPolicies() Collection[PolicyDryRun, None, None] {
	return Define[PolicyDryRun, None, None](Definition{
		Name: "traffic_policies", Singular: "traffic policy", Doc: "Traffic policies before they are in force.",
		Routes: []Route{{
			Method: http.MethodPost, Path: "/dry_run", Status: http.StatusOK,
			Doc:  "Says what a policy would have made of requests. Secrets, IP policies and what is known of addresses are those of the server; secrets need a role that may change things, and are never shown. Nobody is asked unless make_calls says so, and nothing that is in force is touched. At most 100 requests and 256 KiB.",
			Body: reflect.TypeFor[PolicyDryRunOf](), Answer: reflect.TypeFor[PolicyDryRun](),
		}},
	})
}
