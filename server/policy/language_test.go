package policy_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
)

const (
	jwtTokens = `http: {tokens: [{type: jwt, method: header, name: x}]}`
	jwtKeys   = `jws: {allowed_algorithms: [RS256], keys: {sources: {additional_jkus: ["https://i.example/"]}}}`
)

// language is every action of the language that is built: in which phases it may stand, the
// first for short, and the least that it needs.
var language = []struct{ name, phases, config string }{
	{"add-headers", "request response", `{headers: {x: y}}`},
	{"basic-auth", "request", `{credentials: ["ann:12345678"]}`},
	{"circuit-breaker", "request", `{error_threshold: 0.5}`},
	{"close-connection", "connect request", `{}`},
	{"compress-response", "response", `{}`},
	{"custom-response", "request response", `{}`},
	{"deny", "connect request", `{}`},
	{"forward-internal", "connect request", `{url: "https://a.internal"}`},
	{"http-request", "request response", `{url: "https://a.example/"}`},
	{"jwt-validation", "request", `{issuer: {allow_list: [{value: i}]}, ` + jwtTokens + `, ` + jwtKeys + `}`},
	{"log", "connect request response", `{metadata: {}}`},
	{"rate-limit", "request", `{name: x, algorithm: sliding_window, capacity: 1, rate: 60s, bucket_key: [conn.client_ip]}`},
	{"redirect", "request", `{to: x}`},
	{"remove-headers", "request response", `{headers: [x]}`},
	{"request-body-find-replace", "request", `{replacements: [{from: x}]}`},
	{"response-body-find-replace", "response", `{replacements: [{from: x}]}`},
	{"restrict-ips", "connect request response", `{allow: [192.0.2.0/24]}`},
	{"set-vars", "connect request response", `{vars: [{x: 1}]}`},
	{"sse-find-replace", "message", `{replacements: [{from: x}]}`},
	{"terminate-tls", "connect", `{}`},
	{"url-rewrite", "request", `{to: x}`},
}

var phaseNames = map[string]string{"connect": "on_tcp_connect", "request": "on_http_request", "response": "on_http_response", "message": "on_event_stream_message"}

func using(phase, action, config string) string {
	return fmt.Sprintf("%s: [{actions: [{type: %s, config: %s}]}]", phaseNames[phase], action, config)
}

// codesOf are those of what is wrong with a policy of an https endpoint.
func codesOf(text string) (codes []postern.Code, err error) {
	_, err = policy.Compile(text, target(postern.HTTPS, false))
	problems, _ := err.(policy.Problems)
	for _, p := range problems {
		codes = append(codes, p.Code)
	}
	return codes, err
}

// Every action may stand in its phases and in no other.
func TestPhasesOfActions(t *testing.T) {
	var names []string
	for _, action := range language {
		names = append(names, action.name)
		for phase := range phaseNames {
			codes, err := codesOf(using(phase, action.name, action.config))
			switch may := slices.Contains(strings.Fields(action.phases), phase); {
			case may && err != nil:
				t.Errorf("%s in %s: %v", action.name, phase, err)
			case !may && !slices.Contains(codes, postern.CodePolicyPhase):
				t.Errorf("%s in %s: %v", action.name, phase, err)
			}
		}
	}
	if !slices.Equal(names, policy.Kinds()) {
		t.Errorf("there are %q", policy.Kinds())
	}
}

// What is not built is refused wherever it stands, whatever it says; none is passed over.
func TestAbsentActions(t *testing.T) {
	for _, name := range []string{"oauth", "openid-connect", "verify-webhook", "owasp-crs-request", "owasp-crs-response", "saml", "ai-gateway"} {
		if !slices.Contains(policy.Absent(), name) {
			t.Errorf("%s is not listed", name)
		}
		for phase := range phaseNames {
			if codes, err := codesOf(using(phase, name, "{enforce: false}")); !slices.Equal(codes, []postern.Code{postern.CodePolicyActionAbsent}) {
				t.Errorf("%s in %s: %v", name, phase, err)
			}
		}
	}
}

