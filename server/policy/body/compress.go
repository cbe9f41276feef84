package body

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
)

// leastCompressed is the shortest body that is worth it, in bytes: what fits into one
// packet is not faster for being smaller.
const leastCompressed = 1 << 10

// Offer is the codings that a policy allows for answers, the preferred first.
type Offer []Coding

// DefaultOffer is what is offered where nothing is said.
func DefaultOffer() Offer { return Offer{Gzip, Deflate, Brotli, Compress} }

// ReadOffer reads the names of codings. Its errors are sentences for who wrote them.
func ReadOffer(names []string) (Offer, error) {
	var offer Offer
	for _, name := range names {
		c := Coding(name)
		if c != Compress && !slices.Contains(encodings(), c) {
			return nil, fmt.Errorf("there is no algorithm %.40q; there are gzip, deflate, br, zstd and compress", name)
		}
		if slices.Contains(offer, c) {
			return nil, fmt.Errorf("%q is named twice", name)
		}
		offer = append(offer, c)
	}
	if len(offer) == 0 {
		return nil, fmt.Errorf("no algorithm is named; leave the list out for gzip, deflate and br")
	}
	if len(offer) == 1 && offer[0] == Compress {
		return nil, fmt.Errorf("compress alone would compress nothing: no visitor's software reads it; add gzip")
	}
	return offer, nil
}

// Answer is what is known of an answer before it is sent.
type Answer struct {
	Method string   // of the request
	Accept []string // the request's Accept-Encoding lines
	Frozen bool     // the request's Cache-Control says no-transform
	Status int
	Header Header
	Length int64 // of the body; -1 for unknown
}

// Compress encodes the body of an answer in the coding that offer and visitor agree on, and
// edits the header accordingly. It gives nil where the body stays as it is: where it was
// encoded already, is one part of something, is short, is of a kind that does not get
// smaller, is a stream of events, or must not be transformed; where the visitor takes no
// coding; and where no memory is left. Who gets a body must Close it in the end, and may do
// so at any time. For HEAD it is none: the answer's length is not known any more, and its
// coding, which depends on the length, is not told.
//
// A body of unknown length goes on as it comes.
func (e *Encoders) Compress(a Answer, offer Offer, body io.Reader) io.ReadCloser {
	h := a.Header
	if a.Status == http.StatusNotModified {
		weaken(h) // as it was when the visitor got it
		vary(h)
		return nil
	}
	if !a.compressible() {
		return nil
	}
	vary(h)
	c := Negotiate(a.Accept, offer)
	switch {
	case c == Identity:
		return nil
	case a.Method == http.MethodHead:
		weaken(h)
		return http.NoBody
	}
	encoded, ok := e.encode(body, c, a.Length < 0)
	if !ok {
		return nil
	}
	Transformed(h)
	h.Set("Content-Encoding", string(c))
	return encoded
}

// compressible tells whether visitors that accept a coding get the answer in it.
func (a *Answer) compressible() bool {
	h := a.Header
	switch {
	case a.Status < 200, a.Status == http.StatusNoContent, a.Status == http.StatusResetContent, a.Status == http.StatusPartialContent:
		return false
	case a.Method != http.MethodHead && a.Length >= 0 && a.Length < leastCompressed:
		return false
	case a.Frozen || Frozen(h.Values("Cache-Control")) || h.Get("Content-Range") != "":
		return false
	}
	for _, digest := range []string{"Content-Md5", "Digest", "Content-Digest", "Repr-Digest"} {
		if h.Get(digest) != "" {
			return false // it would be one of other bytes
		}
	}
	codings, known := codingsOf(h)
	return known && len(codings) == 0 && shrinks(h.Get("Content-Type"))
}

// Frozen tells whether Cache-Control lines forbid to transform a message (RFC 9111
// §5.2.1.6, §5.2.2.6).
func Frozen(lines []string) bool {
	return names(lines, "no-transform")
}

func names(lines []string, token string) bool {
	for _, line := range lines {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

// shrinks tells whether bodies of a media type are text, or nearly. What is not known to be
// does not: most other kinds are compressed already.
func shrinks(contentType string) bool {
	kind, _, err := mime.ParseMediaType(contentType)
	if err != nil && kind == "" {
		return false
	}
	if text, found := strings.CutPrefix(kind, "text/"); found {
		return text != "event-stream"
	}
	for _, suffix := range []string{"+json", "+xml", "+text", "+yaml"} {
		if strings.HasSuffix(kind, suffix) {
			return true
		}
	}
	return slices.Contains([]string{
		"application/json", "application/x-ndjson", "application/ndjson", "application/jsonl", "application/graphql",
		"application/javascript", "application/x-javascript", "application/ecmascript",
		"application/xml", "application/x-yaml", "application/yaml", "application/toml", "application/sql", "application/rtf",
		"application/wasm", "application/x-sh", "application/vnd.ms-fontobject", "application/x-font-ttf",
		"font/ttf", "font/otf", "image/bmp", "image/x-icon", "image/vnd.microsoft.icon",
	}, kind)
}

// vary tells caches that the answer depends on Accept-Encoding.
func vary(h Header) {
	if lines := h.Values("Vary"); !names(lines, "Accept-Encoding") && !names(lines, "*") {
		h.Add("Vary", "Accept-Encoding")
	}
}
