package body_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/body"
	"github.com/postern-dev/postern/server/policy/body/pattern"
)

func replacements(t *testing.T, pairs ...string) (all []body.Replacement) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		p, err := pattern.Compile(pairs[i])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, body.Replacement{From: p, To: pairs[i+1]})
	}
	return all
}

// Replacements work on what those before have made, and lengths of short bodies are known.
func TestBodiesAreReplaced(t *testing.T) {
	h := headerOf("ETag", `"abc"`, "Content-Digest", "x", "Content-Type", "text/html")
	const sent = "call 555-1234 now"
	changed, err := body.Replace(h, strings.NewReader(sent), int64(len(sent)), replacements(t, `(\d{3})-\d{4}`, "$1-0000", `0000`, "XXXX"), body.NewBudget(0))
	if err != nil {
		t.Fatal(err)
	}
	defer changed.Close()
	if got, err := io.ReadAll(changed); string(got) != "call 555-XXXX now" || err != nil || changed.Length != int64(len(got)) {
		t.Errorf("%q, length %d, %v", got, changed.Length, err)
	}
	if h.Get("Etag") != `W/"abc"` || h.Get("Content-Digest") != "" || h.Get("Content-Type") != "text/html" {
		t.Errorf("%v", h)
	}
}

func TestEncodedBodiesAreReplaced(t *testing.T) {
	long := strings.Repeat("a secret, and more. ", 10_000)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = io.WriteString(z, long)
	_ = z.Close()
	h := headerOf("Content-Encoding", "identity, X-GZip")
	budget := body.NewBudget(8 << 20)
	changed, err := body.Replace(h, &packed, int64(packed.Len()), replacements(t, "secret", "******"), budget)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(changed)
	if want := strings.ReplaceAll(long, "secret", "******"); string(got) != want || err != nil {
		t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
	}
	if h.Get("Content-Encoding") != "" || changed.Length != -1 {
		t.Errorf("%v, length %d", h, changed.Length)
	}
}

// What cannot be searched does not pass.
func TestUnknownCodingsAreRefused(t *testing.T) {
	for _, coding := range []string{"compress", "dcz", "gzip, gzip, gzip", "aes128gcm"} {
		var coded *postern.Error
		_, err := body.Replace(headerOf("Content-Encoding", coding), strings.NewReader("x"), 1, nil, body.NewBudget(0))
		if !errors.As(err, &coded) || coded.Code != postern.CodeBodyUndecodable {
			t.Errorf("%s: %v", coding, err)
		}
	}
}

func TestLaboriousPatternsHaveACode(t *testing.T) {
	long := strings.NewReader(strings.Repeat("a", 4<<20))
	changed, err := body.Replace(headerOf(), long, -1, replacements(t, `(?s)a(?:.*b)?`, ""), body.NewBudget(0))
	if err != nil {
		t.Fatal(err)
	}
	var coded *postern.Error
	if _, err := io.Copy(io.Discard, changed); !errors.As(err, &coded) || coded.Code != postern.CodeBodyUnchangeable {
		t.Error(err)
	}
}
