package nearest_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern/internal/nearest"
)

func TestOf(t *testing.T) {
	keys := []string{"basic_auth", "addr", "proto", "metadata", "auth", "inspect", "html", "text"}
	for name, want := range map[string]string{
		"basic_auth": "basic_auth", "basic_atuh": "basic_auth", "basicAuth": "basic_auth", "BASIC_AUTH": "basic_auth",
		"adr": "addr", "porto": "proto", "metdata": "metadata", "insepct": "inspect", "htm": "html", "hmtl": "html",
		"": "", "zebra": "", "x": "", strings.Repeat("basic_auth", 7): "",
	} {
		if got := nearest.Of(name, keys); got != want {
			t.Errorf("%q is taken for %q, want %q", name, got, want)
		}
	}
	for _, candidates := range [][]string{{"cat", "bat"}, {"bat", "cat"}} {
		if got := nearest.Of("rat", candidates); got != "bat" {
			t.Errorf("of %q it is %q", candidates, got)
		}
	}
	if got := nearest.Of("a", []string{strings.Repeat("a", 1<<20), "b"}); got != "b" {
		t.Errorf("a long candidate: %.10q", got)
	}
}

func FuzzOf(f *testing.F) {
	f.Add("basic_atuh", "basic_auth")
	f.Fuzz(func(t *testing.T, name, candidate string) {
		if got := nearest.Of(name, []string{candidate}); got != "" && got != candidate {
			t.Errorf("%q is no candidate", got)
		}
	})
}
