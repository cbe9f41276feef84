// Package messages makes a stream of bytes of a WebSocket (RFC 6455), at the server's end:
// what is in the peer's messages, text or binary, is read as it comes, and what is written
// leaves in binary messages. Messages begin and end where they like, and mean nothing.
//
// A close frame ends the peer's direction, and CloseWrite ends ours with one. Between the
// two the other direction goes on, for EndTime.
package messages

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern/relay"
)

const (
	// EndTime is how long one direction may go on once the other has ended: most peers
	// listen no more, and cannot say so.
	EndTime = 10 * time.Second
	// mostFrame bounds one frame of the peer's. None is held, whatever its length.
	mostFrame = 1 << 30
	// mostPiece is the payload of one frame of ours: with its head it fills a record of TLS.
	mostPiece = 16<<10 - 4
	// goodbyeTime bounds what is said to a peer whose connection is about to be cut.
	goodbyeTime = time.Second
)

// Conn is the stream. One Read and one Write may run at a time beside each other, and the
// other methods at any time. Deadlines are those of the connection below; what they cut
// short can be taken up again by Read, not by Write.
type Conn struct {
	relay.Conn

	// Of the one that reads.
	buffer [512]byte
	unread []byte
	left   uint64 // of the data frame that is being read
	key    uint32
	within bool  // a message whose last frame has not begun
	over   error // that Read gives from now on

	answering sync.Mutex
	pong      []byte // what is owed; nil for nothing

	writing sync.Mutex
	out     []byte
	said    bool // a close frame was sent: nothing may follow

	status atomic.Int32 // that the peer closed with; 0: it has not
	ended  atomic.Bool  // our direction, by CloseWrite
	later  atomic.Pointer[time.Timer]
}

// New makes a stream of conn, over which an upgrade has been answered, and takes it over.
func New(conn relay.Conn) *Conn { return &Conn{Conn: conn} }

var _ relay.Conn = (*Conn)(nil)
