package chisel

import (
	"strconv"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	// flowsPerChannel stays below the 100 flows at which chisel stops to answer new
	// ones; further flows get a channel of their own.
	flowsPerChannel = 90
	// flowLinger is for how long chisel may still count a flow that has ended here: it
	// forgets one 15 s after the last answer.
	flowLinger = 20 * time.Second
	// mostFlows and mostChannels are for one remote.
	mostFlows    = 16384
	mostChannels = 128
)

// sources is one UDP remote of a session: its visitors, on as many channels as the
// client needs for them.
type sources struct {
	session *session
	extra   []byte

	mu       sync.Mutex
	channels []*sourceChannel
	serial   int
}

// sourceChannel is one channel, and who is on it or was lately.
type sourceChannel struct {
	datagrams
	left map[string]time.Time // when flows ended that the client may still count
}

func newSources(s *session, remote Remote) *sources {
	return &sources{session: s, extra: []byte(remote.Target())}
}

// openFlow opens a flow of a UDP remote.
func (s *session) openFlow(h link.Header, first []byte) (link.Stream, error) {
	s.mu.Lock()
	group := s.groups[h.Endpoint]
	s.mu.Unlock()
	if group == nil {
		return nil, postern.Errorf(postern.CodeEndpointUnknown, "the session has no endpoint %q", h.Endpoint)
	}
	f, err := group.add(h)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(first); err != nil {
		f.Reset(nil)
		return nil, lostCode(postern.AsError(err))
	}
	return f, nil
}

// add makes a flow for a visitor. Its source is the visitor's address, unless somebody
// else has that, or there is none.
func (g *sources) add(h link.Header) (*flow, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	source := h.ClientAddr.String()
	if !h.ClientAddr.IsValid() || g.taken(source) {
		g.serial++
		source = "flow:" + strconv.Itoa(g.serial)
	}
	c := g.channelFor(source)
	if c == nil {
		return nil, postern.Errorf(postern.CodeStreamLimit, "the connector has as many flows as it can take")
	}
	f := newFlow(&c.datagrams, source)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return nil, postern.Errorf(postern.CodeLinkLost, "the session has ended")
	}
	delete(c.left, source)
	c.flows[source] = f
	return f, nil
}

// taken tells whether a flow of the source is open. mu is held.
func (g *sources) taken(source string) bool {
	for _, c := range g.channels {
		c.mu.Lock()
		_, taken := c.flows[source]
		c.mu.Unlock()
		if taken {
			return true
		}
	}
	return false
}

// channelFor finds a channel with room, the one that knows the source before all
// others, or makes one. mu is held.
func (g *sources) channelFor(source string) *sourceChannel {
	most := flowsPerChannel
	if g.session.conn.own {
		most = mostFlows
	}
	now := time.Now()
	var with *sourceChannel
	for _, c := range g.channels {
		room, known := c.room(now, source, most)
		if known {
			return c
		}
		if room && with == nil {
			with = c
		}
	}
	if with == nil && len(g.channels) < mostChannels {
		with = g.newChannel()
		g.channels = append(g.channels, with)
	}
	return with
}

// room tells whether one more source has room, and whether the client knows it from
// this channel.
func (c *sourceChannel) room(now time.Time, source string, most int) (room, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for other, left := range c.left {
		if now.Sub(left) > flowLinger {
			delete(c.left, other)
		}
	}
	_, known = c.left[source]
	return len(c.flows)+len(c.left) < most, known
}

func (g *sources) newChannel() *sourceChannel {
	c := &sourceChannel{left: map[string]time.Time{}}
	c.tunnel = g.session.tunnel
	c.flows = map[string]*flow{}
	c.open = func() (ssh.Channel, <-chan *ssh.Request, error) { return g.session.openChannel(g.extra) }
	c.gone = func(f *flow) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.tunnel.conn.own {
			c.left[f.source] = time.Now()
		}
	}
	return c
}

// endFlows ends what the session's end leaves behind.
func (s *session) endFlows() {
	s.mu.Lock()
	groups := s.groups
	s.groups = nil
	s.mu.Unlock()
	for _, g := range groups {
		g.mu.Lock()
		channels := g.channels
		g.mu.Unlock()
		for _, c := range channels {
			c.end(s.Cause())
		}
	}
}
