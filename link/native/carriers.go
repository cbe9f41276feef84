package native

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/sessionmsg"
)

const (
	// mostFurther is how many carriers a session may have beside number 0. Sixteen
	// downloads then have one each; what is more shares.
	mostFurther = 16

	// spares is how many carriers without a stream are kept while bulk is going on.
	spares = 2

	// betterAfter is how many bytes a stream moves on a carrier that it shares before
	// it takes a spare one.
	betterAfter     = 1 << 20
	betterAfterSlow = 64 << 10 // where it would take many seconds for those

	// parkedMost bounds the legs whose stream has not arrived, parkedWait how long one
	// waits.
	parkedMost = 1024
	parkedWait = 10 * time.Second

	// A stream considers moving each writePortion; on carrier 0 of a path that takes
	// time already after a frame, since what it has put there cannot be taken back.
	writePortion = 128 << 10
	homePortion  = 16 << 10

	// firstFar is what a visitor's stream opens with on such a path, if there is bulk
	// behind it.
	firstFar = 1 << 10
)

// carriers is all the connections of one session, seen from one end. Carrier 0
// carries every request and every stream at first; the further ones exist while
// there is bulk. Its mu is taken after a stream's, and before a mux session's.
type carriers struct {
	zero   *mux.Session
	budget *mux.Budget
	log    *slog.Logger
	atOnce context.Context // has ended: for opens that must not wait

	// more asks for n further carriers, those that are coming included, from whoever
	// can dial. It must not block; mu is held. nil: there are none to be had.
	more func(n int)

	// path is the round trip of the path, without queues.
	path func() time.Duration

	// forced replaces the policy of moves, in tests; set before the first stream.
	forced forcedMoves

	mu      sync.Mutex
	on      bool // the extension is in force
	homing  bool // legs on carrier 0 are taken
	closes  bool // carriers that are idle; the end that dials does
	ended   bool
	most    int
	all     map[uint32]*further
	coming  int                   // asked for and not here yet
	askedAt time.Time             // when they were asked for
	hungry  map[*stream]time.Time // bulk, and shared a carrier then
	streams map[uint32]*stream
	parked  map[uint32]leg
	looking *time.Timer    // at what is idle; nil while there are no further carriers
	serving sync.WaitGroup // who watches zero and who accepts on further carriers
}

// init makes the empty set around carrier 0.
func (c *carriers) init(zero *mux.Session, budget *mux.Budget, log *slog.Logger) {
	c.zero, c.budget, c.log, c.path = zero, budget, log, zero.LeastRTT
}

// enable turns the extension on: from now on streams can move.
func (c *carriers) enable(most int) {
	ctx, cancel := context.WithDeadline(context.Background(), time.Unix(1, 0))
	cancel()
	c.zero.AllowMoves()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.atOnce = ctx
	c.on, c.most = true, min(most, mostFurther)
	c.all = make(map[uint32]*further)
	c.hungry = make(map[*stream]time.Time)
	c.streams = make(map[uint32]*stream)
	c.parked = make(map[uint32]leg)
}

// forcedMoves says where a stream that is on a carrier goes on, before each part of
// a Write, and how long the part is.
type forcedMoves interface {
	next(c *carriers, on *further) (to *further, move bool)
	cut() int
}

// portion is how much a stream writes before it considers moving again.
func (c *carriers) portion(home bool) int {
	if c.forced != nil {
		return c.forced.cut()
	}
	if home && c.far() {
		return homePortion
	}
	return writePortion
}

// wrap makes a visitor's stream one that can move, where the peer agreed to that.
func (c *carriers) wrap(root *mux.Stream) link.Stream {
	c.mu.Lock()
	if !c.on {
		c.mu.Unlock()
		return root
	}
	s := newStream(c, root)
	if !c.ended {
		c.streams[root.ID()] = s
	}
	early, found := c.parked[root.ID()]
	delete(c.parked, root.ID())
	c.mu.Unlock()
	if found {
		s.offer(early, 1)
	}
	return s
}

// forget lets go of a stream that has ended.
func (c *carriers) forget(s *stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.streams[s.root.ID()] == s {
		delete(c.streams, s.root.ID())
	}
	c.retire(s)
}

// continued takes a leg of the peer's, the number-th of the stream that is root on
// carrier 0.
func (c *carriers) continued(l leg, root, number uint32) {
	c.mu.Lock()
	if l.on != nil {
		l.on.uses++
	}
	s := c.streams[root]
	_, twice := c.parked[root]
	park := s == nil && number == 1 && !twice && !c.ended && len(c.parked) < parkedMost && c.zero.Awaits(root)
	if park {
		// It was faster than the stream itself, or than whoever accepts that.
		c.parked[root] = l
		time.AfterFunc(parkedWait, func() { c.unpark(root, l) })
	}
	c.mu.Unlock()
	switch {
	case s != nil:
		s.offer(l, number)
	case !park:
		l.Reset(&postern.Error{Code: postern.CodeStreamReset})
	}
}

// unpark gives a leg up whose stream has not come.
func (c *carriers) unpark(root uint32, l leg) {
	c.mu.Lock()
	waits := c.parked[root] == l
	if waits {
		delete(c.parked, root)
	}
	c.mu.Unlock()
	if waits {
		l.Reset(&postern.Error{Code: postern.CodeStreamReset})
	}
}

// has tells whether a carrier is alive.
func (c *carriers) has(number uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.ended && (number == 0 || c.all[number] != nil)
}

