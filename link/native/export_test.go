package native

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// ForceMoves has every Write of the ends that are given, and of none else, move to
// another carrier with the odds of one in n, and cut what it writes into portions of
// at most that many bytes.
func ForceMoves(seed uint64, n, portion int, ends ...any) {
	random := &randomMoves{source: rand.New(rand.NewPCG(seed, 1)), n: n, portion: portion}
	for _, end := range ends {
		c := carriersOf(end)
		c.mu.Lock()
		c.forced = random
		c.mu.Unlock()
	}
}

type randomMoves struct {
	mu      sync.Mutex
	source  *rand.Rand
	n       int
	portion int
}

func (r *randomMoves) cut() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return 1 + r.source.IntN(r.portion)
}

func (r *randomMoves) next(c *carriers, on *further) (to *further, move bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.source.IntN(r.n) > 0 {
		return nil, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	choice := []*further{nil}
	for _, f := range c.all {
		if f.usable() {
			choice = append(choice, f)
		}
	}
	to = choice[r.source.IntN(len(choice))]
	return to, to != on
}

// Grow asks for n further carriers, as a stream that turned bulk does.
func Grow(end any, n int) {
	c := carriersOf(end)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.more(n)
}

// Carriers counts the further carriers that streams can move to.
func Carriers(end any) (n int) {
	c := carriersOf(end)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.all {
		if f.usable() {
			n++
		}
	}
	return n
}

// Known counts the streams that end can still find, and the legs that wait for one.
func Known(end any) (streams, parked int) {
	c := carriersOf(end)
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.streams), len(c.parked)
}

// ReadAnswer reads what the server answered to a stream of DialEarly.
func ReadAnswer(st link.Stream) error { return st.(*dialled).readAnswer() }

// MostDialled is how many streams to gateways an agent opens.
const MostDialled = mostDialled

// CarrierOf is the carrier that st writes to.
func CarrierOf(st link.Stream) uint32 {
	s := movable(st)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.number()
}

// Moves counts the moves of what st writes.
func Moves(st link.Stream) uint32 {
	s := movable(st)
	s.writing.Lock()
	defer s.writing.Unlock()
	return s.legs
}

func movable(st link.Stream) *stream {
	if d, ok := st.(*dialled); ok {
		st = d.Stream
	}
	return st.(*stream)
}

// Cut breaks a further carrier of an end.
func Cut(end any, number uint32) {
	c := carriersOf(end)
	c.mu.Lock()
	f := c.all[number]
	c.mu.Unlock()
	f.Close(errCarrierLost)
}

// Sessions counts the sessions of a hub.
func Sessions(h *Hub) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sessions)
}

// ServerOf is the server's end of the only session of a hub.
func ServerOf(h *Hub) any {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		return s
	}
	return nil
}

func carriersOf(end any) *carriers {
	switch end := end.(type) {
	case *Client:
		return &end.carriers
	case *server:
		return &end.carriers
	}
	panic("not an end of a session")
}

// IdleLimit is how long a further carrier may be idle, and a look at it later it is
// gone for certain.
const IdleLimit = idleLimit + 3*lookIdle + time.Second

// AppendContinue and ReadContinue are the head of a leg.
var (
	AppendContinue = appendContinue
	ReadContinue   = readContinue
)

// Join is the message that makes a connection a further carrier.
type Join = joinRequest

// TypeJoin is its stream's type.
const TypeJoin = typeJoin

// Most is the most further carriers, MostNear that on a path without a delay.
const (
	Most     = mostFurther
	MostNear = mostNear
)

// SetPath has ends believe in a round trip.
func SetPath(roundTrip time.Duration, ends ...any) {
	for _, end := range ends {
		c := carriersOf(end)
		c.mu.Lock()
		c.path = func() time.Duration { return roundTrip }
		c.mu.Unlock()
	}
}

// Ticket is what lets connections join a client's session.
func Ticket(c *Client) (session string, secret sessionmsg.Token) { return c.session, c.secret }
