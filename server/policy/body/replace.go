package body

import (
	"bytes"
	"io"
	"net/http"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/policy/body/pattern"
)

// Replacement is what to look for in a body, and what to put in its place: see
// pattern.NewReader.
type Replacement struct {
	From *pattern.Pattern
	To   string
}

// mostKept is how long a body can be, in bytes, to be changed as a whole: then its new
// length is known before it goes on.
const mostKept = 64 << 10

// Changed is a body that something else was made of. Who gets it must Close it in the end,
// and may do so at any time.
type Changed struct {
	io.ReadCloser
	Length int64 // -1 for unknown
}

// Replace makes all replacements in a body, one after the other, and edits the message's
// header accordingly. The body is decoded first, and goes on decoded. Short bodies are read
// at once, for as long as that takes; an error is then that of reading, or a *postern.Error.
//
// Content codings that are not known are an error: nobody must be able to get a body past
// what it is searched for.
func Replace(h Header, body io.Reader, length int64, replacements []Replacement, budget *Budget) (Changed, error) {
	changed, err := decoded(h, body, budget)
	if err != nil {
		return Changed{}, err
	}
	whole := length >= 0 && length <= mostKept && changed.decoder == nil
	for _, r := range replacements {
		changed.reader = pattern.NewReader(changed.reader, r.From, r.To)
	}
	Transformed(h)
	if !whole {
		return Changed{changed, -1}, nil
	}
	kept, err := io.ReadAll(changed)
	if err != nil {
		return Changed{}, err
	}
	return Changed{io.NopCloser(bytes.NewReader(kept)), int64(len(kept))}, nil
}

// decoded undoes the codings of a body.
func decoded(h Header, body io.Reader, budget *Budget) (*changed, error) {
	codings, known := codingsOf(h)
	if !known {
		return nil, postern.Errorf(postern.CodeBodyUndecodable, "its Content-Encoding %.60q is not supported", h.Get("Content-Encoding"))
	}
	c := &changed{reader: body}
	if len(codings) > 0 {
		c.decoder = newDecoder(body, codings, budget)
		c.reader = c.decoder
		h.Remove("Content-Encoding")
	}
	return c, nil
}

// Partial tells of an answer whether it has a part of a body only, in which nothing can be
// found reliably. Who replaces in answers takes Range and If-Range off requests.
func Partial(status int, h Header) bool {
	return status == http.StatusPartialContent || h.Get("Content-Range") != ""
}

// changed reads through a chain of readers.
type changed struct {
	reader  io.Reader
	decoder *decoder // nil for none
}

// Read implements io.Reader.
func (c *changed) Read(b []byte) (int, error) {
	n, err := c.reader.Read(b)
	return n, unchangeable(err)
}

// Close implements io.Closer.
func (c *changed) Close() error {
	if c.decoder != nil {
		return c.decoder.Close()
	}
	return nil
}

var _ io.ReadCloser = (*changed)(nil)