// What an action needs is told if it is not there.
func TestRequiredFields(t *testing.T) {
	for name, fields := range map[string][]string{
		"add-headers": {"headers"}, "basic-auth": {"credentials"}, "circuit-breaker": {"error_threshold"}, "forward-internal": {"url"}, "http-request": {"url"},
		"jwt-validation": {"issuer", "http", "jws"}, "log": {"metadata"}, "rate-limit": {"name", "algorithm", "capacity", "rate", "bucket_key"}, "redirect": {"to"},
		"remove-headers": {"headers"}, "request-body-find-replace": {"replacements"}, "response-body-find-replace": {"replacements"}, "restrict-ips": {"allow"},
		"set-vars": {"vars"}, "sse-find-replace": {"replacements"}, "url-rewrite": {"to"},
		"close-connection": nil, "compress-response": nil, "custom-response": nil, "deny": nil, "terminate-tls": nil,
	} {
		i := slices.IndexFunc(language, func(a struct{ name, phases, config string }) bool { return a.name == name })
		_, err := policy.Compile(using(strings.Fields(language[i].phases)[0], name, "{}"), target(postern.HTTPS, false))
		problems, _ := err.(policy.Problems)
		var missing []string
		for _, p := range problems {
			missing = append(missing, p.Where[strings.LastIndexByte(p.Where, '.')+1:])
		}
		slices.Sort(missing)
		slices.Sort(fields)
		if !slices.Equal(slices.Compact(missing), fields) {
			t.Errorf("%s misses %q, want %q: %v", name, missing, fields, err)
		}
	}
}

// listOf is a list with so many of one item.
func listOf(item string, n int) string {
	return "[" + strings.TrimSuffix(strings.Repeat(item+", ", n), ", ") + "]"
}

// headersOf is an object with so many headers.
func headersOf(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("x%d: y", i))
	}
	return "{" + strings.Join(all, ", ") + "}"
}

