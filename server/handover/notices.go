package handover

import (
	"encoding/binary"
	"encoding/json"
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/mux"
	"github.com/postern-dev/postern/server/cluster"
)

// notice is one change of what a process lends.
type notice struct {
	Add      *lent              `json:",omitempty"` // or its details have changed
	Inside   *lent              `json:",omitempty"` // Add of an internal endpoint: older processes, which would open it to everybody, do not know the word
	Remove   postern.EndpointID `json:",omitempty"`
	Lost     *postern.URL       `json:",omitempty"` // nobody serves it right now, and it may return
	Gone     *postern.URL       `json:",omitempty"` // went offline on purpose: nobody need wait for it
	Complete bool               `json:",omitempty"` // all that there was at the start has been told
}

// lent is an endpoint of another process's own session.
type lent struct {
	Endpoint  postern.Endpoint
	Key       string // Endpoint's KeyPEM, which masks itself
	Policy    string // Endpoint's, likewise
	Before    string // Endpoint's PolicyBefore, likewise
	Client    string
	Since     time.Duration
	Transport string
	Remote    netip.AddrPort
}

const (
	mostNotices = 1 << 20   // bytes of one frame
	fullNotices = 256 << 10 // what one frame is filled with
)

func lentOf(l cluster.Live) lent {
	return lent{Endpoint: l.Endpoint, Key: l.Endpoint.Options.KeyPEM.Reveal(), Policy: l.Endpoint.Options.Policy.Reveal(), Before: l.Endpoint.Options.PolicyBefore.Reveal(),
		Client: l.Client, Since: l.Since,
		Transport: l.Session.Transport(), Remote: l.Session.RemoteAddr()}
}

// tell says what we lend, now and whenever it changes, until the link ends.
func (p *peer) tell() {
	st, err := p.session.Open(p.peers.ctx, typeNotices)
	if err != nil {
		return // the link has ended
	}
	defer st.Close()
	told, gone := make(map[postern.EndpointID]postern.Endpoint), make(map[postern.URL]time.Time)
	for first := true; ; first = false {
		changed := p.peers.config.Cluster.Changed()
		notices := difference(told, p.peers.config.Cluster.Lent())
		notices = append(notices, news(gone, p.peers.config.Cluster.Recent().Forgotten())...) // behind its removal
		if first {
			for _, u := range p.peers.config.Cluster.Recent().Lost() { // asked after Lent: nothing is in neither
				notices = append(notices, notice{Lost: &u})
			}
			notices = append(notices, notice{Complete: true})
		}
		if err := writeNotices(st, notices); err != nil {
			p.session.Close(postern.AsError(err))
			return
		}
		select {
		case <-changed:
		case <-p.session.Done():
			return
		}
	}
}

// difference finds what has changed since told, and brings told up to date.
func difference(told map[postern.EndpointID]postern.Endpoint, lives []cluster.Live) []notice {
	var notices []notice
	now := make(map[postern.EndpointID]struct{}, len(lives))
	for _, l := range lives {
		now[l.Endpoint.ID] = struct{}{}
		if told[l.Endpoint.ID] != l.Endpoint {
			told[l.Endpoint.ID] = l.Endpoint
			notices = append(notices, addition(lentOf(l)))
		}
	}
	for id := range told {
		if _, still := now[id]; !still {
			delete(told, id)
			notices = append(notices, notice{Remove: id})
		}
	}
	return notices
}

// addition is the notice of a lent endpoint.
func addition(l lent) notice {
	if l.Endpoint.URL.Internal() {
		return notice{Inside: &l}
	}
	return notice{Add: &l}
}

// news finds what has gone for good since told, and brings told up to date.
func news(told, now map[postern.URL]time.Time) []notice {
	var notices []notice
	for u, at := range now {
		if told[u] != at {
			told[u] = at
			notices = append(notices, notice{Gone: &u})
		}
	}
	for u := range told {
		if _, still := now[u]; !still {
			delete(told, u)
		}
	}
	return notices
}

