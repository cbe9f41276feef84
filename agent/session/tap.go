package session

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/relay"
)

// Tap looks at the bytes of endpoints that are to be inspected. It is asked for every
// stream, concurrently.
type Tap interface {
	// Stream gives what looks at one stream of an endpoint, by its label; nil: nobody
	// does, and the stream is relayed as without a Tap. It must not block.
	Stream(endpoint string, visitor netip.AddrPort, scheme postern.Scheme) StreamTap
}

// StreamTap sees the plaintext of one stream. FromVisitor is called in the order of
// the bytes, and so is FromService; the two run concurrently. They must not block, nor
// keep or change p. End comes once, last; err is nil where both directions ended
// cleanly. What the visitor said to a service that cannot be reached is shown as far as
// it has come.
type StreamTap interface {
	FromVisitor(p []byte)
	FromService(p []byte)
	End(err error)
}

// Meter hears of every stream's begin and end, by the label of its endpoint. It is
// called concurrently and must not block.
type Meter interface {
	StreamBegan(endpoint string)
	StreamEnded(endpoint string, took time.Duration)
}

// Tappable is a Handler that can show what passes. ServeTapped is ServeStream, and
// calls tap.End.
type Tappable interface {
	Handler
	ServeTapped(ctx context.Context, h link.Header, s link.Stream, tap StreamTap)
}

// tapped is a visitor's connection that is looked at.
type tapped struct {
	relay.Conn
	tap StreamTap
}

// Read reads what the visitor says.
func (t *tapped) Read(p []byte) (int, error) {
	n, err := t.Conn.Read(p)
	if n > 0 {
		t.tap.FromVisitor(p[:n])
	}
	return n, err
}

// Write writes what the service says. It is shown first: who has an answer finds it
// where it is kept.
func (t *tapped) Write(p []byte) (int, error) {
	t.tap.FromService(p)
	return t.Conn.Write(p)
}

// NetConn lets relay.Abort find what it resets.
func (t *tapped) NetConn() net.Conn { return t.Conn }

// alreadyHere is how long what a visitor sent along with a stream may take to be read:
// it has come already.
const alreadyHere = 20 * time.Millisecond

// showWhatCame reads what a visitor has sent, for those who look: what there was to be
// answered matters most where nobody did.
func showWhatCame(visitor relay.Conn) {
	_ = visitor.SetReadDeadline(time.Now().Add(alreadyHere))
	_, _ = visitor.Read(make([]byte, 16<<10)) // seen by the tap, and nothing else comes of it
}

// Interface guards.
var (
	_ relay.Conn = (*tapped)(nil)
	_ Tappable   = (*Forward)(nil)
)
