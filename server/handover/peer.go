package handover

import (
	"context"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/mux"
)

// The types of streams on a link between processes. Both sides may open all of them.
const (
	typeNotices uint32 = 1 // what the opener lends, for as long as the link lasts
	typeOpen    uint32 = 2 // a visitor's stream to an agent of the other side
	typeCall    uint32 = 3 // one request and one reply
)

// Tuning of the links: a stream is a hop between two processes of one machine, whose
// ends have windows of their own. Small ones keep memory low, and they are never made
// larger, so that nothing is ever reset for want of memory.
const (
	peerWindow   = 256 << 10
	peerStreams  = 1 << 20
	peerBuffered = 8 << 30
	peerBacklog  = 16 << 10
)

// peer is the link with one other process.
type peer struct {
	peers    *Peers
	id       string
	session  *mux.Session
	complete chan struct{} // closed when the other has said all that it lends
	once     sync.Once

	mu       sync.Mutex
	sessions map[postern.SessionID]*borrowed
	entries  map[postern.EndpointID]*entry
	waiting  map[postern.EndpointID]lent // could not be registered yet
}

func newPeer(p *Peers, conn net.Conn, id string, dialled bool) *peer {
	return &peer{
		peers: p, id: id, complete: make(chan struct{}),
		session: mux.New(conn, mux.Config{
			Client: dialled, Window: peerWindow, MaxWindow: peerWindow, RichResets: true, AcceptBacklog: peerBacklog,
			Limits: mux.Limits{PeerStreams: peerStreams, Buffered: peerBuffered}, Logger: p.config.Logger,
		}),
		sessions: make(map[postern.SessionID]*borrowed),
		entries:  make(map[postern.EndpointID]*entry),
		waiting:  make(map[postern.EndpointID]lent),
	}
}

// start starts the link's goroutines, which end with it.
func (p *peer) start() {
	all := &p.peers.all
	all.Go(p.serve)
	all.Go(p.tell)
	all.Go(p.retry)
}

// serve takes the other's streams until the link ends, and then returns everything.
func (p *peer) serve() {
	defer p.end()
	for {
		kind, st, err := p.session.Accept(p.peers.ctx)
		if err != nil {
			p.session.Close(postern.AsError(err))
			return
		}
		p.peers.all.Go(func() { p.handle(kind, st) })
	}
}

func (p *peer) handle(kind uint32, st *mux.Stream) {
	defer func() {
		if fault := recover(); fault != nil {
			p.peers.config.Logger.ErrorContext(p.peers.ctx, "a link between processes failed inside", "panic", fault, "stack", string(debug.Stack()))
			p.session.Close(&postern.Error{Code: postern.CodeInternal})
		}
	}()
	switch kind {
	case typeNotices:
		p.listen(st)
	case typeOpen:
		p.lend(st)
	case typeCall:
		p.answer(st)
	default:
		st.Reset(postern.Errorf(postern.CodeProtocolViolation, "stream type %d", kind))
	}
}

// end takes everything borrowed over the link offline.
func (p *peer) end() {
	p.peers.unlink(p)
	p.mu.Lock()
	entries := p.entries
	p.entries = nil
	p.waiting = nil
	p.mu.Unlock()
	for _, e := range entries {
		e.giveUp(p)
	}
	<-p.session.Closed()
}

// retry registers again and again what could not be registered: another endpoint was
// in its place, and may have gone.
func (p *peer) retry() {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-p.session.Done():
			return
		}
		p.mu.Lock()
		waiting := p.waiting
		if p.entries != nil {
			p.waiting = make(map[postern.EndpointID]lent)
		}
		for _, l := range waiting {
			p.add(l)
		}
		p.mu.Unlock()
	}
}

// context ends with the link.
func (p *peer) context(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	stop := context.AfterFunc(p.peers.ctx, cancel)
	return ctx, func() { stop(); cancel() }
}
