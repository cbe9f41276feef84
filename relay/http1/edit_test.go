package http1_test

import (
	"slices"
	"testing"

	"github.com/postern-dev/postern/relay/http1"
)

// A copy is edited without the original, and what Connection named before cannot reach
// what is added afterwards.
func TestHeadsAreEdited(t *testing.T) {
	head := "GET /a HTTP/1.1\r\nX-Hop: 1\r\n" + host + "Connection: x-hop, X-New\r\nCookie: a\r\nDrop-Me: 1\r\ncookie: b\r\nTE: trailers\r\nPragma: no-cache\r\n\r\n"
	var r, edited http1.Request
	if err := r.Parse([]byte(head), limits); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the copy's memory is used again
		edited.Copy(&r)
		edited.SpellPragma()
		edited.Settle(func(l *http1.Line) bool { return string(l.Name) != "Drop-Me" })
		edited.Remove("COOKIE")
		edited.Target = []byte("/b")
		for _, add := range []struct {
			name, value string
			fine        bool
		}{
			{"X-New", "kept", true}, {"User-Agent", "a", true}, {"X-Hop", "2", true},
			{"Content-Length", "5", false}, {"Transfer-Encoding", "chunked", false}, {"Connection", "close", false}, {"Host", "b", false},
			{"", "a", false}, {"A B", "a", false}, {"A", "b\r\nc", false},
		} {
			if edited.Add(add.name, add.value) != add.fine {
				t.Errorf("adding %q %q: not %v", add.name, add.value, add.fine)
			}
		}
		want := "GET /b HTTP/1.1\r\n" + host + "Pragma: no-cache\r\nCache-Control: no-cache\r\nX-New: kept\r\nUser-Agent: a\r\nX-Hop: 2\r\nTE: trailers\r\n\r\n"
		if got := string(edited.Append(nil, http1.RequestEdit{})); got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
		if !edited.Has(http1.UserAgent) || edited.Has(http1.Connection) || r.Has(http1.UserAgent) {
			t.Error("Has tells of the wrong lines")
		}
	}
	want := "GET /a HTTP/1.1\r\n" + host + "Cookie: a\r\nDrop-Me: 1\r\ncookie: b\r\nPragma: no-cache\r\nTE: trailers\r\n\r\n"
	if got := string(r.Append(nil, http1.RequestEdit{})); got != want {
		t.Errorf("the original is %q, want %q", got, want)
	}
}

func TestValidTargets(t *testing.T) {
	for target, want := range map[string]bool{
		"/": true, "/a?b=%zz": true, "//x": true, "/\xc3\xa9": true,
		"": false, "a": false, "*": false, "http://a/": false, "/a b": false, "/a#b": false, "/%zz": false, "/\r\nX: y": false,
	} {
		if http1.ValidTarget(target) != want {
			t.Errorf("%q: not %v", target, want)
		}
	}
}

// The sink of a chunked body gets its bytes once, however they come.
func TestChunksGoIntoTheSink(t *testing.T) {
	const text = "5;x=y\r\nhello\r\n1\r\n \r\n5\r\nworld\r\n0\r\nX: y\r\n\r\nnext"
	for _, piece := range []int{1, 2, 3, 7, 100} {
		var got []byte
		c := http1.Chunks{Sink: func(b []byte) { got = append(got, b...) }}
		var held []byte
		done := false
		for part := range slices.Chunk([]byte(text), piece) {
			held = append(held, part...)
			if done {
				break
			}
			_, taken, over, problem := c.Feed(held)
			if problem != nil {
				t.Fatal(problem)
			}
			held, done = held[taken:], over
		}
		if string(got) != "hello world" || !done {
			t.Errorf("in pieces of %d: %q, %v", piece, got, done)
		}
	}
}
