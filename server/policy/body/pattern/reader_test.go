package pattern_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/postern-dev/postern/server/policy/body/pattern"
)

// pieces reads a text in pieces of the sizes given, again and again.
type pieces struct {
	text  string
	sizes []byte
	n     int
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.text == "" {
		return 0, io.EOF
	}
	n := 1
	if len(p.sizes) > 0 {
		n = int(p.sizes[p.n%len(p.sizes)])%17 + 1
		p.n++
	}
	n = copy(b, p.text[:min(n, len(p.text))])
	p.text = p.text[n:]
	return n, nil
}

func replaced(t testing.TB, from, to string, source io.Reader) (string, error) {
	t.Helper()
	p, err := pattern.Compile(from)
	if err != nil {
		t.Fatalf("%s: %v", from, err)
	}
	all, err := io.ReadAll(pattern.NewReader(source, p, to))
	return string(all), err
}

// check compares with what package regexp does with the whole text.
func check(t testing.TB, from, to, text string, sizes []byte) {
	t.Helper()
	want := regexp.MustCompile(from).ReplaceAllString(text, to)
	if got, err := replaced(t, from, to, &pieces{text: text, sizes: sizes}); got != want || err != nil {
		t.Errorf("%q → %q in %.300q, sizes %v: got %.300q, want %.300q, %v", from, to, text, sizes, got, want, err)
	}
}

var patterns = []string{
	`foo`, `fo+`, `fo+?`, `(f)(o*)`, `a|ab`, `(a|ab)(c|bcd)(d*)`, `a*`, `a*?`, ``, `b*|a`, `\bfoo\b`, `\Bo\B`, `^a`, `a$`, `(?m)^a`, `(?m)o$`,
	`(?m)^`, `(?m)$`, `^`, `$`, `\Aa|b\z`, `(?s).`, `.`, `[^b]`, `a[^b]*\z|a`, `a[^b]*(?m:$)|a`, `(?i)foo`, `(?i)k`, `é+`, `[é-ÿ]`, `\x{FFFD}`,
	`"password":\s*"([^"]*)"`, `(?s)<b>.*?</b>`, `(?s)<b>.*</b>`, `(?P<x>f+)(?P<y>o+)?`, `(a{2,3}){2}`, `a(?:.*b)?`, `x*y*$`, `(|a)+`, `(a*)+`, `(a*)*`,
}

// However a stream is cut, what comes out is what ReplaceAll makes of the whole.
func TestStreamsAreReplacedAsWholeTextsAre(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "b", "f", "o", "foo", "\n", " ", "<b>", "</b>", "é", "\xc3", "\xa9", "\xff", "K", "\u212a", `"password": "`, `"`, "\ufffd", "ab", "c", "d"}
	templates := []string{"", "X", "[$0]", "$1-$2", "${x}y$y", "$$", "$1x"}
	for range 4000 {
		var text strings.Builder
		for range random.IntN(40) {
			text.WriteString(words[random.IntN(len(words))])
		}
		sizes := make([]byte, random.IntN(4))
		for i := range sizes {
			sizes[i] = byte(random.Uint32())
		}
		check(t, patterns[random.IntN(len(patterns))], templates[random.IntN(len(templates))], text.String(), sizes)
		if t.Failed() {
			return
		}
	}
}

func FuzzReader(f *testing.F) {
	for i, from := range patterns {
		f.Add(from, "[$1]", "foo ab\nba aab<b>x</b> é\xff", []byte{byte(i), 3})
	}
	f.Fuzz(func(t *testing.T, from, to, text string, sizes []byte) {
		if _, err := pattern.Compile(from); err != nil || len(text) > 512 {
			return
		}
		check(t, from, to, text, sizes)
	})
}

