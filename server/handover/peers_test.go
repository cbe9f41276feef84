//go:build unix

package handover_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/handover"
)

// node is a process of the node, as far as its peers see it.
type node struct {
	*handover.Peers
	t       *testing.T
	cluster *cluster.Local

	mu       sync.Mutex
	sessions map[postern.SessionID]*session
	revoked  []postern.CredentialID
	changed  []postern.CredentialID
	ports    map[uint16]int
}

func newNode(t *testing.T, dir string) *node {
	t.Helper()
	n := &node{t: t, cluster: cluster.New(), sessions: make(map[postern.SessionID]*session), ports: make(map[uint16]int)}
	peers, err := handover.NewPeers(handover.PeersConfig{Dir: dir, Cluster: n.cluster, Ports: n, Sessions: n, Logger: testkit.Logger(t)})
	must(t, err)
	n.Peers = peers
	t.Cleanup(func() {
		if err := peers.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return n
}

func (n *node) OpenPort(_ postern.Scheme, port uint16) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports[port]++
	return nil
}

func (n *node) ClosePort(_ postern.Scheme, port uint16, _ bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ports[port]--
}

func (n *node) users(port uint16) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.ports[port]
}

func (n *node) Link(id postern.SessionID) link.Session {
	n.mu.Lock()
	defer n.mu.Unlock()
	if s := n.sessions[id]; s != nil {
		return s
	}
	return nil
}

func (n *node) CredentialRevoked(id postern.CredentialID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.revoked = append(n.revoked, id)
}

func (n *node) CredentialChanged(_ context.Context, id postern.CredentialID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changed = append(n.changed, id)
}

// session is an agent whose service answers each stream with what it was opened with.
type session struct {
	id   postern.SessionID
	done chan struct{}
	once sync.Once

	metadata string

	mu      sync.Mutex
	refuse  *postern.Error
	opened  []link.Header
	stopped string
	why     *postern.Error
}

func (n *node) agent(id postern.SessionID) *session {
	s := &session{id: id, done: make(chan struct{})}
	n.mu.Lock()
	n.sessions[id] = s
	n.mu.Unlock()
	n.t.Cleanup(func() { s.Close(nil) })
	return s
}

func (s *session) Open(_ context.Context, h link.Header, first []byte) (link.Stream, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		return nil, s.refuse
	}
	s.opened = append(s.opened, h)
	ours, agents := net.Pipe()
	go func() {
		defer agents.Close()
		if _, err := agents.Write(first); err == nil {
			_, _ = io.Copy(agents, agents)
		}
	}()
	return stream{ours}, nil
}

type stream struct{ net.Conn }

func (s stream) CloseWrite() error    { return s.Close() }
func (s stream) Reset(*postern.Error) { _ = s.Close() }

func (s *session) RemoteAddr() netip.AddrPort { return netip.MustParseAddrPort("192.0.2.1:1234") }
func (s *session) Transport() string          { return "ngrok/2" }
func (s *session) Command(context.Context, link.Command) error {
	return &postern.Error{Code: postern.CodeStopUnsupported}
}
func (s *session) Ping(context.Context) (time.Duration, error) { return 7 * time.Millisecond, nil }
func (s *session) Drain()                                      {}
func (s *session) Done() <-chan struct{}                       { return s.done }
func (s *session) Cause() *postern.Error                       { return nil }
func (s *session) Streams() int                                { return 0 }
func (s *session) StopEndpoint(_ context.Context, id string, _ *postern.Error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = id
	return nil
}

func (s *session) Close(why *postern.Error) {
	s.once.Do(func() {
		s.mu.Lock()
		s.why = why
		s.mu.Unlock()
		close(s.done)
	})
}

// live is an endpoint of a session.
func live(id postern.EndpointID, url string, s *session) cluster.Live {
	request, err := postern.ParseURLRequest(url, postern.HTTPS)
	if err != nil {
		panic(err)
	}
	return cluster.Live{
		Endpoint: postern.Endpoint{ID: id, URL: postern.URL{Scheme: request.Scheme, Host: request.Host, Port: request.Port},
			Account: "ac_1", Session: s.id, Name: "n", StartedAt: time.Now().UTC(),
			Options: postern.EndpointOptions{HostHeader: "h", KeyPEM: "secret key"}},
		BindID: "bind-" + string(id), Session: s, Client: "client-" + string(s.id), Since: time.Minute,
	}
}

func (n *node) eventually(what string, done func() bool) {
	n.t.Helper()
	deadline := time.After(10 * time.Second)
	for !done() {
		select {
		case <-time.After(time.Millisecond):
		case <-deadline:
			n.t.Fatalf("not: %s", what)
		}
	}
}

