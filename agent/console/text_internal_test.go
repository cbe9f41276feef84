package console

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/charmbracelet/x/ansi"
)

func TestHarmless(t *testing.T) {
	for text, want := range map[string]string{
		"/plain":                         "/plain",
		"/日本語/🙂é":                        "/日本語/🙂é",
		"\x1b[2Jx\x07":                   `\x1b[2Jx\x07`,
		"a\r\nb\tc":                      `a\r\nb c`,
		"\u009b31m":                      `\u{9b}31m`,
		"\x9b31m":                        `\x9b31m`,
		"evil\u202Etxt.exe":              `evil\u{202e}txt.exe`,
		"zero\u200Bwidth":                `zero\u{200b}width`,
		"a" + "\u0301\u0302\u0303":       "a\u0301\u0302\u0303",
		"a" + "\u0301\u0302\u0303\u0304": "a\u0301\u0302\u0303" + `\u{304}`,
		"\u0301":                         `\u{301}`,
		"\uFFFD":                         "\uFFFD",
	} {
		if got := harmless(text); got != want {
			t.Errorf("harmless(%q) = %q, want %q", text, got, want)
		}
	}
	if got := harmless(strings.Repeat("x", 1<<20)); len(got) != mostShown {
		t.Errorf("%d characters of a long text", len(got))
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"日本語", 5, "日本…"}, {"日本語", 4, "日…"}, {"abc", 0, ""}, {"abc", -1, ""}, {"abc", 1, "…"},
	} {
		if got := cut(c.text, c.width); got != c.want {
			t.Errorf("cut(%q, %d) = %q, want %q", c.text, c.width, got, c.want)
		}
	}
	if got := pad("日本", 6); got != "日本  " {
		t.Errorf("pad: %q", got)
	}
	if got := wrap("one two three four five", 9, 2); len(got) != 2 || got[0] != "one two" || got[1] != "three fo…" {
		t.Errorf("wrap: %q", got)
	}
}

// Nothing that a stranger sends moves the cursor, turns the text round, breaks a line
// or leaves its column: B2.
func FuzzHarmless(f *testing.F) {
	for _, seed := range []string{"/plain?a=b", "\x1b]0;title\x07", "\x1b[2J", "\x9b1m", "\u009d", "\u202e\u2066", "e\u0301\u0301", "🏳️‍🌈", "\xff\xfe", "日本", "\r\n", "\u2028"} {
		f.Add(seed, 12)
	}
	f.Fuzz(func(t *testing.T, text string, width int) {
		safe := harmless(text)
		if !utf8.ValidString(safe) {
			t.Fatalf("%q is no UTF-8", safe)
		}
		for _, r := range safe {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q holds %U", safe, r)
			}
		}
		if ansi.Strip(safe) != safe {
			t.Fatalf("%q holds a sequence", safe)
		}
		width %= 300
		if got := columns(cut(safe, width)); got > max(0, width) {
			t.Fatalf("cut to %d columns, %q has %d", width, cut(safe, width), got)
		}
		if width > 0 {
			if got := columns(pad(safe, width)); got != width {
				t.Fatalf("padded to %d columns, %q has %d", width, pad(safe, width), got)
			}
			for _, part := range wrap(safe, width, 3) {
				if columns(part) > width {
					t.Fatalf("wrapped to %d columns: %q", width, part)
				}
			}
		}
	})
}
