package gateway

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// How a connector that has died is noticed: it is asked every pingEvery, and has pongTime
// to answer. One that has not answered within doubtTime gets no new connections where
// there are others.
const (
	pingEvery = 10 * time.Second
	pongTime  = 9 * time.Second
	doubtTime = 2 * time.Second
)

// returnTime is the least that the ports stay open of a connector that was replaced.
const returnTime = 3 * time.Second

// connector is one admitted session of a connector. It implements link.Binder.
type connector struct {
	runtime  *Runtime
	gateway  *gateway
	session  link.Session
	addr     string // of the session's other end
	agent    postern.AgentInfo
	instance string
	id       string
	since    time.Time
	tokenID  string
	sum      [sha256.Size]byte // of the token it came with
	log      *slog.Logger

	doubt    chan struct{} // holds a token when it is to be pinged now
	doubtful atomic.Bool
	latency  atomic.Int64 // nanoseconds, 0 is not known
	in, out  atomic.Int64 // bytes of consumers, and to them, of connections that are over

	binding sync.Mutex // held while something is bound

	// Runtime.mu is held for these.
	members map[string]*member // by bind id
	gone    bool
}

// watch pings the connector until its session has ended, and ends it when its token is
// good no more.
func (c *connector) watch() {
	ticker := time.NewTicker(pingEvery)
	defer ticker.Stop()
	for {
		if !c.ping() {
			return
		}
		expired, stop := c.untilExpired()
		select {
		case <-ticker.C:
		case <-c.doubt:
		case <-expired:
			c.runtime.recheck(c)
		case <-c.session.Done():
			stop()
			return
		}
		stop()
	}
}

// ping asks once; false means that the session is over.
func (c *connector) ping() bool {
	ctx, cancel := context.WithTimeout(c.runtime.ctx, pongTime)
	defer cancel()
	late := time.AfterFunc(doubtTime, func() { c.setDoubtful(true) })
	rtt, err := c.session.Ping(ctx)
	late.Stop()
	select {
	case <-c.session.Done():
		return false
	default:
	}
	if err != nil {
		c.setDoubtful(true)
		why := postern.Errorf(postern.CodeLinkLost, "the connector has not answered for %s", pongTime)
		c.log.Info("a connector does not answer", "error", err)
		c.withdraw(returnTime)
		c.session.Close(why)
		return false
	}
	c.latency.Store(int64(rtt))
	c.setDoubtful(false)
	return true
}

// setDoubtful says whether the connector owes an answer.
func (c *connector) setDoubtful(is bool) {
	if c.doubtful.Swap(is) != is && is {
		c.log.Debug("a connector is slow to answer; others are preferred")
	}
}

// suspect has the connector pinged now.
func (c *connector) suspect() {
	select {
	case c.doubt <- struct{}{}:
	default:
	}
}

// untilExpired tells when the token ceases to be good; a nil channel is never.
func (c *connector) untilExpired() (expired <-chan time.Time, stop func()) {
	d := c.gateway.definition.Load()
	token := d.tokens[c.tokenID]
	if token == nil {
		return nil, func() {}
	}
	at, _ := token.ends(c.sum, time.Now())
	if at.IsZero() {
		return nil, func() {}
	}
	timer := time.NewTimer(max(0, time.Until(at)))
	return timer.C, func() { timer.Stop() }
}

// tokenIsGood tells whether the connector may be here.
func (c *connector) tokenIsGood(d *definition) bool {
	token := d.tokens[c.tokenID]
	if token == nil {
		return false
	}
	_, over := token.ends(c.sum, time.Now())
	return !over
}

// silent asks the connector whether it is there, which may block for doubtTime.
func (c *connector) silent(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, doubtTime)
	defer cancel()
	_, err := c.session.Ping(ctx)
	return err != nil
}

// Release implements link.Binder.
func (c *connector) Release(why error) {
	if !c.withdraw(0) {
		return
	}
	c.log.Info("connector left", "error", why, "after", time.Since(c.since).Round(time.Millisecond).String())
}

// withdraw takes everything of the connector offline; its ports stay open for the
// gateway's hold, and for least. It tells whether that was not done before.
func (c *connector) withdraw(least time.Duration) bool {
	c.runtime.mu.Lock()
	defer c.runtime.mu.Unlock()
	return c.remove(least)
}

// remove is withdraw. Runtime.mu is held.
func (c *connector) remove(least time.Duration) bool {
	if c.gone {
		return false
	}
	c.gone = true
	delete(c.gateway.connectors, c)
	for _, m := range c.members {
		m.endpoint.leave(m, least)
		m.cancel(left())
	}
	clear(c.members)
	c.runtime.changed(c.change(ConnectorLeft, c.gateway.definition.Load()))
	return true
}

func left() *postern.Error {
	return postern.Errorf(postern.CodeLinkLost, "the connector's session is over")
}

// end withdraws the connector for good and closes its session.
func (c *connector) end(why *postern.Error) {
	c.withdraw(0)
	c.session.Close(why)
}

// Patch implements link.Binder: remotes cannot be changed.
func (c *connector) Patch(context.Context, link.Patch) error {
	return postern.Errorf(postern.CodeOptionUnsupported, "what a connector offers cannot be changed; offer it anew")
}

// BindLabels implements link.Binder.
func (c *connector) BindLabels(context.Context, string, map[string]string) (link.Bound, error) {
	return link.Bound{}, postern.Errorf(postern.CodeOptionUnsupported, "a private gateway has ports, no labels")
}

var _ link.Binder = (*connector)(nil)
