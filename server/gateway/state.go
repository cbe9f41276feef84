package gateway

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/postern-dev/postern"
)

// State is what is online of a gateway.
type State struct {
	Connectors []ConnectorState
	Endpoints  []EndpointState
	Open       int64 // connections and UDP flows of consumers
}

// ConnectorState is one connector that is connected.
type ConnectorState struct {
	ID         string
	Instance   string
	Token      string // the id of the one that it came with
	RemoteAddr netip.AddrPort
	Transport  string
	Agent      postern.AgentInfo // untrusted text
	Since      time.Time
	Latency    time.Duration // 0 is not known
	BytesIn    int64         // from consumers
	BytesOut   int64
	Streams    int
	Answers    bool // false: it owes an answer
	Offers     []Offer
}

// EndpointState is one port that is open.
type EndpointState struct {
	Network string
	Port    uint16
	Since   time.Time
	Listen  []netip.AddrPort
	Bytes   int64  // both ways
	Health  Health // the best of Offers; down where nobody offers it
	Offers  []Offer
}

// Offer is one connector's offer of a port.
type Offer struct {
	Network   string
	Port      uint16
	Connector string
	Target    string
	Health    Health
	Why       string    // of HealthDown
	CheckedAt time.Time // zero: never
	Open      int64
	Served    int64
}

// State tells what is online of a gateway, by its id.
func (r *Runtime) State(id string) State {
	r.mu.Lock()
	defer r.mu.Unlock()
	g := r.gateways[id]
	if g == nil {
		return State{}
	}
	state := State{Open: g.count.open.Load()}
	for c := range g.connectors {
		state.Connectors = append(state.Connectors, c.state())
	}
	for _, e := range g.endpoints {
		state.Endpoints = append(state.Endpoints, e.state())
	}
	slices.SortFunc(state.Connectors, func(a, b ConnectorState) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID)) })
	slices.SortFunc(state.Endpoints, func(a, b EndpointState) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Network, b.Network))
	})
	return state
}

// state is the connector now. Runtime.mu is held.
func (c *connector) state() ConnectorState {
	s := ConnectorState{
		ID: c.id, Instance: c.instance, Token: c.tokenID, RemoteAddr: c.session.RemoteAddr(), Transport: c.session.Transport(),
		Agent: c.agent, Since: c.since, Latency: time.Duration(c.latency.Load()), BytesIn: c.in.Load(), BytesOut: c.out.Load(),
		Streams: c.session.Streams(), Answers: !c.doubtful.Load(),
	}
	for _, m := range c.members {
		s.Offers = append(s.Offers, m.offer())
	}
	slices.SortFunc(s.Offers, func(a, b Offer) int { return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Network, b.Network)) })
	return s
}

func (e *endpoint) state() EndpointState {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := EndpointState{Network: e.key.network, Port: e.key.port, Since: e.since, Bytes: e.in.Load() + e.out.Load(), Health: HealthDown}
	for _, one := range e.opened {
		s.Listen = append(s.Listen, one.at)
	}
	for _, m := range e.members {
		offer := m.offer()
		s.Offers = append(s.Offers, offer)
		if offer.Health == HealthUp || offer.Health == HealthUnknown && s.Health == HealthDown {
			s.Health = offer.Health
		}
	}
	return s
}

func (m *member) offer() Offer {
	o := Offer{Network: m.endpoint.key.network, Port: m.endpoint.key.port, Connector: m.connector.id, Target: m.target,
		Health: HealthUnknown, Open: m.streams.Load(), Served: m.served.Load()}
	if state := m.health.Load(); state != nil {
		o.Health, o.Why, o.CheckedAt = state.health, state.why, state.at
	}
	return o
}
