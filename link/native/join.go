package native

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"sync"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// The types of streams that only this wire has.
const (
	typeJoin     uint32 = 12 // the first request of a further carrier
	typeContinue uint32 = 13 // a leg of a stream that has moved
	typeMore     uint32 = 14 // the server asks for further carriers
)

// extensionCarriers: the session may have further carriers, and streams move.
const extensionCarriers = "carriers"

// joinRequest makes a connection a further carrier of a session.
type joinRequest struct {
	Session string
	Secret  sessionmsg.Token
	Carrier uint32 // its number, from 1, never used before in the session
}

type joinReply struct{ Error string }

// moreNotice asks the agent for further carriers.
type moreNotice struct{ Carriers int }

// Hub knows the sessions of one server that take further carriers. The zero value
// is ready for use, by all calls of Serve.
type Hub struct {
	mu       sync.Mutex
	sessions map[string]*server
}

// enrol makes s known under a name that says nothing, and gives the secret that a
// carrier must bring. Both end with the session.
func (h *Hub) enrol(s *server) (name string, secret sessionmsg.Token) {
	name, secret = randomText(16), sessionmsg.Token(randomText(32))
	s.secret = string(secret)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.sessions == nil {
		h.sessions = make(map[string]*server)
	}
	h.sessions[name] = s
	s.name = name
	return name, secret
}

func (h *Hub) dismiss(s *server) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.name != "" {
		delete(h.sessions, s.name)
	}
}

// find gives the session that r may join, nil for none. That a name exists is no
// secret: it is as hard to guess as the secret itself.
func (h *Hub) find(r joinRequest) *server {
	h.mu.Lock()
	s := h.sessions[r.Session]
	h.mu.Unlock()
	if s == nil || subtle.ConstantTimeCompare([]byte(s.secret), []byte(string(r.Secret))) != 1 {
		return nil
	}
	return s
}

func randomText(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// serveFurther runs the server's end of a connection whose first request is a join.
// It returns when the connection has ended.
func serveFurther(ctx context.Context, session *mux.Session, st *mux.Stream, c Config) error {
	stop := context.AfterFunc(ctx, func() {
		session.Close(postern.Errorf(postern.CodeLinkDraining, "the server ended the session"))
	})
	defer stop()
	defer func() { <-session.Closed() }()
	s, f, err := join(ctx, session, st, c)
	if err != nil {
		refuse(session, st, postern.AsError(err))
		return err
	}
	err = sessionmsg.Write(st, joinReply{})
	_ = st.Close()
	if err != nil {
		session.Close(postern.AsError(err))
	}
	s.carriers.serve(f)
	return session.Cause()
}

func join(ctx context.Context, session *mux.Session, st *mux.Stream, c Config) (*server, *further, error) {
	_ = st.SetDeadline(time.Now().Add(cmp.Or(c.AuthTimeout, authTimeout)))
	var request joinRequest
	if err := sessionmsg.Read(st, &request); err != nil {
		return nil, nil, err
	}
	s := c.Hub.find(request)
	if s == nil {
		return nil, nil, postern.Errorf(postern.CodeProtocolViolation, "there is no such session, or the secret is not its own")
	}
	if s.follower != nil {
		if err := s.follower.Follow(ctx, sessionmsg.Remote(session)); err != nil {
			return nil, nil, err
		}
	}
	session.SetBudget(s.carriers.budget)
	session.SetLimits(furtherLimits)
	f, err := s.carriers.add(request.Carrier, session, false)
	if err != nil {
		return nil, nil, err
	}
	s.arrived()
	s.carriers.offerPlaces()
	return s, f, nil
}

// refuse says why a connection cannot join, and gives the peer a moment to read it.
func refuse(session *mux.Session, st *mux.Stream, why *postern.Error) {
	_ = sessionmsg.Write(st, joinReply{Error: sessionmsg.ErrorText(why)})
	_ = st.CloseWrite()
	select {
	case <-session.Done():
	case <-time.After(time.Second):
	}
	session.Close(why)
}
