package connector

import (
	"fmt"
	"runtime"
	"strings"
	"time"
)

// Status is a snapshot of a Connector.
type Status struct{ Gateways []GatewayStatus }

// GatewayStatus is a snapshot of one gateway.
type GatewayStatus struct {
	Name, Address string
	Connected     bool
	Wire          string        // "postern/1", "chisel-v3"; "" while not connected
	Since         time.Time     // of the connection
	Latency       time.Duration // of the last answer
	Connections   int64         // that were made
	Err           string        // why there is none
	Ports         []PortStatus
}

// PortStatus is a snapshot of one remote. Connections are flows where it is UDP.
type PortStatus struct {
	Remote                       Remote
	Online                       bool // offered, and not known to be refused
	Well                         bool // as far as its checks say
	Total, Open, Refused, Failed int64
	Received, Sent               int64 // bytes from and to the gateway
	Lost                         int64 // datagrams
	Refusal                      string
	Latest                       string // why the target could not be reached the last time
}

// Status tells how things are.
func (c *Connector) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	var s Status
	for _, g := range c.gateways {
		s.Gateways = append(s.Gateways, g.status())
	}
	return s
}

// status is a snapshot of a gateway over all its lines.
func (g *gateway) status() GatewayStatus {
	s := GatewayStatus{Name: g.Name, Address: g.at.url.Redacted(), Connected: len(g.lines) > 0}
	for _, l := range g.lines {
		l.mu.Lock()
		ports, w := l.ports, l.current
		s.Connections += l.made
		if w == nil {
			s.Connected = false
			if l.why != nil {
				s.Err = describe(l.why)
			}
		} else {
			s.Wire, s.Since, s.Latency = w.Name(), l.since, l.latency
		}
		l.mu.Unlock()
		for _, p := range ports {
			if !p.gone() {
				s.Ports = append(s.Ports, p.status())
			}
		}
	}
	if !s.Connected {
		s.Wire = ""
	}
	return s
}

func (p *port) status() PortStatus {
	s := PortStatus{
		Remote: p.Remote, Well: !p.unwell.Load(),
		Total: p.total.Load(), Open: p.open.Load(), Refused: p.refused.Load(), Failed: p.failed.Load(),
		Received: p.moved.AToB.Load() + p.datagrams.BytesOut.Load(), Sent: p.moved.BToA.Load() + p.datagrams.BytesIn.Load(),
		Lost: p.datagrams.AllDropped(),
	}
	if text := p.latest.Load(); text != nil {
		s.Latest = *text
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	s.Online = p.offered != nil && s.Well
	if p.refusal != nil {
		s.Refusal = p.refusal.Error()
	}
	return s
}

// Healthy tells whether every gateway is connected and every remote that can be is online.
func (s Status) Healthy() bool {
	for _, g := range s.Gateways {
		if !g.Connected {
			return false
		}
		for _, p := range g.Ports {
			if !p.Online {
				return false
			}
		}
	}
	return true
}

// Statistics are the lines that SIGUSR2 asks for: of the process as chisel prints them,
// then of each remote.
func (c *Connector) Statistics() []string {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	lines := []string{fmt.Sprintf("received SIGUSR2, go-routines: %d, go-memory-usage: %s", runtime.NumGoroutine(), size(int64(memory.Alloc)))}
	for _, g := range c.Status().Gateways {
		state := "not connected"
		if g.Connected {
			state = fmt.Sprintf("connected over %s for %s, latency %s", g.Wire, time.Since(g.Since).Round(time.Second), g.Latency)
		}
		lines = append(lines, fmt.Sprintf("%s: %s, connections made: %d", g.Name, state, g.Connections))
		for _, p := range g.Ports {
			line := fmt.Sprintf("%s: open: %d, total: %d, refused: %d, failed: %d, received %s sent %s",
				p.Remote, p.Open, p.Total, p.Refused, p.Failed, size(p.Received), size(p.Sent))
			if p.Remote.Network == udp {
				line += fmt.Sprintf(", datagrams lost: %d", p.Lost)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

// size is a number of bytes for people, as chisel writes it: 2.51MB.
func size(n int64) string {
	units := []string{"B", "KB", "MB", "GB", "TB"}
	value, unit := float64(n), 0
	for value >= 1000 && unit < len(units)-1 {
		value, unit = value/1000, unit+1
	}
	if unit == 0 {
		return fmt.Sprintf("%dB", n)
	}
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.2f", value), "0"), ".") + units[unit]
}
