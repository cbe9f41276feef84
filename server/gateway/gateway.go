package gateway

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/quota"
)

// gateway is the live side of a private gateway.
type gateway struct {
	runtime    *Runtime
	definition atomic.Pointer[definition]
	count      *gatewayMetrics
	meter      *quota.Meter
	addresses  *places
	ctx        context.Context // ends when the gateway is deleted
	cancel     context.CancelCauseFunc

	// Runtime.mu is held for these.
	endpoints  map[key]*endpoint
	connectors map[*connector]struct{}
}

// places counts the consumers of a gateway, all and per address, and knows what they have.
type places struct {
	mu    sync.Mutex
	total int
	by    map[netip.Addr]int
	open  map[*visit]struct{}
}

func newPlaces() *places {
	return &places{by: make(map[netip.Addr]int), open: make(map[*visit]struct{})}
}

// add makes a visit known that has its place, until remove.
func (p *places) add(v *visit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[v] = struct{}{}
}

func (p *places) remove(v *visit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, v)
}

// count counts what is under way of a network.
func (p *places) count(network string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for v := range p.open {
		if v.endpoint.key.network == network {
			n++
		}
	}
	return n
}

// visits lists what is under way.
func (p *places) visits() []*visit {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.open))
}

// group is what is counted as one address: an IPv4 address or a /64; the zero value for
// this machine, behind whose address there may be everybody.
func group(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	switch {
	case !addr.IsValid() || addr.IsLoopback():
		return netip.Addr{}
	case addr.Is6():
		return netip.PrefixFrom(addr, 64).Masked().Addr()
	}
	return addr
}

// enter takes a place; leave gives it back. The error is CodeConnectionLimit or
// CodeTooManyConnections.
func (p *places) enter(addr netip.Addr, l Limits) *postern.Error {
	addr = group(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.total >= l.Connections {
		return postern.Errorf(postern.CodeConnectionLimit, "%d connections to the gateway are open, as many as it may have", p.total)
	}
	if addr.IsValid() {
		if p.by[addr] >= l.ConnectionsPerAddress {
			return postern.Errorf(postern.CodeTooManyConnections, "%d connections from %s to the gateway are open, as many as one address may have", p.by[addr], addr)
		}
		p.by[addr]++
	}
	p.total++
	return nil
}

func (p *places) leave(addr netip.Addr) {
	addr = group(addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	if addr.IsValid() {
		if p.by[addr]--; p.by[addr] <= 0 {
			delete(p.by, addr)
		}
	}
}
