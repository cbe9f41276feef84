package body

import (
	"bytes"
	"errors"
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
	codings, known := codingsOf(h)
	if !known {
		return Changed{}, postern.Errorf(postern.CodeBodyUndecodable, "its Content-Encoding %.60q is not supported", h.Get("Content-Encoding"))
	}
	changed := &changed{reader: body}
	if len(codings) > 0 {
		changed.decoder = newDecoder(body, codings, budget)
		changed.reader = changed.decoder
		h.Remove("Content-Encoding")
	}
	for _, r := range replacements {
		changed.reader = pattern.NewReader(changed.reader, r.From, r.To)
	}
	transformed(h)
	if length < 0 || length > mostKept || len(codings) > 0 {
		return Changed{changed, -1}, nil
	}
	whole, err := io.ReadAll(changed)
	if err != nil {
		return Changed{}, err
	}
	return Changed{io.NopCloser(bytes.NewReader(whole)), int64(len(whole))}, nil
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
	if errors.Is(err, pattern.ErrWork) || errors.Is(err, pattern.ErrInserted) {
		err = postern.Errorf(postern.CodeBodyUnchangeable, "%s", err)
	}
	return n, err
}

// Close implements io.Closer.
func (c *changed) Close() error {
	if c.decoder != nil {
		return c.decoder.Close()
	}
	return nil
}

var _ io.ReadCloser = (*changed)(nil)
