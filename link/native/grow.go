package native

import (
	"context"
	"net"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
)

const (
	// dialsAtOnce bounds the further carriers that are being dialled.
	dialsAtOnce = 8

	// joinPatience bounds the making of one, from the dial to the server's answer.
	joinPatience = 10 * time.Second

	// After a failure no carrier is dialled for a while, twice as long each time.
	leastPause = time.Second
	mostPause  = time.Minute

	// askAgain is how long the server waits for carriers that it has asked for.
	askAgain = 2 * time.Second
)

// askForMore has the agent dial n carriers. mu is held.
func (s *server) askForMore(n int) {
	now := time.Now()
	if s.coming > 0 && now.Sub(s.askedAt) < askAgain && n <= s.coming {
		return
	}
	s.askedAt, s.coming = now, n
	s.asking.Go(func() { s.ask(n) })
}

func (s *server) ask(n int) {
	raw, err := sessionmsg.Encode(moreNotice{n})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), askAgain)
	defer cancel()
	st, err := s.zero.Open(ctx, typeMore, raw)
	if err != nil {
		return // the session ends, or asks again
	}
	_ = st.Close()
}

// arrived counts a carrier that has joined.
func (s *server) arrived() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.coming = max(s.coming-1, 0)
}

// dialler makes the agent's further carriers.
type dialler struct {
	dial    func(context.Context) (net.Conn, error)
	life    context.Context // ends with the session
	session string
	secret  sessionmsg.Token

	// Guarded by carriers.mu.
	last    uint32 // number given
	pause   time.Duration
	notTill time.Time
}

// dialMore starts n dials, or fewer. mu is held.
func (c *Client) dialMore(n int) {
	select {
	case <-c.zero.Draining():
		return // the next streams go elsewhere
	case <-c.zero.Done():
		return
	default:
	}
	if c.carriers.ended || time.Now().Before(c.notTill) {
		return
	}
	have := 0
	for _, f := range c.all {
		if !f.joining {
			have++
		}
	}
	for n = min(n, dialsAtOnce, c.most-have) - c.coming; n > 0; n-- {
		c.coming++
		c.askedAt = time.Now()
		c.last++
		number := c.last
		c.serving.Go(func() { c.bring(number) })
	}
}

// asked makes the further carriers that the server would like.
func (c *Client) asked(stream link.Stream) {
	var notice moreNotice
	if err := sessionmsg.Read(stream, &notice); err != nil {
		c.config.Logger.DebugContext(c.life, "a notice of the server cannot be read", "error", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.on {
		c.dialMore(notice.Carriers)
	}
}

// bring makes one further carrier and serves it to its end.
func (c *Client) bring(number uint32) {
	f, err := c.join(number)
	c.mu.Lock()
	c.coming--
	if err != nil {
		c.pause = min(max(2*c.pause, leastPause), mostPause)
		c.notTill = time.Now().Add(c.pause)
	} else {
		c.pause = 0
	}
	c.mu.Unlock()
	if err != nil {
		c.config.Logger.DebugContext(c.life, "a further connection could not be made", "error", err)
		return
	}
	c.offerPlaces()
	c.carriers.serve(f)
	<-f.Closed()
}

// join dials and asks to be taken in.
func (c *Client) join(number uint32) (*further, error) {
	ctx, cancel := context.WithTimeout(c.life, joinPatience)
	defer cancel()
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	session := newCarrier(conn, true, clientLimits, c.budget, usualBacklog, c.config.Logger)
	// The server may move streams to the carrier before its reply is read: it is one
	// of ours from the beginning, but not to be used before.
	f, err := c.carriers.add(number, session, true)
	if err == nil {
		request := joinRequest{Session: c.session, Secret: c.secret, Carrier: number}
		var reply joinReply
		if err = call(ctx, session, typeJoin, request, &reply); err == nil {
			err = asError(sessionmsg.ParseErrorText(reply.Error, postern.CodeInternal))
		}
	}
	if err != nil {
		session.Close(postern.AsError(err))
		if f != nil {
			c.lose(f)
		}
		<-session.Closed()
		return nil, err
	}
	session.SetLimits(furtherAtAgent)
	c.mu.Lock()
	f.joining = false
	c.mu.Unlock()
	return f, nil
}