// Values are held to the bounds of the language, both ends included.
func TestBoundsOfFields(t *testing.T) {
	rate := func(capacity, every, keys string) string {
		return fmt.Sprintf("{name: x, algorithm: sliding_window, capacity: %s, rate: %s, bucket_key: %s}", capacity, every, keys)
	}
	ann := func(password int) string { return `{credentials: ["ann:` + strings.Repeat("x", password) + `"]}` }
	breaker := func(fields string) string { return "{error_threshold: 0.5, " + fields + "}" }
	for _, action := range []struct {
		name     string
		fit, not []string
	}{
		{"add-headers", []string{`{headers: ` + headersOf(10) + `}`}, []string{`{headers: ` + headersOf(11) + `}`, `{headers: {"x y": z}}`}},
		{"remove-headers", []string{`{headers: ` + listOf("x", 10) + `}`}, []string{`{headers: ` + listOf("x", 11) + `}`, `{headers: x}`}},
		{"basic-auth", []string{ann(8), ann(128), `{credentials: ` + listOf(`"ann:12345678"`, 10) + `}`, `{credentials: ["a:12345678"], realm: "", enforce: false}`},
			[]string{ann(7), ann(129), `{credentials: ` + listOf(`"ann:12345678"`, 11) + `}`, `{credentials: ["12345678"]}`, `{credentials: ["a:12345678"], realm: ` + strings.Repeat("x", 129) + `}`, `{credentials: ["a:12345678"], enforce: "no"}`}},
		{"circuit-breaker", []string{`{error_threshold: 0.0}`, `{error_threshold: 1}`, breaker("volume_threshold: 1"), breaker("volume_threshold: 2000000000"), breaker("window_duration: 1s, tripped_duration: 1s"), breaker("window_duration: 2m, tripped_duration: 2m"), breaker("num_buckets: 10")},
			[]string{`{error_threshold: -0.1}`, `{error_threshold: 1.1}`, breaker("volume_threshold: 0"), breaker("volume_threshold: 2000000001"), breaker("window_duration: 999ms"), breaker("tripped_duration: 999ms"), breaker("window_duration: 121s"), breaker("tripped_duration: 121s"), breaker("num_buckets: 9")}},
		{"compress-response", []string{`{algorithms: [gzip, deflate, br, compress]}`}, []string{`{algorithms: [lzma]}`, `{algorithms: [gzip, gzip]}`, `{algorithms: []}`}},
		{"custom-response", []string{`{status_code: 200}`, `{status_code: 599}`, `{headers: ` + headersOf(10) + `}`}, []string{`{status_code: 199}`, `{status_code: 600}`, `{headers: ` + headersOf(11) + `}`}},
		{"deny", []string{`{status_code: 400}`, `{status_code: 599}`}, []string{`{status_code: 399}`, `{status_code: 600}`}},
		{"forward-internal", []string{`{url: x, on_error: halt}`, `{url: x, on_error: continue}`, `{url: x, binding: internal}`}, []string{`{url: x, on_error: stop}`, `{url: x, binding: public}`}},
		{"http-request", []string{`{url: "http://a.example/", method: OPTIONS, timeout: 1s, max_redirects: 0, on_error: halt}`, `{url: "https://a.example/", method: PATCH, timeout: 30s, on_error: continue, headers: ` + headersOf(10) + `, query_params: ` + listOf("{key: a}", 32) + `}`},
			[]string{`{url: "ftp://a.example/"}`, `{url: "https://a.example/", method: TRACE}`, `{url: "https://a.example/", timeout: 999ms}`, `{url: "https://a.example/", timeout: 31s}`, `{url: "https://a.example/", max_redirects: -1}`, `{url: "https://a.example/", headers: ` + headersOf(11) + `}`, `{url: "https://a.example/", query_params: ` + listOf("{key: a}", 33) + `}`, `{url: "https://a.example/", on_error: stop}`}},
		{"jwt-validation", nil, []string{`{issuer: {allow_list: []}, ` + jwtTokens + `, ` + jwtKeys + `}`, `{issuer: {allow_list: [{value: i}]}, http: {tokens: []}, ` + jwtKeys + `}`, `{issuer: {allow_list: [{value: i}]}, http: {tokens: [{type: jwt, method: query, name: x}]}, ` + jwtKeys + `}`, `{issuer: {allow_list: [{value: i}]}, http: {tokens: [{type: jwt, method: header}]}, ` + jwtKeys + `}`}},
		{"rate-limit", []string{rate("1", "60s", "[conn.client_ip]"), rate("2000000000", "24h", listOf("conn.client_ip", 10)), rate("1", "70s", "[]")},
			[]string{rate("0", "60s", "[]"), rate("2000000001", "60s", "[]"), rate("1", "50s", "[]"), rate("1", "24h10s", "[]"), rate("1", "65s", "[]"), rate("1", "60s", listOf("conn.client_ip", 11)), `{name: x, algorithm: token_bucket, capacity: 1, rate: 60s, bucket_key: []}`, `{name: ` + strings.Repeat("x", 1024) + `, algorithm: sliding_window, capacity: 1, rate: 60s, bucket_key: []}`}},
		{"redirect", []string{`{to: x, status_code: 300}`, `{to: x, status_code: 399, headers: ` + headersOf(10) + `}`}, []string{`{to: x, status_code: 299}`, `{to: x, status_code: 400}`, `{to: x, headers: ` + headersOf(11) + `}`}},
		{"restrict-ips", []string{`{deny: ["2001:db8::/32"]}`, `{ip_policies: [ipp_1], enforce: false}`}, []string{`{allow: [everybody]}`, `{enforce: true}`}},
		{"set-vars", []string{`{vars: [{a: null}, {b: [1, {c: "d"}]}]}`}, []string{`{vars: [{a: 1, b: 2}]}`, `{vars: {a: 1}}`, `{vars: [{"a b": 1}]}`}},
		{"sse-find-replace", []string{`{replacements: [{from: x, to: y, field: data}]}`, `{replacements: [{from: x, field: retry}]}`}, []string{`{replacements: [{to: y}]}`, `{replacements: [{from: x, field: event}]}`}},
		{"terminate-tls", []string{`{min_version: "1.2", max_version: "1.2"}`, `{min_version: 1.3}`, `{mutual_tls_verification_strategy: request}`, `{mutual_tls_verification_strategy: require-any}`}, []string{`{min_version: "1.1"}`, `{server_private_key: "${vars.x}"}`}},
	} {
		i := slices.IndexFunc(language, func(a struct{ name, phases, config string }) bool { return a.name == action.name })
		phase := strings.Fields(language[i].phases)[0]
		for _, config := range action.fit {
			if _, err := codesOf(using(phase, action.name, config)); err != nil {
				t.Errorf("%s %s: %v", action.name, config, err)
			}
		}
		for _, config := range action.not {
			if codes, err := codesOf(using(phase, action.name, config)); err == nil || slices.ContainsFunc(codes, func(c postern.Code) bool { return c != postern.CodePolicyValueInvalid }) {
				t.Errorf("%.200s %s: %v", action.name, config, err)
			}
		}
	}
}

