package sshr

import (
	"context"
	"crypto/rand"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	// sessionGrace is how long after its first remote forward a client may take to open a
	// session channel: ssh sends both at once, unless it runs with -N.
	sessionGrace = 500 * time.Millisecond
	// commandGrace is how long after that it may take to say what runs there.
	commandGrace = 10 * time.Second
	// bindTime bounds one remote forward.
	bindTime = 30 * time.Second
	// queued is how many requests a client may have under way.
	queued = 256
)

// place is where a client asked for a remote forward; its channels are named by it.
type place struct {
	address string
	port    uint32
}

// forward is a remote forward: an endpoint.
type forward struct {
	id    string
	asked place
	bound link.Bound
	ready chan struct{} // closed once the client knows, or never will
	live  bool          // it is online; the session's lock guards it
}

// remoteForward is the payload of tcpip-forward and cancel-tcpip-forward (RFC 4254 §7.1).
type remoteForward struct {
	Address string
	Port    uint32
}

// parseForward reads a payload. Errors are *postern.Error.
func parseForward(payload []byte) (place, error) {
	var asked remoteForward
	if err := ssh.Unmarshal(payload, &asked); err != nil {
		return place{}, postern.Errorf(postern.CodeProtocolViolation, "the request for a remote forward cannot be read").Because(err)
	}
	if asked.Port > 65535 {
		return place{}, postern.Errorf(postern.CodeBindInvalid, "port %d is not a number from 0 to 65535", asked.Port)
	}
	return place{asked.Address, asked.Port}, nil
}

// answerAll answers the client's requests, one after the other as SSH wants it.
func (s *session) answerAll(ctx context.Context, requests <-chan *ssh.Request) {
	waiting := make(chan *ssh.Request, queued)
	s.work.Go(func() {
		defer close(waiting)
		for request := range requests {
			if request.Type == "tcpip-forward" {
				s.mu.Lock()
				s.asked++
				s.mu.Unlock()
			}
			select {
			case waiting <- request:
			case <-s.done:
				return
			}
		}
	})
	for request := range waiting {
		s.answer(ctx, request)
	}
}

func (s *session) answer(ctx context.Context, request *ssh.Request) {
	switch request.Type {
	case "tcpip-forward":
		s.bind(ctx, request)
	case "cancel-tcpip-forward":
		ok := s.unbind(ctx, request.Payload)
		s.reply(request, ok, nil)
	case keepalive:
		s.reply(request, true, nil)
	default:
		s.reply(request, false, nil)
	}
}

func (s *session) reply(request *ssh.Request, ok bool, payload []byte) {
	if request.WantReply {
		_ = request.Reply(ok, payload) // a client that is gone is seen elsewhere
	}
}

// bind takes an endpoint online for a remote forward.
func (s *session) bind(ctx context.Context, request *ssh.Request) {
	ctx, cancel := context.WithTimeout(ctx, bindTime)
	defer cancel()
	if s.refused != nil {
		s.reply(request, false, nil)
		return
	}
	options := s.await(ctx)
	if s.Cause() != nil { // its command cannot be read, perhaps
		s.reply(request, false, nil)
		return
	}
	asked, err := parseForward(request.Payload)
	if err != nil {
		s.refuse(request, asked, err)
		return
	}
	f, err := s.take(ctx, asked, options)
	if err != nil {
		s.refuse(request, asked, err)
		return
	}
	var answer []byte
	if asked.port == 0 {
		answer = ssh.Marshal(struct{ Port uint32 }{f.asked.port})
	}
	s.reply(request, true, answer)
	close(f.ready)
	s.show(f.line())
}

// take binds, and puts the forward where it is found.
func (s *session) take(ctx context.Context, asked place, o Options) (*forward, error) {
	wanted, err := o.Request(asked.address, uint16(asked.port))
	if err != nil {
		return nil, err
	}
	f := &forward{id: rand.Text(), asked: asked, ready: make(chan struct{})}
	wanted.ID = f.id
	s.mu.Lock()
	if asked.port != 0 && s.places[asked] != nil {
		s.mu.Unlock()
		return nil, postern.Errorf(postern.CodeBindInvalid, "the client asked for the same remote forward twice; give the second one another name or port")
	}
	s.forwards[f.id] = f // visitors come as soon as it is bound
	s.mu.Unlock()
	bound, err := s.binder.Bind(ctx, wanted)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		delete(s.forwards, f.id)
		return nil, err
	}
	f.bound, f.live = bound, true
	if f.asked.port == 0 {
		f.asked.port = s.freePort(f)
	}
	s.places[f.asked] = f
	return f, nil
}

// freePort is what a client is told it was given for port 0: a TCP endpoint's, else one
// that tells its forwards apart. mu is held.
func (s *session) freePort(f *forward) uint32 {
	port := uint32(f.bound.URL.Port)
	if port == 0 {
		port = portHTTPS
	}
	for ; s.places[place{f.asked.address, port}] != nil; port++ {
		if port == 65535 {
			port = 0
		}
	}
	return port
}

// refuse tells the client that there is no remote forward, and people why. When nothing
// is online that people could use, the session is over.
func (s *session) refuse(request *ssh.Request, asked place, err error) {
	why := postern.AsError(err)
	s.server.config.Logger.DebugContext(context.Background(), "remote forward refused", "address", asked.address, "port", asked.port, "error", why)
	s.reply(request, false, nil)
	lines := append([]string{"Refused     -R " + asked.String()}, problemLines(why)...)
	if why.Code == postern.CodePortUnavailable {
		lines = append(lines, "            A web endpoint is -R 80:HOST:PORT, whatever port the service has.")
	}
	s.show(lines...)
	s.mu.Lock()
	s.asked--
	idle := s.asked == 0 && len(s.screens) > 0
	s.mu.Unlock()
	if idle {
		s.part(statusRefused, postern.Errorf(postern.CodeSSHRequestRefused, "no remote forward of this connection is online"))
	}
}

// unbind takes an endpoint offline at its client's request.
func (s *session) unbind(ctx context.Context, payload []byte) bool {
	asked, err := parseForward(payload)
	if err != nil {
		return false
	}
	s.mu.Lock()
	f := s.places[asked]
	s.mu.Unlock()
	if f == nil || s.forget(f.id) == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, bindTime)
	defer cancel()
	if err := s.binder.Unbind(ctx, f.id); err != nil {
		return false
	}
	s.show("Ended       " + f.bound.PublicURL)
	return true
}

// forget takes a forward out of the tables; nil if it was not there.
func (s *session) forget(id string) *forward {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.forwards[id]
	if f == nil || !f.live {
		return nil
	}
	f.live = false
	delete(s.forwards, id)
	delete(s.places, f.asked)
	s.asked--
	return f
}

// forwardOf is the forward of an endpoint, once the client knows of it.
func (s *session) forwardOf(ctx context.Context, id string) (*forward, error) {
	s.mu.Lock()
	f, cause, draining := s.forwards[id], s.cause, s.draining
	s.mu.Unlock()
	switch {
	case cause != nil:
		return nil, cause
	case draining:
		return nil, postern.Errorf(postern.CodeLinkDraining, "the session takes no new streams")
	case f == nil:
		return nil, postern.Errorf(postern.CodeStreamRefused, "the endpoint is not one of the SSH client's")
	}
	select {
	case <-f.ready:
		return f, nil
	case <-s.done:
		return nil, s.Cause()
	case <-ctx.Done():
		return nil, postern.Errorf(postern.CodeStreamLimit, "the SSH client does not know of its endpoint yet").Because(ctx.Err())
	}
}
