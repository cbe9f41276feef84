package gateway

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Health is what is known of the way to a target.
type Health string

// What is known.
const (
	HealthUnknown Health = "unknown"
	HealthUp      Health = "up"   // bytes came back, or a probe was accepted
	HealthDown    Health = "down" // the target could not be reached
)

// member is one connector's offer of a port.
type member struct {
	endpoint  *endpoint
	connector *connector
	id        string // by which the connector knows it
	target    string
	since     time.Time
	ctx       context.Context // ends when the offer is taken back by force
	cancel    context.CancelCauseFunc

	streams  atomic.Int64 // that are open
	served   atomic.Int64 // connections so far
	departed atomic.Bool
	health   atomic.Pointer[healthState]
	relayed  atomic.Int64 // when bytes came back last, in nanoseconds since since
	probing  atomic.Bool
}

// healthState is what was learned, and when.
type healthState struct {
	health Health
	why    string
	at     time.Time
}

// better tells whether m is to be preferred to other.
func (m *member) better(other *member) bool {
	if bad, otherBad := m.bad(), other.bad(); bad != otherBad {
		return otherBad
	}
	return m.streams.Load() < other.streams.Load()
}

// bad tells whether others are preferred.
func (m *member) bad() bool {
	state := m.health.Load()
	return m.connector.doubtful.Load() || state != nil && state.health == HealthDown
}

// settle lets go of a member that has left and whose last stream has ended.
func (m *member) settle() {
	if m.departed.Load() && m.streams.Load() == 0 {
		m.cancel(nil)
	}
}

// open opens a stream to the target, and sends first.
func (m *member) open(ctx context.Context, h link.Header, first []byte) (link.Stream, error) {
	h.Endpoint, h.Scheme = m.id, m.endpoint.key.scheme()
	return m.connector.session.Open(ctx, h, first)
}

// learn notes how a connection to the target has gone.
func (m *member) learn(health Health, why *postern.Error) {
	state := &healthState{health: health, at: time.Now()}
	if why != nil {
		state.why = why.Error()
	}
	former := m.health.Swap(state)
	if former == nil && health == HealthDown || former != nil && former.health != health {
		m.connector.log.Info("an endpoint's health has changed", "port", m.endpoint.key.String(), "target", m.target, "health", health, "error", why)
	}
}

// answered notes that bytes came back from the target.
func (m *member) answered() {
	m.relayed.Store(int64(time.Since(m.since)))
	if state := m.health.Load(); state == nil || state.health != HealthUp {
		m.learn(HealthUp, nil)
	}
}
