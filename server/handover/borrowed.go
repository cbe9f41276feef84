package handover

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/relay"
)

// borrowed is an agent's session that another process has.
type borrowed struct {
	peer      *peer
	id        postern.SessionID
	transport string
	remote    netip.AddrPort
	uses      int // endpoints; guarded by peer.mu
}

// openHead is what a stream to an agent begins with.
type openHead struct {
	Endpoint       postern.EndpointID
	ClientAddr     netip.AddrPort
	Scheme         postern.Scheme
	PassthroughTLS bool `json:",omitempty"`
	First          int  // bytes that follow, and go along with the opening
}

const (
	mostHead  = 4 << 10
	mostFirst = 1 << 20
)

// Open implements link.Opener. Unlike others it waits for an answer, which comes from
// this very machine: whether the other process could open the stream decides whether
// another session may be tried.
func (b *borrowed) Open(ctx context.Context, h link.Header, first []byte) (link.Stream, error) {
	now := first[:min(len(first), mostFirst)]
	head, err := json.Marshal(openHead{Endpoint: postern.EndpointID(h.Endpoint), ClientAddr: h.ClientAddr,
		Scheme: h.Scheme, PassthroughTLS: h.PassthroughTLS, First: len(now)})
	if err != nil {
		return nil, postern.AsError(err)
	}
	st, err := b.peer.session.Open(ctx, typeOpen, binary.BigEndian.AppendUint32(nil, uint32(len(head))), head, now)
	if err != nil {
		return nil, err
	}
	// Where no answer comes nobody knows what became of the first bytes, so that no other
	// session may be tried: the stream is returned all the same, and fails at once.
	stop := context.AfterFunc(ctx, func() {
		st.Reset(postern.Errorf(postern.CodeStreamLimit, "the agent's session took no stream in time"))
	})
	refusal, err := readReply(st)
	stop()
	switch {
	case err != nil:
		st.Reset(postern.Errorf(postern.CodeLinkLost, "the process that has the agent's session did not answer").Because(err))
	case refusal != nil:
		_ = st.Close()
		return nil, refusal
	}
	if rest := first[len(now):]; len(rest) > 0 {
		if _, err := st.Write(rest); err != nil {
			st.Reset(&postern.Error{Code: postern.CodeStreamReset})
		}
	}
	return st, nil
}

// lend opens a stream to an agent of ours for the other process, and relays.
func (p *peer) lend(st *mux.Stream) {
	_ = st.SetDeadline(time.Now().Add(stepTime))
	head, first, err := readOpen(st)
	if err != nil {
		st.Reset(postern.AsError(err))
		return
	}
	to, err := p.openOwn(head, first)
	if err != nil {
		if writeReply(st, postern.AsError(err)) != nil {
			st.Reset(&postern.Error{Code: postern.CodeStreamReset})
			return
		}
		_ = st.Close()
		return
	}
	if err := writeReply(st, nil); err != nil {
		to.Reset(&postern.Error{Code: postern.CodeStreamReset})
		st.Reset(&postern.Error{Code: postern.CodeStreamReset})
		return
	}
	_ = st.SetDeadline(time.Time{})
	relay.Pipe(p.peers.ctx, st, to, relay.Options{})
}

// openOwn opens a stream of one of our own sessions: never of one that is borrowed, so
// that nothing goes round in circles.
func (p *peer) openOwn(head openHead, first []byte) (link.Stream, error) {
	live, found := p.peers.config.Cluster.Find(head.Endpoint)
	if !found || live.Borrowed {
		return nil, postern.Errorf(postern.CodeLinkDraining, "the endpoint is no longer here")
	}
	ctx, cancel := p.context(context.Background())
	defer cancel()
	ctx, done := context.WithTimeout(ctx, stepTime)
	defer done()
	return live.Session.Open(ctx, link.Header{Endpoint: live.BindID, ClientAddr: head.ClientAddr,
		Scheme: head.Scheme, PassthroughTLS: head.PassthroughTLS}, first)
}

func readOpen(r io.Reader) (head openHead, first []byte, err error) {
	text, err := readFrame(r, mostHead)
	if err != nil {
		return head, nil, err
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return head, nil, unreadable(err)
	}
	if head.First < 0 || head.First > mostFirst {
		return head, nil, unreadable(errors.New("its first bytes are too many"))
	}
	first = make([]byte, head.First)
	if _, err := io.ReadFull(r, first); err != nil {
		return head, nil, notEOF(err)
	}
	return head, first, nil
}

// mostReply bounds the text of a refusal.
const mostReply = 2 << 10

// writeReply says that the stream is open, or why it is not.
func writeReply(w io.Writer, refusal *postern.Error) error {
	text := ""
	if refusal != nil {
		text = string(refusal.Code) + "\n" + refusal.Text()
	}
	text = clip(text, mostReply)
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	return err
}

func readReply(r io.Reader) (refusal *postern.Error, err error) {
	text, err := readFrame(r, mostReply)
	if err != nil || len(text) == 0 {
		return nil, err
	}
	return parseRefusal(string(text)), nil
}

// RemoteAddr implements link.Session.
func (b *borrowed) RemoteAddr() netip.AddrPort { return b.remote }

// Transport implements link.Session.
func (b *borrowed) Transport() string { return b.transport }

// Ping implements link.Session.
func (b *borrowed) Ping(ctx context.Context) (time.Duration, error) {
	var r reply
	err := b.peer.call(ctx, call{Op: opPing, Session: b.id}, &r)
	return r.Took, err
}

// Command implements link.Session.
func (b *borrowed) Command(ctx context.Context, c link.Command) error {
	return b.peer.call(ctx, call{Op: opCommand, Session: b.id, Command: &c}, nil)
}

// StopEndpoint implements link.Session.
func (b *borrowed) StopEndpoint(ctx context.Context, id string, why *postern.Error) error {
	return b.peer.call(ctx, call{Op: opStop, Session: b.id, Endpoint: postern.EndpointID(id)}.because(why), nil)
}

// Drain implements link.Session. The process that has the session drains it.
func (b *borrowed) Drain() {}

// Close implements link.Session: the process that has the session ends it.
func (b *borrowed) Close(why *postern.Error) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTime)
	defer cancel()
	if err := b.peer.call(ctx, call{Op: opClose, Session: b.id}.because(why), nil); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		b.peer.peers.config.Logger.DebugContext(ctx, "another process's session was not closed", "session", b.id, "error", err)
	}
}

// Done implements link.Session: what is borrowed lasts as long as the link at most.
func (b *borrowed) Done() <-chan struct{} { return b.peer.session.Done() }

// Cause implements link.Session.
func (b *borrowed) Cause() *postern.Error { return b.peer.session.Cause() }

// Streams implements link.Session. The process that has the session counts them.
func (b *borrowed) Streams() int { return 0 }
