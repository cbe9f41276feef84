package body

import (
	"slices"
	"strings"
)

// Coding is a content coding by its name (RFC 9110 §8.4.1).
type Coding string

// The codings that can be undone and, but for Compress, applied.
const (
	Identity Coding = "identity"
	Gzip     Coding = "gzip"
	Deflate  Coding = "deflate"
	Brotli   Coding = "br"       // RFC 7932
	Zstd     Coding = "zstd"     // RFC 8878
	Compress Coding = "compress" // of UNIX, 1984; no client asks for it, and it is never chosen
)

// mostCodings bounds how often a body may be encoded, one coding over the other.
const mostCodings = 2

// codingOf reads a name; some have an old one.
func codingOf(name string) Coding {
	c := Coding(strings.ToLower(strings.TrimSpace(name)))
	return Coding(strings.TrimPrefix(string(c), "x-"))
}

// codingsOf are those of a body, in the order applied. ok is false where one of them
// cannot be undone.
func codingsOf(h Header) (codings []Coding, ok bool) {
	for _, line := range h.Values("Content-Encoding") {
		for name := range strings.SplitSeq(line, ",") {
			c := codingOf(name)
			if c == "" || c == Identity {
				continue
			}
			codings = append(codings, c)
		}
	}
	known := []Coding{Gzip, Deflate, Brotli, Zstd}
	return codings, len(codings) <= mostCodings &&
		!slices.ContainsFunc(codings, func(c Coding) bool { return !slices.Contains(known, c) })
}

// Header is a message's header. Names need not be canonical.
type Header interface {
	Get(name string) string
	Values(name string) []string
	Set(name, value string)
	Add(name, value string)
	Remove(name string)
}

// Transformed takes off a header what is no longer true of a changed body: digests of it,
// parts that could be asked for. A strong validator becomes a weak one (RFC 9110 §8.8.1).
func Transformed(h Header) {
	for _, name := range []string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest", "Accept-Ranges"} {
		if len(h.Values(name)) > 0 {
			h.Remove(name)
		}
	}
	weaken(h)
}

func weaken(h Header) {
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h.Set("Etag", "W/"+tag)
	}
}
