package edge

import (
	"context"
	"net"
	"runtime"
	"time"
)

// gate bounds how many agents' TLS handshakes are worked on at once. When thousands come
// back together, their handshakes are most of what they cost; all at once they would
// take the CPU from visitors, and each would take as long as all of them together, until
// they time out and begin anew. One after the other the first are back at once.
type gate struct{ slots chan struct{} }

const (
	// gateTurn is how long one handshake may keep the others waiting, whatever it does.
	gateTurn = 250 * time.Millisecond
	// gatePatience is how long an agent waits for its turn; it has given up by then.
	gatePatience = time.Minute
)

func newGate() gate {
	return gate{slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
}

// enter waits for a turn; leave ends it, any number of times. ok is false when none came.
func (g gate) enter(ctx context.Context) (leave func(), ok bool) {
	select {
	case g.slots <- struct{}{}:
	default:
		ctx, cancel := context.WithTimeout(ctx, gatePatience)
		defer cancel()
		select {
		case g.slots <- struct{}{}:
		case <-ctx.Done():
			return nil, false
		}
	}
	turn := time.AfterFunc(gateTurn, func() { <-g.slots })
	return func() {
		if turn.Stop() {
			<-g.slots
		}
	}, true
}

// sniffed is a connection whose ClientHello was looked at and is read from memory.
type sniffed interface {
	net.Conn
	Buffered() []byte
}

// turn is a connection whose handshake has its turn at the gate. A turn is for work, and
// ends when the handshake has to wait for the peer: else strangers who say nothing after
// their first message would use up the turns of agents.
type turn struct {
	sniffed
	leave func()
	over  bool // the handshake's goroutine alone looks at it, and then the reader's
}

// Read gives the turn away before it waits.
func (t *turn) Read(b []byte) (int, error) {
	if !t.over && len(t.Buffered()) == 0 {
		t.over = true
		t.leave()
	}
	return t.sniffed.Read(b)
}

// NetConn gives the connection below.
func (t *turn) NetConn() net.Conn { return t.sniffed }