// Matches are found wherever they lie, up to the window's length.
func TestMatchesSpanReads(t *testing.T) {
	inside := strings.Repeat("é ", (pattern.Window-7)/3)
	text := strings.Repeat("some text ", 20_000) + "<b>" + inside + "</b>" + strings.Repeat("more<b>", 30_000) + "</b>"
	for _, source := range []io.Reader{strings.NewReader(text), iotest.OneByteReader(strings.NewReader(text)), iotest.DataErrReader(strings.NewReader(text))} {
		got, err := replaced(t, `(?s)<b>(.*?)</b>`, "[]", source)
		if want := strings.Repeat("some text ", 20_000) + "[]" + strings.Repeat("more<b>", 30_000) + "</b>"; err != nil || len(got) >= len(want) || !strings.HasPrefix(got, want[:200_000]) {
			t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
		}
	}
	// A match that would be longer is none; a shorter one that would do is taken.
	long := strings.Repeat("a", pattern.Window+10)
	if got, err := replaced(t, `<[^>]*>`, "", strings.NewReader("<"+long+">")); err != nil || got != "<"+long+">" {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if got, err := replaced(t, `a+`, "x", strings.NewReader(long)); err != nil || got != "xx" {
		t.Errorf("%.20q, %v", got, err)
	}
}

// What cannot be part of a match any more goes on at once.
func TestNothingIsWithheldWithoutNeed(t *testing.T) {
	for _, test := range []struct{ from, sent, want string }{
		{`foo`, "one two ", "one two "},
		{`foo`, "one fo", "one "},
		{`foo`, "one foo", "one X"},
		{`foo+`, "one foo", "one "},
		{`\bfoo\b`, "one foo", "one "},
		{`"[^"]*"`, `{"a":"b`, `{X:`},
		{`(?i)foo`, "one two", "one two"},
		{`(?i)foo`, "one f", "one "},
		{`[0-9]{4}`, "é 12", "é "},
	} {
		p, err := pattern.Compile(test.from)
		if err != nil {
			t.Fatal(err)
		}
		in, out := io.Pipe()
		r := pattern.NewReader(in, p, "X")
		go func() { _, _ = out.Write([]byte(test.sent)) }()
		got := make([]byte, len(test.want))
		if _, err := io.ReadFull(r, got); err != nil || string(got) != test.want {
			t.Errorf("%s in %q: got %q, want %q, %v", test.from, test.sent, got, test.want, err)
		}
		out.Close()
	}
}

// zeros is a long text that is mostly the same.
type endless struct{ line string }

func (e endless) Read(b []byte) (int, error) {
	n := 0
	for n < len(b) {
		n += copy(b[n:], e.line)
	}
	return n, nil
}

// A body of 200 MB takes no more memory than a window and two reads.
func TestMemoryIsBounded(t *testing.T) {
	const size = 200 << 20
	p, err := pattern.Compile(`secret=([a-z]+)`)
	if err != nil {
		t.Fatal(err)
	}
	r := pattern.NewReader(io.LimitReader(endless{"some words, and then secret=abcdef with more words\n"}, size), p, "secret=…")
	most := peak(t, r)
	if most > 2<<20 {
		t.Errorf("the heap grew by %d bytes", most)
	}
}

// peak reads r to its end and gives the most by which the heap has grown meanwhile.
func peak(t *testing.T, r io.Reader) (most int64) {
	t.Helper()
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	buffer := make([]byte, 32<<10)
	total, next := 0, 0
	for {
		n, err := r.Read(buffer)
		if total += n; total >= next {
			most = max(most, heap()-before)
			next += 16 << 20
		}
		if err == io.EOF {
			return most
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A pattern that looks through the same text again and again is stopped.
func TestWorkIsBounded(t *testing.T) {
	started := time.Now()
	_, err := replaced(t, `(?s)a(?:.*b)?`, "", io.LimitReader(endless{"a"}, 4<<20))
	if !errors.Is(err, pattern.ErrWork) {
		t.Errorf("%v after %s", err, time.Since(started))
	}
}

func TestInsertionsAreBounded(t *testing.T) {
	if _, err := replaced(t, `a+`, strings.Repeat("$0", 100), io.LimitReader(endless{"a"}, pattern.Window)); !errors.Is(err, pattern.ErrInserted) {
		t.Error(err)
	}
}

func TestErrorsOfTheSourceArePassedOn(t *testing.T) {
	broken := errors.New("broken")
	got, err := replaced(t, `foo`, "bar", io.MultiReader(strings.NewReader("a foo and"), iotest.ErrReader(broken)))
	if got != "a bar and" || !errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestPatternsAreChecked(t *testing.T) {
	for from, want := range map[string]string{
		`(`:                  "missing closing )",
		`(?=a)`:              "invalid or unsupported Perl syntax",
		`[a-z]{1000}[b]{90}`: "at most 1000",
		`a{1001}`:            "invalid repeat count",
	} {
		if _, err := pattern.Compile(from); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", from, err)
		}
	}
}

func BenchmarkReader(b *testing.B) {
	for name, from := range map[string]string{"literal": `http://internal\.example`, "class": `[0-9]{3}-[0-9]{4}`, "words": `(?i)\b(secret|password)\b`} {
		b.Run(name, func(b *testing.B) {
			p, err := pattern.Compile(from)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(1 << 20)
			for b.Loop() {
				source := io.LimitReader(endless{`{"name": "somebody", "phone": "555-1234", "address": "some street"}` + "\n"}, 1<<20)
				if _, err := io.Copy(io.Discard, pattern.NewReader(source, p, "x")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
