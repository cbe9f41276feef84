package gate

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// What is read as a credential is written in one way only, but for the scheme's letters
// and the spaces behind it; and no value is read as one that others read as two.
func FuzzAuthorization(f *testing.F) {
	for _, seed := range []string{
		"", "Basic", "Basic ", "basic  YTpi", "Basic YTpi", "Basic YTpi, Bearer x", "Basic YTpi\n", "Basic YQ==", "Basic YTp=", "Bearer x", "Basic " + strings.Repeat("A", 2000),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		p, ok := parseBasic(value)
		if !ok {
			return
		}
		token := strings.TrimLeft(value[len("Basic "):], " ")
		if base64.StdEncoding.EncodeToString(p.pair) != token || !strings.EqualFold(value[:6], "basic ") {
			t.Errorf("%q is read as %q", value, p.pair)
		}
		if strings.Contains(p.username, ":") || !strings.HasPrefix(string(p.pair), p.username+":") {
			t.Errorf("%q has the name %q", value, p.username)
		}
		if ambiguous([]string{value}) {
			t.Errorf("%q is a credential and ambiguous", value)
		}
	})
}

// A line of cookies without ours is what a visitor sends who has no cookie of ours.
func TestCookiesAreTakenOut(t *testing.T) {
	const name = "__Host-postern-gate-0a1b2c3d"
	rapid.Check(t, func(t *rapid.T) {
		part := rapid.OneOf(rapid.StringMatching(`[!-:<-~]{0,12}`), rapid.Just("a="+name), rapid.Just(name+"x=1"), rapid.Just(`q="a b"`))
		theirs := rapid.SliceOfN(part, 0, 6).Filter(func(all []string) bool {
			return !slices.ContainsFunc(all, func(p string) bool { return p == name || strings.HasPrefix(p, name+"=") })
		}).Draw(t, "theirs")
		ours := rapid.SliceOfN(rapid.IntRange(0, len(theirs)), 1, 3).Draw(t, "ours at")
		with := slices.Clone(theirs)
		for _, at := range ours {
			with = slices.Insert(with, at, name+"=v")
		}
		want := strings.Join(theirs, "; ")
		if rest, same := withoutCookie(strings.Join(with, "; "), name); rest != want || same {
			t.Fatalf("%q gives %q, want %q", strings.Join(with, "; "), rest, want)
		}
		if rest, same := withoutCookie(want, name); rest != want || !same {
			t.Fatalf("%q gives %q", want, rest)
		}
	})
}

// No line makes the reader panic, and nothing of ours is left in it.
func FuzzCookies(f *testing.F) {
	const name = "__Host-postern-gate-0a1b2c3d"
	for _, seed := range []string{"", name, name + "=v", "a=1; " + name + "=v;b", ";;" + name + " =;", "a=" + name} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		rest, same := withoutCookie(line, name)
		if same && rest != line || len(rest) > len(line) {
			t.Errorf("%q gives %q", line, rest)
		}
		for part := range strings.SplitSeq(rest, ";") {
			if found, _, _ := strings.Cut(part, "="); trimSpace(found) == name {
				t.Errorf("%q gives %q", line, rest)
			}
		}
	})
}
