package body_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/postern-dev/postern/server/policy/body"
)

var text = strings.Repeat("some text that is long enough to be worth it. ", 40)

// answer is one that is compressed.
func answer(lines ...string) body.Answer {
	h := headerOf(lines...)
	if h.Get("Content-Type") == "" {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
	return body.Answer{Method: "GET", Accept: []string{"gzip"}, Status: 200, Header: h, Length: int64(len(text))}
}

func TestAnswersAreCompressed(t *testing.T) {
	encoders := body.NewEncoders(body.NewBudget(8 << 20))
	a := answer("ETag", `"abc"`, "Accept-Ranges", "bytes", "Vary", "Origin", "X-Other", "stays")
	compressed := encoders.Compress(a, body.DefaultOffer(), strings.NewReader(text))
	if compressed == nil {
		t.Fatal("it is not compressed")
	}
	defer compressed.Close()
	z, err := gzip.NewReader(compressed)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); string(got) != text || err != nil {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	h := a.Header.(header)
	for name, want := range map[string]string{"Content-Encoding": "gzip", "Etag": `W/"abc"`, "Accept-Ranges": "", "Vary": "Origin, Accept-Encoding", "X-Other": "stays"} {
		if got := strings.Join(h.Values(name), ", "); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestWhatIsNotCompressed(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*body.Answer)
		vary   bool
	}{
		"a stream of events":     {func(a *body.Answer) { a.Header.Set("Content-Type", "text/event-stream"); a.Length = -1 }, false},
		"an encoded body":        {func(a *body.Answer) { a.Header.Set("Content-Encoding", "br") }, false},
		"an unknown coding":      {func(a *body.Answer) { a.Header.Set("Content-Encoding", "aes128gcm") }, false},
		"a part":                 {func(a *body.Answer) { a.Status = 206 }, false},
		"an unsatisfied range":   {func(a *body.Answer) { a.Status = 416; a.Header.Set("Content-Range", "bytes */47") }, false},
		"nothing":                {func(a *body.Answer) { a.Status = 204; a.Length = -1 }, false},
		"a switch":               {func(a *body.Answer) { a.Status = 101; a.Length = -1 }, false},
		"no-transform":           {func(a *body.Answer) { a.Header.Set("Cache-Control", "public, No-Transform") }, false},
		"asked not to transform": {func(a *body.Answer) { a.Frozen = true }, false},
		"an image":               {func(a *body.Answer) { a.Header.Set("Content-Type", "image/png") }, false},
		"gRPC":                   {func(a *body.Answer) { a.Header.Set("Content-Type", "application/grpc") }, false},
		"an archive":             {func(a *body.Answer) { a.Header.Set("Content-Type", "application/zip") }, false},
		"no type":                {func(a *body.Answer) { a.Header.Remove("Content-Type") }, false},
		"a short body":           {func(a *body.Answer) { a.Length = 1023 }, false},
		"a digest":               {func(a *body.Answer) { a.Header.Set("Repr-Digest", "sha-256=:AA==:") }, false},
		"no Accept-Encoding":     {func(a *body.Answer) { a.Accept = nil }, true},
		"another coding":         {func(a *body.Answer) { a.Accept = []string{"zstd"} }, true},
		"compress":               {func(a *body.Answer) { a.Accept = []string{"compress"} }, true},
		"not modified":           {func(a *body.Answer) { a.Status, a.Length = 304, 0 }, true},
	} {
		a := answer()
		test.change(&a)
		encoders := body.NewEncoders(body.NewBudget(8 << 20))
		if compressed := encoders.Compress(a, body.DefaultOffer(), strings.NewReader(text)); compressed != nil {
			t.Errorf("%s is compressed", name)
		}
		if vary := a.Header.Get("Vary") == "Accept-Encoding"; vary != test.vary {
			t.Errorf("%s: Vary %q", name, a.Header.Get("Vary"))
		}
	}
}

func TestKindsThatShrink(t *testing.T) {
	for kind, want := range map[string]bool{
		"text/html": true, "Text/HTML; charset=UTF-8": true, "application/json": true, "application/problem+json": true, "image/svg+xml": true,
		"application/wasm": true, "text/event-stream": false, "Text/Event-Stream; charset=utf-8": false, "video/mp4": false, "application/octet-stream": false,
		"font/woff2": false, "": false, ";": false, "text/html; charset": true,
	} {
		a := answer()
		a.Header.(header).Header["Content-Type"] = []string{kind}
		compressed := body.NewEncoders(body.NewBudget(8<<20)).Compress(a, body.DefaultOffer(), strings.NewReader(text))
		if got := compressed != nil; got != want {
			t.Errorf("%q: %v", kind, got)
		}
	}
}

// The validator of an answer is the same for GET, HEAD and 304, or caches would not know
// what they have.
func TestValidatorsAgree(t *testing.T) {
	encoders := body.NewEncoders(body.NewBudget(8 << 20))
	for _, a := range []body.Answer{{Method: "GET", Status: 200}, {Method: "HEAD", Status: 200}, {Method: "GET", Status: 304}} {
		full := answer("ETag", `"abc"`)
		full.Method, full.Status = a.Method, a.Status
		if compressed := encoders.Compress(full, body.DefaultOffer(), http.NoBody); compressed != nil {
			compressed.Close()
		}
		if tag := full.Header.Get("Etag"); tag != `W/"abc"` {
			t.Errorf("%s %d: %s", a.Method, a.Status, tag)
		}
	}
}

// The answer to HEAD has no length any more, for that was another body's.
func TestLengthsOfHeadAreUnknown(t *testing.T) {
	a := answer()
	a.Method, a.Length = "HEAD", 0
	encoders := body.NewEncoders(body.NewBudget(0))
	if compressed := encoders.Compress(a, body.DefaultOffer(), strings.NewReader(text)); compressed != http.NoBody || a.Header.Get("Content-Encoding") != "" {
		t.Errorf("%v, %v", compressed, a.Header)
	}
	a.Accept = nil
	if compressed := encoders.Compress(a, body.DefaultOffer(), strings.NewReader(text)); compressed != nil {
		t.Error("it is the body's")
	}
}

// Where the memory for encoders is used up, answers pass as they are.
func TestAnswersPassWithoutMemory(t *testing.T) {
	encoders := body.NewEncoders(body.NewBudget(2 << 20))
	first := encoders.Compress(answer(), body.DefaultOffer(), strings.NewReader(text))
	a := answer("ETag", `"abc"`)
	if second := encoders.Compress(a, body.DefaultOffer(), strings.NewReader(text)); first == nil || second != nil {
		t.Error("the budget does not hold")
	}
	if a.Header.Get("Etag") != `"abc"` || a.Header.Get("Content-Encoding") != "" {
		t.Errorf("%v", a.Header)
	}
	first.Close()
	if third := encoders.Compress(answer(), body.DefaultOffer(), strings.NewReader(text)); third == nil {
		t.Error("what was closed is not given back")
	}
}
