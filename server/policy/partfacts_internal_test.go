package policy

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

// Whatever a strict reader finds in a line of cookies rules find, too, but for blanks around it.
func FuzzSentCookies(f *testing.F) {
	for _, seed := range []string{"", "a=1; b=2", `a="1"; a=2;b`, ";;=x; =", "a b=c; d", `a="b; c=d"`, "a=\x80\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		sent, _ := sentCookies(line)
		strict, err := http.ParseCookie(line)
		if err != nil {
			return
		}
		for _, c := range strict {
			if !slices.ContainsFunc(sent, func(s *http.Cookie) bool {
				return s.Name == c.Name && strings.TrimSpace(s.Value) == strings.TrimSpace(c.Value)
			}) {
				t.Errorf("of %q rules do not see %q=%q: %v", line, c.Name, c.Value, sent)
			}
		}
	})
}

// A path has one spelling, which says the same as the path.
func FuzzPlainPath(f *testing.F) {
	for _, seed := range []string{"/", "/a b", "/%61", "/é\x00?#;", "/a(b)@c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		text := plainPath(path)
		if decoded, err := url.PathUnescape(text); err != nil || decoded != path || strings.ContainsAny(text, "?# ") {
			t.Errorf("%q is spelled %q, which is %q, %v", path, text, decoded, err)
		}
	})
}

// A length that is not known is absent: it is less than nothing otherwise, and fits any limit.
func TestUnknownLengthIsAbsent(t *testing.T) {
	if length := headFacts(kept{length: -1}, "content_length"); length != nil {
		t.Errorf("%v", length)
	}
	if length := headFacts(kept{}, "content_length"); length != int64(0) {
		t.Errorf("no body: %v", length)
	}
}

// An endpoint's port is the one that visitors dial, whether its URL shows it or not.
func TestEndpointPort(t *testing.T) {
	for public, want := range map[string]uint16{
		"https://app.example.com":      443,
		"https://app.example.com:8443": 8443,
		"http://app.example.com":       80,
		"tls://app.example.com":        443,
		"tcp://tcp.example.com:20001":  20001,
		"https://api.internal:8080":    8080,
	} {
		scheme, _, _ := strings.Cut(public, ":")
		e := Endpoint{URL: postern.URL{Scheme: postern.Scheme(scheme)}, Public: public}
		if got := e.port(); got != want {
			t.Errorf("%s: %d, not %d", public, got, want)
		}
	}
}
