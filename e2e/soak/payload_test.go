package soak_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
)

// payloads makes bodies that both ends can tell from each other: body s is the
// block of random bytes, over and over, from offset s on.
type payloads struct{ block []byte }

func newPayloads() *payloads {
	block := make([]byte, 1<<20)
	source := rand.NewChaCha8([32]byte{27})
	_, _ = source.Read(block) // never fails
	return &payloads{block: block}
}

// errWrong marks an answer that claims to be whole and is not what was asked for:
// no outage excuses it.
var errWrong = errors.New("wrong content")

// reader gives the first n bytes of body seed.
func (p *payloads) reader(seed, n int) io.Reader {
	return io.LimitReader(&payloadReader{p.block, seed % len(p.block)}, int64(n))
}

type payloadReader struct {
	block []byte
	next  int
}

func (r *payloadReader) Read(b []byte) (int, error) {
	n := copy(b, r.block[r.next:])
	r.next = (r.next + n) % len(r.block)
	return n, nil
}

// check reads body to its end and compares it with the first n bytes of body seed.
func (p *payloads) check(body io.Reader, seed, n int) error {
	c := &payloadChecker{block: p.block, next: seed % len(p.block)}
	_, err := io.CopyBuffer(c, struct{ io.Reader }{body}, make([]byte, 32<<10))
	switch {
	case err != nil:
		return fmt.Errorf("after %d of %d bytes: %w", c.seen, n, err)
	case c.seen != n:
		return fmt.Errorf("%w: a clean end after %d of %d bytes", errWrong, c.seen, n)
	}
	return nil
}

// payloadChecker takes a body and fails at the first byte that is another.
type payloadChecker struct {
	block      []byte
	next, seen int
}

func (c *payloadChecker) Write(b []byte) (int, error) {
	written := len(b)
	for len(b) > 0 {
		n := min(len(b), len(c.block)-c.next)
		if !bytes.Equal(b[:n], c.block[c.next:c.next+n]) {
			return 0, fmt.Errorf("%w: bytes differ after %d", errWrong, c.seen)
		}
		b, c.next, c.seen = b[n:], (c.next+n)%len(c.block), c.seen+n
	}
	return written, nil
}
