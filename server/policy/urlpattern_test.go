package policy_test

import (
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy"
	"github.com/postern-dev/postern/server/policy/geo"
	"github.com/postern-dev/postern/server/policy/trial"
)

// What a pattern and a URL of a visitor's take together is bounded: repetitions that are
// counted out, matches that all go through the rest of the URL, and texts that stand in
// the place of many.
func TestURLPatternsAreBounded(t *testing.T) {
	rule := func(from, to string) string {
		return "on_http_request: [{actions: [{type: url-rewrite, config: {from: '" + from + "', to: '" + to + "'}}]}]"
	}
	at := target(postern.HTTPS, false)
	if _, err := policy.Compile(rule(`(a?b?c?){1,400}Q`, "/"), at); err == nil || !strings.Contains(err.Error(), "steps") {
		t.Errorf("counted out: %v", err)
	}
	for name, test := range map[string]struct {
		from, to, path, says string
	}{
		"few":                  {"_", "-", strings.Repeat("a_", 1000), ""},
		"many":                 {"_", "-", strings.Repeat("a_", 1001), "more than 1000 times"},
		"that go to the end":   {"x*y|x", "-", strings.Repeat("x", 20_000), "more than"},
		"counted out, later":   {"(a?b?c?){1,${ \"400\" }}Q", "/", "a", "from has become"},
		"texts that grow":      {"^.*$", "/" + strings.Repeat("$0", 100), strings.Repeat("a", 2000), "64 KiB"},
		"a text for each":      {"_", strings.Repeat("b", 1000), strings.Repeat("a_", 80), "64 KiB"},
		"groups within bounds": {"^(https://[^/]*)/(a*)$", "$1/$2/$2", strings.Repeat("a", 2000), ""},
	} {
		program, err := policy.Compile(rule(test.from, test.to), at)
		if err != nil {
			t.Fatal(name, err)
		}
		got, err := trial.Run(t.Context(), program, at, &policy.World{}, trial.Case{Request: &trial.Request{URL: "https://app.example.com/" + test.path}})
		if err != nil {
			t.Fatal(name, err)
		}
		text := ""
		if failed := got.Steps[len(got.Steps)-1].Err; failed != nil {
			text = failed.Error()
		}
		if (text == "") != (test.says == "") || !strings.Contains(text, test.says) {
			t.Errorf("%s: %q", name, text)
		}
	}
}

// slowPlaces takes its time, in which expressions are worked out.
type slowPlaces struct{}

func (slowPlaces) Place(netip.Addr) (at, registered geo.Place) {
	time.Sleep(300 * time.Millisecond)
	return geo.Place{City: "Berlin"}, geo.Place{}
}

func (slowPlaces) System(netip.Addr) geo.System { return geo.System{} }

// The rules for one message have a time together, and those for its answer have their own.
func TestRulesHaveATimeTogether(t *testing.T) {
	const slow = `"conn.client_ip.geo.location.city.matches('^B')"`
	rules := func(n int) string {
		return "[{expressions: [" + strings.Repeat(slow+", ", n-1) + slow + "], actions: [{type: set-vars, config: {vars: [{a: b}]}}]}]"
	}
	at := target(postern.HTTPS, false)
	for text, decision := range map[string]string{
		"on_http_request: " + rules(2) + "\non_http_response: " + rules(2): "continue",
		"on_http_request: " + rules(3):                                     "fail",
	} {
		program, err := policy.Compile(text, at)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			got, err := trial.Run(t.Context(), program, at, &policy.World{Places: slowPlaces{}}, trial.Case{Request: &trial.Request{URL: "https://app.example.com/"}})
			if err != nil || got.Decision != decision {
				t.Errorf("%s: %+v, %v", text, got, err)
			}
		})
	}
}

// Patterns that would become a million instructions are refused before they become them:
// a text has room for a hundred, and others wait for it to be read.
func TestPatternsThatCountTooFarAreNotCompiled(t *testing.T) {
	endless := "(" + strings.Repeat("a?", 440) + "){1,1000}Q"
	for what, action := range map[string]string{
		"a URL's pattern":    "url-rewrite, config: {from: '" + endless + "', to: /}",
		"a body's pattern":   "request-body-find-replace, config: {replacements: [{from: '" + endless + "', to: x}]}",
		"an expression":      "set-vars, config: {vars: [{a: \"${'x'.matches('" + endless + "')}\"}]}",
		"an event's pattern": "sse-find-replace, config: {replacements: [{field: data, from: '" + endless + "', to: x}]}",
	} {
		phase := "on_http_request"
		if strings.HasPrefix(action, "sse") {
			phase = "on_event_stream_message"
		}
		_, err := policy.Compile(phase+": [{actions: [{type: "+action+"}]}]", target(postern.HTTPS, false))
		if err == nil || !strings.Contains(err.Error(), "repetitions count too far") || strings.Contains(err.Error(), "883") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
