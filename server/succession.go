package server

import (
	"bufio"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/gateway"
	"github.com/postern-dev/postern/server/handover"
)

const (
	handOverPath     = "/hand-over"
	handOverProtocol = "postern-hand-over"
	// leaveOver is over how long agents are told that another process has taken over.
	leaveOver = 5 * time.Second
	// overLook is how often a process that was succeeded looks whether it is needed.
	overLook = 250 * time.Millisecond
	// revokedLook is how often it looks whether its agents' credentials are still good.
	// The other tells of those that are revoked; this is for when that fails.
	revokedLook = 10 * time.Second
)

// succession is what a server has to do with the processes before and after it.
type succession struct {
	taker   *handover.Taker // who we take over from, nil for nobody
	peers   *handover.Peers // the other processes of the node
	turn    sync.Mutex      // held while a hand-over is under way
	serving chan struct{}   // closed when this process accepts
	retired chan struct{}   // closed when another process has taken over
	finish  context.CancelFunc
}

// takeOver asks the server that uses the data directory to hand over. Where none does
// there is nothing to take over.
func (s *Server) takeOver(ctx context.Context) error {
	if err := handover.Supported(); err != nil {
		return err
	}
	conn, err := dialSocket(ctx, s.config.DataDir)
	if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
		s.log.InfoContext(ctx, "no server runs that could hand over; this one starts by itself", "data_dir", s.config.DataDir)
		return nil
	}
	if err != nil {
		return postern.Errorf(postern.CodeHandOverRefused, "the running server cannot be asked to hand over: %v", reason(err)).Because(err)
	}
	if err := requestHandOver(conn); err != nil {
		return errors.Join(err, conn.Close())
	}
	s.taker, err = handover.Ask(ctx, conn, s.options.Version)
	return err
}

// requestHandOver asks over the bootstrap socket, which speaks HTTP, to go over to the
// hand-over's own protocol. Nothing is read ahead: descriptors would be lost.
func requestHandOver(conn *net.UnixConn) error {
	const patience = 15 * time.Second
	_ = conn.SetDeadline(time.Now().Add(patience))
	request := "POST " + handOverPath + " HTTP/1.1\r\nHost: postern\r\nConnection: Upgrade\r\nUpgrade: " + handOverProtocol + "\r\nContent-Length: 0\r\n\r\n"
	if _, err := conn.Write([]byte(request)); err != nil {
		return notAnswered(err)
	}
	response, err := http.ReadResponse(bufio.NewReaderSize(byteReader{conn}, 16), nil)
	if err != nil {
		return notAnswered(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusSwitchingProtocols {
		return postern.Errorf(postern.CodeHandOverRefused,
			"the running server answered %q to the request to hand over; is it an older version? Restart it instead", response.Status)
	}
	return conn.SetDeadline(time.Time{})
}

func notAnswered(err error) error {
	return postern.Errorf(postern.CodeHandOverRefused, "the running server did not answer").Because(err)
}

// byteReader reads one byte at a time, so that whoever parses reads nothing ahead.
type byteReader struct{ net.Conn }

func (r byteReader) Read(b []byte) (int, error) { return r.Conn.Read(b[:min(len(b), 1)]) }

// inherited are the listeners that were handed over, and those that the process was
// started with.
func (s *Server) inherited() []handover.Listener {
	if s.taker == nil {
		return s.options.Listeners
	}
	return append(slices.Clone(s.taker.Listeners), s.options.Listeners...)
}

// closeUnused closes listeners that were handed over and are no longer configured.
func (s *Server) closeUnused() {
	used := s.listeners.toHandOver(s.config, s.socket)
	for _, ln := range s.inherited() {
		if !slices.ContainsFunc(used, ln.Same) {
			_ = ln.Close()
		}
	}
}

// openPeers makes what links this process with the others of the node.
func (s *Server) openPeers() error {
	s.credentials = newLiveCredentials(s.service, s.control, s.log)
	peers, err := handover.NewPeers(handover.PeersConfig{
		Dir: s.dir.file(processesDir), Cluster: s.cluster, Ports: s.edge, Sessions: forPeers{s.control, s.credentials}, Logger: s.log,
	})
	if err != nil {
		return unusable(s.dir.path, err)
	}
	s.peers, s.credentials.peers = peers, peers
	return nil
}

// prepare makes everything ready to accept: from the other processes of the node come
// the ports of endpoints and the sessions of agents.
func (s *Server) prepare(ctx context.Context) error {
	if s.taker != nil {
		ports, err := s.taker.Ports(ctx)
		if err != nil {
			return err
		}
		s.edge.AdoptPorts(edge.PortSockets{TCP: ports.TCP, UDP: ports.UDP})
		s.gateways.Adopt(adoptedSockets(ports.Gateways))
	}
	if err := errors.Join(s.readClouds(ctx), s.readPages(ctx)); err != nil {
		return err
	}
	if handover.Supported() != nil {
		return s.builder.Sync(ctx) // nobody can have been before
	}
	switch err := s.peers.Join(ctx); {
	case err != nil && s.taker != nil:
		return err
	case err != nil:
		s.log.WarnContext(ctx, "a process that was succeeded cannot be reached; its agents' visitors come too late", "error", err)
	}
	return s.builder.Sync(ctx)
}

// begin tells the process before this one that this one accepts, and notes that it
// does. An error means that the other goes on, which has waited for too long.
func (s *Server) begin(ctx context.Context) error {
	s.edge.ServeAdopted()
	s.gateways.ServeAdopted()
	if s.taker != nil {
		switch goesOn, err := s.taker.Serving(ctx); {
		case goesOn:
			return err // two would serve for ever, and nobody knew
		case err != nil:
			s.log.WarnContext(ctx, "the server before this one did not confirm the hand-over", "error", err)
		default:
			s.log.InfoContext(ctx, "took over from the running server", "its_version", s.taker.Release)
		}
	}
	close(s.serving)
	return nil
}

// handOver answers a process that wants to take over.
func (s *Server) handOver(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != handOverProtocol {
		http.Error(w, "this is for another process of the server", http.StatusUpgradeRequired)
		return
	}
	busy := func() {
		http.Error(w, "the server is starting, stopping or handing over already", http.StatusConflict)
	}
	if !s.turn.TryLock() {
		busy()
		return
	}
	defer s.turn.Unlock()
	if !s.ready.Load() { // asked while nobody else can change it by a hand-over
		busy()
		return
	}
	taken, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "the connection cannot be taken over", http.StatusInternalServerError)
		return
	}
	conn, ok := taken.(*net.UnixConn)
	if !ok || buffered.Reader.Buffered() > 0 {
		_ = taken.Close()
		return
	}
	ctx := context.WithoutCancel(r.Context())
	_ = conn.SetDeadline(time.Now().Add(askTime))
	if _, err := conn.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + handOverProtocol + "\r\n\r\n")); err != nil {
		_ = conn.Close()
		return
	}
	_ = conn.SetDeadline(time.Time{})
	s.log.InfoContext(ctx, "another process wants to take over")
	err = handover.Giver{
		Release: s.options.Version, Listeners: s.listeners.toHandOver(s.settings(), s.socket), Lock: s.dir.lock, Retire: s.retire,
	}.Give(ctx, conn)
	if err != nil {
		s.log.WarnContext(ctx, "nothing was handed over; this process goes on", "error", err)
	}
}

