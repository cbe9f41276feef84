package postern_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
)

func TestClip(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"", ""}, {"12345", "12345"}, {"123456", "12345…"}, {"1234ü", "1234…"}, {"123ü", "123ü"}, {"12ü45", "12ü4…"}, {strings.Repeat("日", 1000), "日…"},
	} {
		if got := postern.Clip(c.text, 5); got != c.want {
			t.Errorf("%q is clipped to %q, want %q", c.text, got, c.want)
		}
	}
}