// Expressions may stand in all fields that the language says, and are looked at when the
// policy is loaded.
func TestFieldsWithExpressions(t *testing.T) {
	for name, fields := range map[string][]string{
		"add-headers":                {`headers: {x: "%s"}`},
		"basic-auth":                 {`credentials: ["ann:%s"]`, `credentials: ["%s"]`},
		"custom-response":            {`body: "%s"`, `headers: {x: "%s"}`},
		"forward-internal":           {`url: "%s"`},
		"http-request":               {`url: "%s"`, `url: "https://a.example/", query_params: [{key: a, value: "%s"}]`, `url: "https://a.example/", headers: {x: "%s"}`, `url: "https://a.example/", body: "%s"`, `url: "https://a.example/", retry_condition: "%s"`},
		"log":                        {`metadata: {x: "%s"}`, `metadata: {x: [{y: "%s"}]}`},
		"redirect":                   {`to: x, from: "%s"`, `to: "%s"`, `to: x, headers: {x: "%s"}`},
		"request-body-find-replace":  {`replacements: [{from: "%s"}]`, `replacements: [{from: x, to: "%s"}]`},
		"response-body-find-replace": {`replacements: [{from: "%s"}]`, `replacements: [{from: x, to: "%s"}]`},
		"restrict-ips":               {`allow: ["%s"]`, `deny: ["%s"]`},
		"set-vars":                   {`vars: [{x: "%s"}]`, `vars: [{x: {y: ["%s"]}}]`},
		"terminate-tls":              {`server_certificate: "%s", server_private_key: "${vars.x}"`, `server_certificate: "${vars.x}", server_private_key: "%s"`, `mutual_tls_certificate_authorities: ["%s"]`},
		"url-rewrite":                {`to: x, from: "%s"`, `to: "%s"`},
	} {
		i := slices.IndexFunc(language, func(a struct{ name, phases, config string }) bool { return a.name == name })
		phase := strings.Fields(language[i].phases)[0]
		for _, field := range fields {
			if codes, err := codesOf(using(phase, name, "{"+strings.ReplaceAll(field, "%s", "${conn.nothing}")+"}")); !slices.Equal(codes, []postern.Code{postern.CodePolicyExpression}) {
				t.Errorf("%s {%s}: %v", name, field, err)
			}
			if _, err := codesOf(using(phase, name, "{"+strings.ReplaceAll(field, "%s", "${conn.client_ip == 'x'}")+"}")); err != nil {
				t.Errorf("%s {%s}: %v", name, field, err)
			}
		}
	}
}
