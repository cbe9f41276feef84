package gateway

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

const (
	probeLook  = time.Second      // how often it is looked whether a probe is due
	probeWait  = 2 * time.Second  // how long a target may close a probe that it has accepted
	probeTime  = 10 * time.Second // and how long the connector may have no room for it
	mostProbes = 16               // at once
)

// native is the wire on which a clean end is the target's own: its agent says otherwise
// when the target cannot be reached.
const native = "postern/1"

// probe sends probes to the targets of TCP endpoints through which nothing has come for a
// while, until ctx ends. A probe travels the whole way: the connector opens a connection
// to the target, which is closed again at once.
func (r *Runtime) probe(ctx context.Context) {
	ticker := time.NewTicker(probeLook)
	defer ticker.Stop()
	room := make(chan struct{}, mostProbes)
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for _, m := range r.due(time.Now()) {
			select {
			case room <- struct{}{}:
			default:
				m.probing.Store(false)
				continue // its turn comes
			}
			r.mu.Lock()
			started := r.start(func() {
				defer func() { <-room }()
				defer m.probing.Store(false)
				m.probe(r.ctx)
			})
			r.mu.Unlock()
			if !started {
				return
			}
		}
	}
}

// due lists the members that are to be probed, which are marked.
func (r *Runtime) due(now time.Time) (due []*member) {
	every := r.live.Load().ProbeEvery
	if every <= 0 {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.retired {
		return nil // another process probes
	}
	for _, g := range r.gateways {
		for k, e := range g.endpoints {
			if k.network != tcp {
				continue
			}
			for _, m := range e.list() {
				if m.probeDue(now, every) && !m.probing.Swap(true) {
					due = append(due, m)
				}
			}
		}
	}
	return due
}

// probeDue tells whether nothing is known of the way to the target, or what is known is
// old. Members are not all probed in the same second.
func (m *member) probeDue(now time.Time, every time.Duration) bool {
	state := m.health.Load()
	if state == nil {
		return true
	}
	known := state.at
	if last := m.relayed.Load(); last > 0 && state.health == HealthUp {
		if answered := m.since.Add(time.Duration(last)); answered.After(known) {
			known = answered
		}
	}
	return now.Sub(known) >= every-time.Duration(rand.Int64N(int64(every)/8+1))
}

// probe opens a stream to the target, and closes it when it was not refused.
func (m *member) probe(ctx context.Context) {
	opening, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	s, err := m.open(opening, link.Header{}, nil)
	if err != nil {
		m.failed(postern.AsError(err))
		return
	}
	defer s.Close()
	if m.connector.session.Transport() == native {
		_ = s.CloseWrite() // a target that serves one after the other is free again at once
	}
	_ = s.SetReadDeadline(time.Now().Add(probeWait))
	var first [1]byte
	n, err := s.Read(first[:])
	switch {
	case n > 0 || errors.Is(err, os.ErrDeadlineExceeded):
		m.learn(HealthUp, nil)
	case errors.Is(err, io.EOF) && m.connector.session.Transport() == native:
		m.learn(HealthUp, nil)
	case errors.Is(err, io.EOF):
		m.learn(HealthDown, postern.Errorf(postern.CodeUpstreamUnreachable, "the connector ended a connection to %s at once", clip(m.target)))
	default:
		why := postern.AsError(err)
		if away(why) {
			return // it says nothing of the target
		}
		m.learn(HealthDown, why)
	}
}