// speak opens a stream to an endpoint and checks that it is answered.
func (n *node) speak(id postern.EndpointID) error {
	n.t.Helper()
	found, ok := n.cluster.Find(id)
	if !ok {
		return errors.New("not online")
	}
	first := strings.Repeat("hello ", 20)
	st, err := found.Session.Open(n.t.Context(), link.Header{Endpoint: found.BindID, Scheme: postern.HTTPS,
		ClientAddr: netip.MustParseAddrPort("203.0.113.9:5555")}, []byte(first))
	if err != nil {
		return err
	}
	defer st.Close()
	must(n.t, st.SetDeadline(time.Now().Add(10*time.Second)))
	for i, want := range []string{first, "and more"} {
		if i > 0 {
			if _, err := io.WriteString(st, want); err != nil {
				return err
			}
		}
		got := make([]byte, len(want))
		if _, err := io.ReadFull(st, got); err != nil {
			return err
		}
		if string(got) != want {
			return fmt.Errorf("got %q for %q", got, want)
		}
	}
	return nil
}

// Each process reaches the sessions of the other, in both directions, and what comes
// and goes is followed.
func TestPeersLendEachOther(t *testing.T) {
	dir := t.TempDir()
	old, fresh := newNode(t, dir), newNode(t, dir)
	theirs := old.agent("ts_old")
	of := live("ep_1", "https://a.example", theirs)
	_, err := old.cluster.Register(of)
	must(t, err)
	must(t, fresh.Join(t.Context()))
	borrowed, ok := fresh.cluster.Find("ep_1") // Join has waited for it
	if !ok || !borrowed.Borrowed {
		t.Fatalf("%+v", borrowed)
	}
	if d := cmp.Diff(of.Endpoint, borrowed.Endpoint); d != "" || borrowed.Endpoint.Options.KeyPEM.Reveal() != "secret key" {
		t.Fatal(d)
	}
	if borrowed.Session.Transport() != "ngrok/2" || borrowed.Session.RemoteAddr() != theirs.RemoteAddr() || borrowed.Since != of.Since || borrowed.Client != of.Client {
		t.Fatalf("%+v", borrowed)
	}
	must(t, fresh.speak("ep_1"))
	if h := theirs.opened[0]; h.Endpoint != "bind-ep_1" || h.ClientAddr.String() != "203.0.113.9:5555" || h.Scheme != postern.HTTPS {
		t.Fatalf("%+v", h)
	}

	// The other direction, and a TCP endpoint's port.
	ours := fresh.agent("ts_new")
	release, err := fresh.cluster.Register(live("ep_2", "tcp://tcp.example:2222", ours))
	must(t, err)
	old.eventually("the old process has it", func() bool { return old.users(2222) == 1 })
	must(t, old.speak("ep_2"))
	must(t, fresh.cluster.Update("ep_2", func(e *postern.Endpoint) { e.Name = "another" }))
	old.eventually("its details have changed", func() bool { found, _ := old.cluster.Find("ep_2"); return found.Endpoint.Name == "another" })
	release()
	old.eventually("it is gone", func() bool { _, there := old.cluster.Find("ep_2"); return !there && old.users(2222) == 0 })

	// What goes offline on purpose nobody waits for, in the other process neither.
	third := live("ep_3", "https://c.example", theirs)
	release, err = old.cluster.Register(third)
	must(t, err)
	fresh.eventually("it is there", func() bool { _, there := fresh.cluster.Find("ep_3"); return there })
	release()
	old.cluster.Forget(third.Endpoint.URL)
	fresh.eventually("nobody waits for it", func() bool {
		_, there := fresh.cluster.Find("ep_3")
		return !there && fresh.cluster.Recent().HTTP("c.example", true).IsZero()
	})

	theirs.Close(nil)
	fresh.eventually("the session is over", func() bool { _, there := fresh.cluster.Find("ep_1"); return !there })
	if fresh.cluster.Recent().HTTP("a.example", true).IsZero() {
		t.Error("nobody waits for its return")
	}
}

// What a process has borrowed it does not lend: with three of them each has every
// endpoint once.
func TestNothingIsLentTwice(t *testing.T) {
	dir := t.TempDir()
	var nodes []*node
	for i := range 3 {
		n := newNode(t, dir)
		must(t, n.Join(t.Context()))
		id := fmt.Sprint(i)
		_, err := n.cluster.Register(live(postern.EndpointID("ep_"+id), "https://n"+id+".example", n.agent(postern.SessionID("ts_"+id))))
		must(t, err)
		nodes = append(nodes, n)
	}
	for _, n := range nodes {
		n.eventually("all three are there", func() bool { return len(n.cluster.Endpoints()) == 3 })
		for i := range 3 {
			must(t, n.speak(postern.EndpointID("ep_"+fmt.Sprint(i))))
		}
		if len(n.cluster.Lent()) != 1 {
			t.Errorf("lends %v", n.cluster.Lent())
		}
	}
	// One that ends takes only its own with it, and its socket.
	must(t, nodes[1].Close())
	for _, n := range []*node{nodes[0], nodes[2]} {
		n.eventually("two are left", func() bool { return len(n.cluster.Endpoints()) == 2 })
	}
	sockets, err := os.ReadDir(dir)
	must(t, err)
	if len(sockets) != 2 {
		t.Errorf("%v", sockets)
	}
}

