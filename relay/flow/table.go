package flow

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// origin is what a cap per source goes by: an IPv4 address, or the /64 of an IPv6 one,
// of which a host has as many addresses as it likes.
type origin struct {
	prefix netip.Prefix
	flows  list
	count  int
}

func prefixOf(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits)
	return p
}

// find gives the flow of a peer, a new one where it has none and may have one; isNew
// tells that Open is due. A nil flow is for the reason given, and victim, where there is
// one, made room and is to be finished.
func (s *Server) find(from peer, now time.Duration) (f *flow, isNew bool, why Drop, victim *flow) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flows[from]; f != nil && f.state != refused {
		s.touch(f, now)
		return f, false, 0, nil
	} else if f != nil {
		if now-time.Duration(f.used.Load()) < s.config.HoldOff {
			return nil, false, DropRefused, nil
		}
		s.leave(f)
	}
	if s.opening >= s.config.Opening {
		return nil, false, DropOpening, nil
	}
	prefix := prefixOf(from.remote.Addr())
	if o := s.origins[prefix]; o != nil && o.count >= s.config.FlowsPerSource {
		if victim = rested(o.flows.oldest, now, unansweredRest); victim == nil {
			return nil, false, DropSource, nil
		}
	} else if len(s.flows) >= s.config.Flows {
		if victim = s.dispensable(now); victim == nil {
			return nil, false, DropFlows, nil
		}
	}
	return s.add(from, prefix, now), true, 0, s.evict(victim)
}

// evict takes a flow out of the table for another one, and gives back what of it is to
// be finished.
func (s *Server) evict(f *flow) *flow {
	if f == nil {
		return nil
	}
	was := f.state
	s.leave(f)
	if was == refused {
		return nil // it has been, before it was refused
	}
	s.config.Counters.Evicted.Add(1)
	return f
}

// dispensable is the flow that makes room for another one when there are too many.
func (s *Server) dispensable(now time.Duration) *flow {
	if f := rested(s.lists[refused].oldest, now, s.config.HoldOff); f != nil {
		return f
	}
	if f := rested(s.lists[unanswered].oldest, now, unansweredRest); f != nil {
		return f
	}
	return rested(s.lists[answered].oldest, now, min(answeredRest, s.config.Idle))
}

// rested is f where it has not been used for so long.
func rested(f *flow, now, rest time.Duration) *flow {
	if f == nil || now-time.Duration(f.used.Load()) < rest {
		return nil
	}
	return f
}

// add makes a flow. mu is held, as for all that follows with a lower-case letter and no
// lock of its own.
func (s *Server) add(from peer, prefix netip.Prefix, now time.Duration) *flow {
	f := &flow{server: s, peer: from, began: now}
	f.work = f.drain
	f.used.Store(int64(now))
	o := s.origins[prefix]
	if o == nil {
		o = &origin{prefix: prefix, flows: list{place: byAddr}}
		s.origins[prefix] = o
	}
	f.origin = o
	o.flows.push(f)
	o.count++
	s.flows[from] = f
	s.lists[unanswered].push(f)
	s.opening++
	s.config.Counters.Opened.Add(1)
	s.config.Counters.Open.Add(1)
	if !s.ticking {
		s.ticking = true
		s.timer.Reset(s.config.Idle)
	}
	return f
}

// leave takes a flow out of the table.
func (s *Server) leave(f *flow) {
	s.retire(f)
	delete(s.flows, f.peer)
	f.origin.flows.remove(f)
	if f.origin.count--; f.origin.count == 0 {
		delete(s.origins, f.origin.prefix)
	}
	s.lists[f.state].remove(f)
	f.state = gone
	if s.left != nil && len(s.flows) == 0 {
		close(s.left)
		s.left = nil
	}
}

// retire counts a flow as one that is open no longer, the first time.
func (s *Server) retire(f *flow) {
	if f.cancel != nil {
		f.cancel()
	}
	if f.state != refused {
		s.config.Counters.Open.Add(-1)
	}
}

// hold keeps a flow's place so that its source is not heard for a while.
func (s *Server) hold(f *flow, now time.Duration) {
	s.retire(f)
	s.lists[f.state].remove(f)
	f.state = refused
	f.used.Store(int64(now))
	s.lists[refused].push(f)
}

// touch notes that something moved.
func (s *Server) touch(f *flow, now time.Duration) {
	f.used.Store(int64(now))
	s.lists[f.state].renew(f)
	f.origin.flows.renew(f)
}

// begin gives Open's context to a new flow.
func (s *Server) begin(f *flow) context.Context {
	ctx, cancel := context.WithCancel(s.ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	f.cancel = cancel
	return ctx
}

// opened notes what came of Open, and tells whether the flow goes on. Where it does not,
// all of it has been closed.
func (s *Server) opened(f *flow, stream net.Conn, err error) bool {
	now := s.now()
	s.mu.Lock()
	s.opening--
	f.cancel()
	f.cancel = nil
	lives := f.state != gone
	switch {
	case lives && err == nil:
		f.stream = stream
	case lives:
		s.config.Counters.Refused.Add(1)
		s.hold(f, now)
	}
	s.mu.Unlock()
	switch {
	case lives && err != nil:
		f.finish(Failed, err)
	case !lives && err == nil:
		f.close(stream, Closed, nil)
	}
	return lives && err == nil
}

// replied notes that something came back.
func (s *Server) replied(f *flow) {
	now := s.now()
	if f.spoken && now-time.Duration(f.used.Load()) < s.config.Idle/64 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.state == unanswered {
		s.lists[unanswered].remove(f)
		f.state = answered
		s.lists[answered].push(f)
	}
	if f.state == answered {
		f.spoken = true
		s.touch(f, now)
	}
}

// remove takes a flow out of the table, and tells whether it was there. One that ended
// as soon as it was opened is not opened again at once.
func (s *Server) remove(f *flow, why End) bool {
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.state == gone || f.state == refused {
		return false
	}
	if f.state == unanswered && (why == Failed || why == Done) && now-f.began < s.config.HoldOff {
		s.config.Counters.Refused.Add(1)
		s.hold(f, now)
		return true
	}
	s.leave(f)
	return true
}

// expire ends the flows that have been idle for too long, and comes again when the next
// one may have been.
func (s *Server) expire() {
	now := s.now()
	var over []*flow
	s.mu.Lock()
	next := time.Duration(-1)
	for kind := range s.lists {
		limit := s.config.Idle
		if state(kind) == refused {
			limit = s.config.HoldOff
		}
		for f := s.lists[kind].oldest; f != nil; f = s.lists[kind].oldest {
			if left := limit - (now - time.Duration(f.used.Load())); left > 0 {
				if next < 0 || left < next {
					next = left
				}
				break
			}
			if state(kind) != refused {
				s.config.Counters.Expired.Add(1)
				over = append(over, f)
			}
			s.leave(f)
		}
	}
	s.ticking = next >= 0 && s.ctx.Err() == nil
	if s.ticking {
		s.timer.Reset(next)
	}
	s.mu.Unlock()
	for _, f := range over {
		f.finish(Idle, nil)
	}
}
