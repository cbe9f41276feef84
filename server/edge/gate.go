package edge

import (
	"context"
	"runtime"
	"time"
)

// gate bounds how many agents' TLS handshakes are worked on at once. When thousands come
// back together, their handshakes are most of what they cost; all at once they would
// take the CPU from visitors, and each would take as long as all of them together, until
// they time out and begin anew. One after the other the first are back at once.
type gate struct{ slots chan struct{} }

const (
	// gateTurn is how long one handshake may keep the others waiting. It is for work:
	// who waits for a slow peer gives its turn away.
	gateTurn = 250 * time.Millisecond
	// gatePatience is how long an agent waits for its turn; it has given up by then.
	gatePatience = time.Minute
)

func newGate() gate {
	return gate{slots: make(chan struct{}, 2*runtime.GOMAXPROCS(0))}
}

// enter waits for a turn; leave ends it. ok is false when none came.
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
