package connector

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
)

// fakeGateway is the far end of lines: it takes connections or not, and opens streams as
// consumers do.
type fakeGateway struct {
	fixed   bool
	latency time.Duration

	mu      sync.Mutex
	refuse  error                  // of the next connections; nil: they are taken
	offers  map[Key]*postern.Error // refusals of single remotes
	wires   []*fakeWire            // that were made
	asked   [][]Remote             // what each attempt offered
	targets map[Key]string         // what is offered now
}

func (g *fakeGateway) connect(_ context.Context, remotes []Remote) (wire, time.Duration, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = append(g.asked, remotes)
	if g.refuse != nil {
		return nil, 0, g.refuse
	}
	w := &fakeWire{g: g, streams: make(chan fakeOpen), done: make(chan struct{}), draining: make(chan struct{})}
	g.targets = map[Key]string{}
	if g.fixed {
		for _, r := range remotes {
			g.targets[r.Key] = r.Target()
		}
	}
	g.wires = append(g.wires, w)
	return w, g.latency, nil
}

func (g *fakeGateway) refuseAll(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refuse = err
}

func (g *fakeGateway) refuseOffer(k Key, err *postern.Error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.offers == nil {
		g.offers = map[Key]*postern.Error{}
	}
	g.offers[k] = err
}

func (g *fakeGateway) latest() *fakeWire {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.wires[len(g.wires)-1]
}

// forget drops what is kept of connections that were made.
func (g *fakeGateway) forget() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.asked = nil
	g.wires = nil
}

func (g *fakeGateway) attempts() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.asked)
}

// online lists what is offered: "8081=db:80".
func (g *fakeGateway) online() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []string
	for k, target := range g.targets {
		all = append(all, k.String()+"="+target)
	}
	slices.Sort(all)
	return all
}

type fakeOpen struct {
	key    Key
	header link.Header
	stream link.Stream
}

type fakeWire struct {
	g        *fakeGateway
	streams  chan fakeOpen
	done     chan struct{}
	draining chan struct{}

	mu     sync.Mutex
	cause  *postern.Error
	mute   bool // pings are not answered
	pings  int
	opened []*fakeStream
}

func (w *fakeWire) Accept(ctx context.Context) (Key, link.Header, link.Stream, error) {
	select {
	case o := <-w.streams:
		return o.key, o.header, o.stream, nil
	case <-w.done:
		return Key{}, link.Header{}, nil, w.Cause()
	case <-ctx.Done():
		return Key{}, link.Header{}, nil, ctx.Err()
	}
}

func (w *fakeWire) Offer(_ context.Context, r Remote) error {
	w.g.mu.Lock()
	defer w.g.mu.Unlock()
	if err := w.g.offers[r.Key]; err != nil {
		return err
	}
	if before, taken := w.g.targets[r.Key]; taken {
		return postern.Errorf(postern.CodeGatewayPortConflict, "%s is taken by %s", r.Key, before)
	}
	w.g.targets[r.Key] = r.Target()
	return nil
}

func (w *fakeWire) Withdraw(_ context.Context, k Key) error {
	w.g.mu.Lock()
	defer w.g.mu.Unlock()
	delete(w.g.targets, k)
	return nil
}

func (w *fakeWire) Fixed() bool { return w.g.fixed }

func (w *fakeWire) Ping(ctx context.Context) (time.Duration, error) {
	w.mu.Lock()
	w.pings++
	mute := w.mute
	w.mu.Unlock()
	if !mute {
		return time.Millisecond, nil
	}
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-w.done:
		return 0, w.Cause()
	}
}

func (w *fakeWire) Draining() <-chan struct{} { return w.draining }

func (w *fakeWire) Close(why *postern.Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause == nil {
		w.cause = why
		close(w.done)
		for _, s := range w.opened {
			s.Reset(why)
		}
	}
}

func (w *fakeWire) Done() <-chan struct{} { return w.done }

func (w *fakeWire) Cause() *postern.Error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause
}

func (w *fakeWire) Name() string { return "fake" }

// open is a consumer that connects to a port; it gives the consumer's end.
func (w *fakeWire) open(t *testing.T, k Key) *fakeStream {
	t.Helper()
	near, far := newFakeStream()
	w.mu.Lock()
	w.opened = append(w.opened, far)
	w.mu.Unlock()
	header := link.Header{ClientAddr: netip.MustParseAddrPort("192.0.2.7:50000")}
	select {
	case w.streams <- fakeOpen{key: k, header: header, stream: far}:
	case <-w.done:
		t.Fatal("the connection has ended")
	}
	return near
}

// fakeStream is one end of a stream with resets that carry their reason.
type fakeStream struct {
	net.Conn
	shared *fakeReset
}

type fakeReset struct {
	mu  sync.Mutex
	why *postern.Error
}

func newFakeStream() (near, far *fakeStream) {
	a, b := testkit.Pipe()
	shared := new(fakeReset)
	return &fakeStream{a, shared}, &fakeStream{b, shared}
}

func (s *fakeStream) CloseWrite() error { return s.Conn.(*testkit.PipeConn).CloseWrite() }

func (s *fakeStream) Reset(why *postern.Error) {
	s.shared.mu.Lock()
	if s.shared.why == nil {
		s.shared.why = why
	}
	s.shared.mu.Unlock()
	_ = s.Conn.(*testkit.PipeConn).SetLinger(0)
	_ = s.Conn.Close()
}

// refusal reads to the end and gives why the stream was reset; nil: it was not.
func (s *fakeStream) refusal() *postern.Error {
	_, err := io.Copy(io.Discard, s)
	if err == nil {
		return nil
	}
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	return s.shared.why
}

// journal keeps a log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// lines are the log's, without their times.
func (j *journal) lines() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []string
	for line := range strings.Lines(j.text.String()) {
		_, words, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " client: ")
		all = append(all, words)
	}
	return all
}

// rig is a connector whose gateways are fakes.
type rig struct {
	*Connector
	log  *journal
	end  context.CancelFunc
	done chan error
}

// newRig makes a connector of one gateway; change may alter what it is made of.
func newRig(t *testing.T, far *fakeGateway, change func(*Config), remotes ...string) *rig {
	t.Helper()
	parsed, _, err := ParseRemotes(remotes)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{log: new(journal), done: make(chan error, 1)}
	config := Config{
		Gateways: []Gateway{{Name: "test", Address: "http://gateway.test/sg_1", Remotes: parsed, Retry: Retry{Count: -1, Classic: true}, CAs: "host"}},
		Logger:   slog.New(NewClassic(r.log, slog.LevelInfo)),
		Drain:    5 * time.Second,
	}
	if change != nil {
		change(&config)
	}
	if r.Connector, err = New(config); err != nil {
		t.Fatal(err)
	}
	r.reach = func(*route) connector { return far.connect }
	for _, g := range r.gateways {
		for _, l := range g.lines {
			l.connect = far.connect
		}
	}
	return r
}

// start runs it.
func (r *rig) start(t *testing.T) {
	t.Helper()
	ctx, end := context.WithCancel(context.Background())
	r.end = end
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(end)
}

// stop ends it in order.
func (r *rig) stop(t *testing.T) {
	t.Helper()
	r.end()
	if err := <-r.done; err != nil {
		t.Errorf("Run = %v", err)
	}
}

var errNobody = errors.New("dial tcp 192.0.2.1:80: connect: connection refused")

func unreachable() error {
	return postern.Errorf(postern.CodeServerUnreachable, "%v", errNobody).Because(errNobody)
}