// retire hands over by give, and after that leaves everything new to the other process.
func (s *Server) retire(give func(handover.PortSockets) error) error {
	err := s.edge.HandOver(func(ports edge.PortSockets) error {
		err := s.gateways.HandOver(func(sockets []gateway.Socket) error {
			return give(handover.PortSockets{TCP: ports.TCP, UDP: ports.UDP, Gateways: gatewaySockets(sockets)})
		})
		if err != nil {
			return err
		}
		close(s.retired) // before the listeners are closed, which would be a failure else
		return nil
	})
	if err != nil {
		return err
	}
	s.ready.Store(false)
	s.service.Retire()
	// The lock is the other's alone now: should that crash, a new one can start beside us.
	if err := s.dir.close(); err != nil {
		s.log.Warn("the data directory's lock was not closed", "error", err)
	}
	return nil
}

// isRetired tells whether another process has taken over.
func (s *Server) isRetired() bool {
	select {
	case <-s.retired:
		return true
	default:
		return false
	}
}

// leave ends this process when another has taken over and nobody needs it any more, or
// timeouts.upgrade_drain has passed.
func (s *Server) leave(ctx context.Context) error {
	select {
	case <-s.retired:
	case <-ctx.Done():
		return nil
	}
	most := s.settings().Timeouts.UpgradeDrain
	s.log.InfoContext(ctx, "another process has taken over; what is under way here goes on", "for_at_most", most.String(),
		"visitors", s.edge.Visitors(), "sessions", s.control.Connected())
	began := time.Now()
	draining, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	moved := make(chan struct{})
	go func() {
		defer close(moved)
		var connectors sync.WaitGroup
		defer connectors.Wait()
		connectors.Go(func() { s.gateways.Leave(draining, leaveOver) })
		s.control.Leave(draining, leaveOver)
	}()
	look, revoked := time.NewTicker(overLook), time.NewTicker(revokedLook)
	defer look.Stop()
	defer revoked.Stop()
	for s.edge.Visitors() > 0 || s.control.Connected() > 0 || s.gateways.Connectors() > 0 || s.gateways.Visits() > 0 {
		select {
		case <-look.C:
			continue
		case <-revoked.C:
			s.credentials.refresh(ctx, "")
			continue
		case <-draining.Done():
		}
		break
	}
	cancel()
	<-moved
	s.log.InfoContext(ctx, "this process has done its part", "took", time.Since(began).Round(time.Millisecond).String(),
		"visitors", s.edge.Visitors(), "sessions", s.control.Connected())
	s.finish()
	<-ctx.Done()
	return nil
}