// A session that cannot open says so before anything was sent, with its own code, so
// that another one can be tried.
func TestRefusalsTravel(t *testing.T) {
	dir := t.TempDir()
	old, fresh := newNode(t, dir), newNode(t, dir)
	s := old.agent("ts_old")
	release, err := old.cluster.Register(live("ep_1", "https://a.example", s))
	must(t, err)
	must(t, fresh.Join(t.Context()))
	borrowed, _ := fresh.cluster.Find("ep_1")
	s.mu.Lock()
	s.refuse = postern.Errorf(postern.CodeLinkDraining, "the session takes no new streams")
	s.mu.Unlock()
	if err := fresh.speak("ep_1"); !postern.HasCode(err, postern.CodeLinkDraining) {
		t.Errorf("%v", err)
	}
	release()
	if _, err := borrowed.Session.Open(t.Context(), link.Header{Endpoint: borrowed.BindID}, nil); !postern.HasCode(err, postern.CodeLinkDraining) {
		t.Errorf("of an endpoint that is gone: %v", err)
	}
}

// A newcomer knows what was lost a moment before it came.
func TestNewcomersKnowWhatMayReturn(t *testing.T) {
	dir := t.TempDir()
	old, fresh := newNode(t, dir), newNode(t, dir)
	release, err := old.cluster.Register(live("ep_1", "https://a.example", old.agent("ts_old")))
	must(t, err)
	release()
	must(t, fresh.Join(t.Context()))
	if fresh.cluster.Recent().HTTP("a.example", true).IsZero() {
		t.Error("its visitors are told that it is offline")
	}
}

// What may be asked of another process's session.
func TestCallsToAnotherProcess(t *testing.T) {
	dir := t.TempDir()
	old, fresh := newNode(t, dir), newNode(t, dir)
	s := old.agent("ts_old")
	_, err := old.cluster.Register(live("ep_1", "https://a.example", s))
	must(t, err)
	must(t, fresh.Join(t.Context()))
	borrowed, _ := fresh.cluster.Find("ep_1")
	if took, err := borrowed.Session.Ping(t.Context()); took != 7*time.Millisecond || err != nil {
		t.Errorf("ping: %v, %v", took, err)
	}
	if err := borrowed.Session.Command(t.Context(), link.Command{Action: link.Stop}); !postern.HasCode(err, postern.CodeStopUnsupported) {
		t.Errorf("command: %v", err)
	}
	must(t, borrowed.Session.StopEndpoint(t.Context(), borrowed.BindID, nil))
	if s.stopped != "bind-ep_1" {
		t.Errorf("stopped %q", s.stopped)
	}
	another := old.agent("ts_another")
	_, err = old.cluster.Register(live("ep_2", "https://b.example", another))
	must(t, err)
	if err := borrowed.Session.StopEndpoint(t.Context(), "ep_2", nil); !postern.HasCode(err, postern.CodeNotFound) || another.stopped != "" || s.stopped != "bind-ep_1" {
		t.Errorf("the endpoint of another session: %v", err)
	}
	fresh.CredentialRevoked("cr_here")
	fresh.Peers.CredentialRevoked("cr_1")
	old.eventually("it hears of the revocation", func() bool {
		old.mu.Lock()
		defer old.mu.Unlock()
		return slices.Equal(old.revoked, []postern.CredentialID{"cr_1"})
	})
	fresh.Peers.CredentialChanged("cr_2")
	old.eventually("it hears of the change", func() bool {
		old.mu.Lock()
		defer old.mu.Unlock()
		return slices.Equal(old.changed, []postern.CredentialID{"cr_2"})
	})
	old.Peers.CredentialChanged("")
	fresh.eventually("it hears that anything may have changed", func() bool {
		fresh.mu.Lock()
		defer fresh.mu.Unlock()
		return slices.Equal(fresh.changed, []postern.CredentialID{""}) && len(fresh.revoked) == 1
	})
	borrowed.Session.Close(postern.Errorf(postern.CodeLinkLost, "silent"))
	<-s.done
	if !postern.HasCode(s.why, postern.CodeLinkLost) {
		t.Errorf("closed because of %v", s.why)
	}
}

// A process that crashed leaves its socket behind: the next one removes it. One that
// speaks something else is an error.
func TestJoinMeetsLeftovers(t *testing.T) {
	dir := t.TempDir()
	crashed, err := handover.Listen(dir, "aaaaaaaaaaaa.sock")
	must(t, err)
	must(t, crashed.Close())
	must(t, os.WriteFile(filepath.Join(dir, "notes.txt"), nil, 0o600))
	n := newNode(t, dir)
	must(t, n.Join(t.Context()))
	if _, err := os.Stat(filepath.Join(dir, "aaaaaaaaaaaa.sock")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket of the crashed one: %v", err)
	}
	strange, err := handover.Listen(dir, "bbbbbbbbbbbb.sock")
	must(t, err)
	defer strange.Close()
	go func() {
		if conn, err := strange.Accept(); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n and so on")
			_ = conn.Close()
		}
	}()
	if err := n.Join(t.Context()); err == nil {
		t.Error("a stranger was joined")
	}
}
