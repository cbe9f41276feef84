package expression_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern/server/policy/expression"
)

// What is wrong is said at its place, with what to write instead.
func TestProblems(t *testing.T) {
	for text, want := range map[string]string{
		`req.methd == "GET"`:                               "1, column 5: there is no req.methd; did you mean req.method?",
		`conn.client_ip.geo.location.county_code == "DE"`:  "column 29: there is no conn.client_ip.geo.location.county_code; did you mean conn.client_ip.geo.location.country_code?",
		`conn.client_ip.foo == 1`:                          "there are as, categories, geo",
		"true &&\n  req.foo == 1":                          "line 2, column 7: there is no req.foo",
		`has(req.heders)`:                                  "did you mean req.headers?",
		`rek.method == "a"`:                                "column 1: there is no rek; did you mean req?",
		`req.method == GET`:                                "column 15: there is no GET; a text is written in quotes, 'GET'",
		`res.status_code == 200`:                           "there is no res in on_http_request yet; it is there from on_http_response on",
		`message.data == ""`:                               "from on_event_stream_message on",
		`hasResHeader("a")`:                                "hasResHeader cannot be used in on_http_request: there is no response yet",
		`time == ""`:                                       "time has one field, time.now",
		`hasReqHeader == true`:                             "hasReqHeader is a function; write parentheses behind it",
		`hasReqHeader(1)`:                                  "hasReqHeader takes one name in quotes, such as hasReqHeader('x-name')",
		`getReqHeader()[0] == ""`:                          "getReqHeader takes one name",
		`secrets.get("a") == ""`:                           "secrets.get takes a vault and a name",
		`secrets.get("a", 1) == ""`:                        "secrets.get cannot be called with scope, string, int",
		`getReqHeadr("a") == []`:                           "column 1: there is no function getReqHeadr; did you mean getReqHeader?",
		`"a".startWith("b")`:                               "column 5: there is no function startWith; did you mean startsWith?",
		`hash.md6("a") == ""`:                              "column 6: there is no function hash.md6; did you mean hash.md5?",
		`hsh.md5("a") == ""`:                               "did you mean hash?",
		`frobnicate(1)`:                                    "docs/policy-expressions.md lists",
		`req.headers["a"] == "b"`:                          "column 18: == cannot be used with list(string), string; this is a list of texts: write [0] behind it",
		`req.content_length > "5"`:                         "write the number without quotes",
		`"x" + 1 == "x1"`:                                  "write string(value) for what is no text",
		`conn.ts.start > "2026-01-01"`:                     "write timestamp(text)",
		`req.method in "GET"`:                              "in takes a list or a map",
		`req["method"] == "GET"`:                           "a field is written behind a dot",
		`!req.method`:                                      "! cannot be used with string; compare it with something",
		`req.method && true`:                               "column 5: what stands here is neither true nor false",
		`req.method.foo == ""`:                             "what stands before the dot has no fields",
		`req.headers.user-agent == "x"`:                    "column 18: a name with a hyphen stands in brackets and quotes, as in req.headers['user-agent']",
		`req.cookies["a"][0].valu == ""`:                   "there is no field valu; did you mean value?",
		`req.cookies["a"][0].frobnicate == ""`:             "there is no field frobnicate",
		`"a".matches("(")`:                                 "column 13: the regular expression is not valid in RE2",
		`"a".matches("((a{1,100}){1,100})")`:               "the regular expression is",
		`"a".matches("` + strings.Repeat("a", 1001) + `")`: "has 1001 bytes, and may have 1000",
		`{b"a": 1} == {}`:                                  "column 2: a key of a map is a text, a whole number or a boolean",
		`{bytes("a"): 1} == {}`:                            "a key of a map is a text",
		`[{vars.n: 1}] == []`:                              "write string(key)",
		`has(1)`:                                           "has takes a field",
		`Foo{a: 1} == 1`:                                   "objects cannot be made here",
		`google.protobuf.Value{} == 1`:                     "objects cannot be made here",
		`[1].all(req, req > 0)`:                            "the name req of this loop is that of something else",
		`[1].all(hash, hash > 0)`:                          "the name hash of this loop is that of something else",
		`[1].map(x, y) == []`:                              "there is no y",
		`[1].all(x, x > 0) && x == 1`:                      "there is no x",
		`req.method = "GET"`:                               "column 12: the expression cannot be read from here on; values are compared with ==",
		`req.method == 'GET`:                               "this text has no quote that ends it",
		`req.method == "GET" and true`:                     "write && for and",
		`true or true`:                                     "write || for or",
		`req.`:                                             "something is missing at its end",
		`${req.method} == "GET"`:                           "${ } stands in what actions are told",
		`req.method`:                                       "must be true or false, and this gives string",
		`req`:                                              "this gives an object",
		`1`:                                                "this gives int",
		``:                                                 "the expression is empty",
		" \n ":                                             "the expression is empty",
		"\xff":                                             "no UTF-8 text",
		"'\x00' == ''":                                     "no UTF-8 text",
		strings.Repeat("(", 100):                           "",
		strings.Repeat("(", 60) + "true" + strings.Repeat(")", 60): "nested too deep",
		strings.Repeat(" ", 8200) + "true":                         "8,192 characters are the most",
		"[" + strings.Repeat("1,", 2500) + "1] == []":              "split it in several",
		`@scope == 1`:           "",
		`conn.@client_ip == ""`: "",
	} {
		_, problem := expression.Compile(expression.Request, text)
		if problem == nil || !strings.Contains(problem.String(), want) {
			t.Errorf("%.60s: %v, not %s", text, problem, want)
		}
	}
}

// Each phase sees what has come by then.
func TestPhases(t *testing.T) {
	for text, first := range map[string]expression.Phase{
		`conn.client_port > 0`: expression.Connect, `endpoint.port > 0`: expression.Connect, `time.now != ""`: expression.Connect,
		`vars.a == 1 && actions.b == 1`: expression.Connect, `secrets.get("a", "b") != ""`: expression.Connect,
		`req.method == ""`: expression.Request, `hasReqHeader("a")`: expression.Request, `hasQueryParam("a")`: expression.Request,
		`res.status_code == 1`: expression.Response, `hasResCookie("a")`: expression.Response, `message.data == ""`: expression.Message,
	} {
		for p := expression.Connect; p <= expression.Message; p++ {
			_, problem := expression.Compile(p, text)
			if (problem == nil) != (p >= first) {
				t.Errorf("%s in %s: %v", text, p, problem)
			}
		}
	}
	if _, problem := expression.Compile(9, "true"); problem == nil {
		t.Error("a phase that there is not")
	}
}

// An expression with hundreds of mistakes is refused for the first of them, and no work is
// done for all the others, which would make a text of some kilobytes take half a second.
func TestManyMistakesTakeNoLongerThanOne(t *testing.T) {
	text := strings.Repeat("has(req.url)||", 550) + "true"
	var problem *expression.Problem
	most := testing.AllocsPerRun(1, func() { _, problem = expression.Compile(expression.Request, text) })
	if problem == nil || most > 100_000 {
		t.Errorf("%v, after %v allocations", problem, most)
	}
}