// add takes a further carrier in; one that is joining is not used yet. Errors are CodeProtocolViolation and CodeLinkLost.
func (c *carriers) add(number uint32, session *mux.Session, joining bool) (*further, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended || c.zero.Cause() != nil:
		return nil, postern.Errorf(postern.CodeLinkLost, "the session has ended")
	case !c.on || number == 0 || c.all[number] != nil:
		return nil, postern.Errorf(postern.CodeProtocolViolation, "the session can have no carrier %d", number)
	case len(c.all) >= c.most:
		return nil, postern.Errorf(postern.CodeProtocolViolation, "the session has %d further carriers, as many as it may", len(c.all))
	}
	f := &further{Session: session, number: number, idle: time.Now(), joining: joining}
	session.AllowMoves()
	session.ForBulk()
	session.SetAside(typeContinue, legBacklog)
	if !c.homing {
		// Streams that are there can come home.
		c.homing = true
		c.zero.SetAside(typeContinue, legBacklog)
		c.serving.Go(c.takeHomecoming)
	}
	c.all[number] = f
	c.watch()
	return f, nil
}

// serve takes the legs that the peer opens on f, until f ends.
func (c *carriers) serve(f *further) {
	c.takeLegs(f.Session, f)
	c.lose(f)
}

// takeHomecoming takes the legs that arrive on carrier 0, and ends the further
// carriers with it: at once, not when the last request in work has ended.
func (c *carriers) takeHomecoming() {
	c.takeLegs(c.zero, nil)
	c.end(c.zero.Cause())
}

// takeLegs takes the legs that arrive on a session, carrier 0 or the further carrier
// on, until it ends.
func (c *carriers) takeLegs(session *mux.Session, on *further) {
	for {
		head, st, err := session.AcceptAside(context.Background())
		if err != nil {
			return
		}
		root, number := readContinue(head)
		c.continued(leg{st, on}, root, number)
	}
}

// lose ends what was on a carrier that is gone.
func (c *carriers) lose(f *further) {
	c.mu.Lock()
	delete(c.all, f.number)
	f.retiring = true
	streams := c.snapshot()
	c.mu.Unlock()
	for _, s := range streams {
		s.carrierLost(f)
	}
}

// offerPlaces has streams considered again that wait to write: there is a carrier more.
func (c *carriers) offerPlaces() {
	c.mu.Lock()
	streams := c.snapshot()
	c.mu.Unlock()
	for _, s := range streams {
		s.yield()
	}
}

func (c *carriers) snapshot() []*stream {
	streams := make([]*stream, 0, len(c.streams))
	for _, s := range c.streams {
		streams = append(streams, s)
	}
	return streams
}

// end ends every further carrier, after carrier 0.
func (c *carriers) end(why *postern.Error) {
	c.mu.Lock()
	c.ended = true
	if c.looking != nil {
		c.looking.Stop()
	}
	streams := c.snapshot()
	clear(c.streams)
	clear(c.parked) // their carriers end
	all := make([]*further, 0, len(c.all))
	for _, f := range c.all {
		all = append(all, f)
	}
	c.mu.Unlock()
	for _, f := range all {
		f.Close(why)
	}
	for _, s := range streams {
		s.carrierLost(nil)
	}
}

// open starts a stream on carrier 0.
func (c *carriers) open(ctx context.Context, streamType uint32, first ...[]byte) (link.Stream, error) {
	if streamType != sessionmsg.TypeProxy && streamType != sessionmsg.TypeDial {
		return c.zero.Open(ctx, streamType, first...)
	}
	var rest []byte
	if last := len(first) - 1; last >= 0 && len(first[last]) > small+firstFar && c.far() {
		first[last], rest = first[last][:firstFar], first[last][firstFar:]
	}
	st, err := c.zero.Open(ctx, streamType, first...)
	if err != nil {
		return nil, err
	}
	s := c.wrap(st)
	if len(rest) > 0 {
		// It waits its turn, or goes elsewhere, as everybody's bulk.
		stop := context.AfterFunc(ctx, func() { s.Reset(&postern.Error{Code: postern.CodeStreamReset}) })
		defer stop()
		if _, err := s.Write(rest); err != nil {
			_ = s.Close()
			return nil, postern.AsError(err)
		}
	}
	return s, nil
}

// Ping measures carrier 0, which is the session's life.
func (c *carriers) Ping(ctx context.Context) (time.Duration, error) { return c.zero.Ping(ctx) }

// drain makes carrier 0 refuse new streams of ours and tells the peer.
func (c *carriers) drain() { c.zero.Drain() }

// Draining is closed when the peer drains.
func (c *carriers) Draining() <-chan struct{} { return c.zero.Draining() }

// Close ends the session.
func (c *carriers) Close(why *postern.Error) { c.zero.Close(why) }

// Done is closed when carrier 0 has ended, and with it the session.
func (c *carriers) Done() <-chan struct{} { return c.zero.Done() }

// AfterDone runs f once the session has ended; stop takes that back.
func (c *carriers) AfterDone(f func()) (stop func() bool) { return c.zero.AfterDone(f) }

// Cause says why carrier 0 ended.
func (c *carriers) Cause() *postern.Error { return c.zero.Cause() }

// Streams counts the open streams: those of carrier 0, or those that are known to
// be open though no direction of theirs is there.
func (c *carriers) Streams() int {
	c.mu.Lock()
	known := len(c.streams)
	c.mu.Unlock()
	return max(known, c.zero.Streams())
}
