package handover

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/cluster"
)

// Ports opens and closes the listeners of TCP endpoints, as control's do.
type Ports interface {
	OpenPort(scheme postern.Scheme, port uint16) error
	ClosePort(scheme postern.Scheme, port uint16, mayReturn bool)
}

// Sessions are the agents' sessions of this process, for what the others ask of them.
type Sessions interface {
	// Link returns a session that is connected here, nil for none.
	Link(id postern.SessionID) link.Session
	// CredentialRevoked ends the sessions of a credential.
	CredentialRevoked(id postern.CredentialID)
	// CredentialChanged has the sessions of a credential, or of each one if id is "",
	// obey what it has become.
	CredentialChanged(ctx context.Context, id postern.CredentialID)
	// SessionsOf lists an account's sessions.
	SessionsOf(account postern.AccountID) []postern.Session
	// Command has a session's agent do something, as control's does.
	Command(ctx context.Context, id postern.SessionID, command link.Command) error
}

// PeersConfig is what Peers are made of. All is required.
type PeersConfig struct {
	Dir      string // where the processes of this node have their sockets; made if missing
	Cluster  *cluster.Local
	Ports    Ports
	Sessions Sessions
	Logger   *slog.Logger
}

// Peers are this process's links with the other processes of the node. Make them with
// NewPeers; Close must be called in the end. All methods may be called from anywhere.
type Peers struct {
	config   PeersConfig
	id       string
	listener *net.UnixListener
	ctx      context.Context // ends with Close
	cancel   context.CancelFunc
	all      sync.WaitGroup

	mu     sync.Mutex
	linked map[string]*peer // by the process's id
}

const (
	socketSuffix = ".sock"
	greetTime    = 5 * time.Second
	mostPeers    = 64
)

// NewPeers makes this process's socket and serves whoever joins over it. It joins
// nobody by itself.
func NewPeers(c PeersConfig) (*Peers, error) {
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, err
	}
	p := &Peers{config: c, id: strings.ToLower(rand.Text()[:12]), linked: make(map[string]*peer)}
	ln, err := Listen(c.Dir, p.id+socketSuffix)
	if err != nil {
		return nil, err
	}
	p.listener = ln
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.all.Go(p.accept)
	return p, nil
}

// Join links this process with every other one of the node, and returns when each has
// said what it lends. Sockets that nobody listens on any more are removed. The error is
// that of processes that listen and cannot be linked with.
func (p *Peers) Join(ctx context.Context) error {
	entries, err := os.ReadDir(p.config.Dir)
	if err != nil {
		return err
	}
	var failures []error
	for _, entry := range entries {
		id, isSocket := strings.CutSuffix(entry.Name(), socketSuffix)
		if !isSocket || id == p.id {
			continue
		}
		if err := p.joinOne(ctx, id); err != nil {
			failures = append(failures, err)
		}
	}
	return errors.Join(failures...)
}

func (p *Peers) joinOne(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, stepTime)
	defer cancel()
	conn, err := Dial(ctx, p.config.Dir, id+socketSuffix)
	if isRefused(err) {
		return p.sweep(id)
	}
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	other, err := greet(conn, p.id, true)
	stop()
	if err == nil && other != id {
		err = unreadable(errors.New("it has the socket of another one"))
	}
	if err != nil {
		_ = conn.Close()
		return err
	}
	one := p.link(conn, id, true)
	if one == nil {
		return nil // linked already, or closing
	}
	select {
	case <-one.complete:
		return nil
	case <-one.session.Done():
		return nil // it has ended; there is nothing to borrow
	case <-ctx.Done():
		return postern.Errorf(postern.CodeHandOverRefused, "the process %s did not say what it has", id).Because(ctx.Err())
	}
}

// isRefused tells whether nobody listens on a socket.
func isRefused(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist)
}

// sweep removes the socket of a process that has crashed.
func (p *Peers) sweep(id string) error {
	err := os.Remove(filepath.Join(p.config.Dir, id+socketSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// accept takes processes that join until the listener is closed.
func (p *Peers) accept() {
	for {
		conn, err := p.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed) || p.ctx.Err() != nil:
			return
		case err != nil:
			p.config.Logger.WarnContext(p.ctx, "another process of the node could not be accepted", "error", err)
			select {
			case <-time.After(time.Second):
			case <-p.ctx.Done():
			}
			continue
		}
		p.all.Go(func() { p.welcome(conn) })
	}
}

func (p *Peers) welcome(conn *net.UnixConn) {
	id, err := greet(conn, p.id, false)
	if err != nil {
		p.config.Logger.WarnContext(p.ctx, "a process that joined was refused", "error", err)
		_ = conn.Close()
		return
	}
	p.link(conn, id, false)
}

// link starts the link with a process, unless there is one.
func (p *Peers) link(conn net.Conn, id string, dialled bool) *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil || p.linked[id] != nil || len(p.linked) >= mostPeers {
		_ = conn.Close()
		return nil
	}
	one := newPeer(p, conn, id, dialled)
	p.linked[id] = one
	one.start()
	return one
}

func (p *Peers) unlink(one *peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.linked[one.id] == one {
		delete(p.linked, one.id)
	}
}

func (p *Peers) others() []*peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]*peer, 0, len(p.linked))
	for _, one := range p.linked {
		all = append(all, one)
	}
	return all
}

// CredentialRevoked has the other processes end their sessions of the credential. It
// does not wait for them: one that hangs must not keep the next revocation from here.
func (p *Peers) CredentialRevoked(id postern.CredentialID) { p.tellAll(opRevoke, id) }

// CredentialChanged has the other processes look at what a credential has become, or
// each one if id is "". Like CredentialRevoked it does not wait for them.
func (p *Peers) CredentialChanged(id postern.CredentialID) { p.tellAll(opChange, id) }

func (p *Peers) tellAll(op operation, id postern.CredentialID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return
	}
	for _, one := range p.linked {
		p.all.Go(func() {
			if err := one.call(p.ctx, call{Op: op, Credential: id}, nil); err != nil && p.ctx.Err() == nil {
				p.config.Logger.WarnContext(p.ctx, "another process of the node did not hear of a credential's change", "process", one.id, "change", op, "credential", id, "error", err)
			}
		})
	}
}

// Close ends all links and removes the socket. What was borrowed is offline then.
func (p *Peers) Close() error {
	p.mu.Lock()
	p.cancel() // from here on nothing of ours is started
	p.mu.Unlock()
	err := p.listener.Close()
	for _, one := range p.others() {
		one.session.Close(postern.Errorf(postern.CodeLinkLost, "the process ends"))
	}
	p.all.Wait()
	return errors.Join(err, p.sweep(p.id))
}

// greet says who we are and hears who the other is. Who dialled speaks first.
func greet(conn *net.UnixConn, id string, dialled bool) (other string, err error) {
	if err := checkPeer(conn); err != nil {
		return "", err
	}
	if err := conn.SetDeadline(time.Now().Add(greetTime)); err != nil {
		return "", err
	}
	say := func() error {
		_, err := conn.Write(appendGreeting(nil, id))
		return err
	}
	if dialled {
		if err := say(); err != nil {
			return "", err
		}
	}
	if other, err = readGreeting(conn); err != nil {
		return "", err
	}
	if !dialled {
		if err := say(); err != nil {
			return "", err
		}
	}
	return other, conn.SetDeadline(time.Time{})
}