// writeNotices writes notices in frames of a bounded size.
func writeNotices(st *mux.Stream, notices []notice) error {
	var frame []byte
	flush := func() error {
		if len(frame) == 0 {
			return nil
		}
		frame = append(frame, ']')
		b := append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
		frame = frame[:0]
		_, err := st.Write(b)
		return err
	}
	for _, n := range notices {
		text, err := json.Marshal(n)
		if err != nil {
			return err
		}
		if len(frame) == 0 {
			frame = append(frame, '[')
		} else {
			frame = append(frame, ',')
		}
		if frame = append(frame, text...); len(frame) >= fullNotices {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// parseNotices reads a frame.
func parseNotices(text []byte) ([]notice, error) {
	var notices []notice
	if err := json.Unmarshal(text, &notices); err != nil {
		return nil, unreadable(err)
	}
	for i := range notices {
		if notices[i].Add == nil {
			notices[i].Add = notices[i].Inside
		}
		if add := notices[i].Add; add != nil {
			add.Endpoint.Options.KeyPEM = postern.Secret(add.Key)
			add.Endpoint.Options.Policy, add.Endpoint.Options.PolicyBefore = postern.Secret(add.Policy), postern.Secret(add.Before)
		}
	}
	return notices, nil
}

// listen follows what the other lends until the link ends.
func (p *peer) listen(st *mux.Stream) {
	defer st.Close()
	for {
		text, err := readFrame(st, mostNotices)
		if err != nil {
			p.session.Close(postern.AsError(err))
			return
		}
		notices, err := parseNotices(text)
		if err != nil {
			p.session.Close(postern.AsError(err))
			return
		}
		p.apply(notices)
	}
}

func (p *peer) apply(notices []notice) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range notices {
		switch {
		case p.entries == nil:
			return // the link has ended
		case n.Add != nil:
			p.add(*n.Add)
		case n.Remove != "":
			p.remove(n.Remove)
		case n.Lost != nil:
			p.peers.config.Cluster.Recent().Lose(*n.Lost)
		case n.Gone != nil:
			p.peers.config.Cluster.Recent().Forget(*n.Gone)
		case n.Complete:
			p.once.Do(func() { close(p.complete) })
		}
	}
}

// entry is a borrowed endpoint that is online here.
type entry struct {
	release func()
	session *borrowed
	opened  postern.URL // whose port was opened for it; the zero value is none
}

// add takes a lent endpoint online, or changes its details. mu is held.
func (p *peer) add(l lent) {
	id, c := l.Endpoint.ID, p.peers.config
	delete(p.waiting, id) // what is told now is newer
	if p.entries[id] != nil {
		_ = c.Cluster.Update(id, func(e *postern.Endpoint) { *e = l.Endpoint }) // gone in this moment: a removal follows
		return
	}
	b := p.borrow(l)
	release, err := c.Cluster.Register(cluster.Live{Endpoint: l.Endpoint, BindID: string(id), Session: b,
		Client: l.Client, Since: l.Since, Borrowed: true})
	if err != nil {
		p.giveBack(b)
		p.waiting[id] = l
		c.Logger.DebugContext(p.peers.ctx, "an endpoint of another process waits", "endpoint", id, "process", p.id, "error", err)
		return
	}
	e := &entry{release: release, session: b}
	if u := l.Endpoint.URL; u.HasPort() {
		if err := c.Ports.OpenPort(u.Scheme, u.Port); err != nil {
			c.Logger.WarnContext(p.peers.ctx, "the port of another process's endpoint cannot be had", "endpoint", id, "port", u.Port, "error", err)
		} else {
			e.opened = u
		}
	}
	p.entries[id] = e
}

// remove takes a lent endpoint offline. mu is held.
func (p *peer) remove(id postern.EndpointID) {
	delete(p.waiting, id)
	if e := p.entries[id]; e != nil {
		delete(p.entries, id)
		e.giveUp(p)
		p.giveBack(e.session)
	}
}

// giveUp takes the entry offline; visitors wait for its return, as it is on its way
// from one process to another, most likely.
func (e *entry) giveUp(p *peer) {
	e.release()
	if e.opened.Port != 0 {
		p.peers.config.Ports.ClosePort(e.opened.Scheme, e.opened.Port, true)
	}
}

// borrow gives the session of a lent endpoint, and counts a use of it. mu is held.
func (p *peer) borrow(l lent) *borrowed {
	b := p.sessions[l.Endpoint.Session]
	if b == nil {
		b = &borrowed{peer: p, id: l.Endpoint.Session, transport: l.Transport, remote: l.Remote}
		p.sessions[b.id] = b
	}
	b.uses++
	return b
}

// giveBack undoes borrow. mu is held.
func (p *peer) giveBack(b *borrowed) {
	if b.uses--; b.uses == 0 {
		delete(p.sessions, b.id)
	}
}

var _ link.Session = (*borrowed)(nil)
