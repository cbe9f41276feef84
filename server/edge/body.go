package edge

import (
	"strconv"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
)

// body follows the body of an answer to its end.
type body struct {
	framing http1.Framing
	left    int64        // where framing is Length
	chunks  http1.Chunks // where it is Chunked
	data    int64        // bytes of the body itself so far
	ended   bool
	tap     func(b []byte) // nil for nobody; Chunked has chunks.Sink
}

// show shows bytes to those who want to see them.
func (b *body) show(data []byte) {
	if b.tap != nil {
		b.tap(data)
	}
}

// over tells whether the whole body has been seen.
func (b *body) over() bool {
	return b.ended || b.framing == http1.None || b.framing == http1.Length && b.left == 0
}

// take moves what from holds of the body to the end of dst, as the visitor gets it. A
// body that ends with its connection is written in chunks, so that the visitor can
// tell its end from an accident; ended is set before its last call.
func (b *body) take(from *http1.Buffer, dst []byte) ([]byte, error) {
	unread := from.Unread()
	switch b.framing {
	case http1.Length:
		n := int(min(int64(len(unread)), b.left))
		b.show(unread[:n])
		dst = append(dst, unread[:n]...)
		from.Discard(n)
		b.left -= int64(n)
		b.data += int64(n)
	case http1.Chunked:
		pass, taken, done, problem := b.chunks.Feed(unread)
		if problem != nil {
			return dst, (&postern.Error{Code: postern.CodeUpstreamInvalidResponse}).Because(problem)
		}
		dst = append(dst, unread[:pass]...)
		from.Discard(taken)
		if done {
			dst = b.chunks.AppendEnd(dst)
		}
		b.data, b.ended = b.chunks.Data, done
	case http1.UntilClose:
		if len(unread) > 0 {
			b.show(unread)
			dst = strconv.AppendInt(dst, int64(len(unread)), 16)
			dst = append(dst, "\r\n"...)
			dst = append(dst, unread...)
			dst = append(dst, "\r\n"...)
			from.Discard(len(unread))
			b.data += int64(len(unread))
		}
		if b.ended {
			dst = b.chunks.AppendEnd(dst)
		}
	}
	return dst, nil
}
