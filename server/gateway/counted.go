package gateway

import (
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern/link"
)

// counted is the stream of a visit. What moves on it counts for the visit, the connector,
// the gateway and the account; where the account has a rate it pauses.
type counted struct {
	link.Stream
	visit   *visit
	in, out atomic.Int64 // from the consumer, to the consumer
}

// awaitedStream is a visit's stream that can be awaited without a goroutine.
type awaitedStream struct {
	*counted
	link.Awaiter
}

// pumped is a visit's stream that hands on and fetches by itself.
type pumped struct {
	*counted
	pump link.Pump
}

// Pour implements link.Pump.
func (p pumped) Pour(take func(b []byte) bool) error {
	return p.pump.Pour(func(b []byte) bool {
		for len(b) > 0 {
			part := b
			if piece := p.await(); piece > 0 {
				part = b[:min(piece, len(b))]
			}
			p.read(len(part))
			if !take(part) {
				return false
			}
			b = b[len(part):]
		}
		return true
	})
}

// Draw implements link.Pump.
func (p pumped) Draw(fill func(b []byte) int) error {
	return p.pump.Draw(func(b []byte) int {
		if piece := p.await(); piece > 0 {
			b = b[:min(piece, len(b))]
		}
		n := fill(b)
		p.wrote(n)
		return n
	})
}

// Read implements net.Conn.
func (c *counted) Read(b []byte) (int, error) {
	if piece := c.await(); piece > 0 && piece < len(b) {
		b = b[:piece]
	}
	n, err := c.Stream.Read(b)
	if n > 0 {
		c.read(n)
	}
	return n, err
}

// read counts what the connector has sent.
func (c *counted) read(n int) {
	v, g := c.visit, c.visit.endpoint.gateway
	c.out.Add(int64(n))
	v.member.connector.out.Add(int64(n))
	v.endpoint.out.Add(int64(n))
	g.count.out.Add(int64(n))
	g.meter.Out(n)
	v.member.answered()
}

// Write implements net.Conn.
func (c *counted) Write(b []byte) (n int, err error) {
	for n < len(b) {
		part := b[n:]
		if piece := c.await(); piece > 0 && piece < len(part) {
			part = part[:piece]
		}
		var sent int
		sent, err = c.Stream.Write(part)
		n += sent
		c.wrote(sent)
		if err != nil {
			break
		}
	}
	return n, err
}

// wrote counts what was sent to the connector.
func (c *counted) wrote(n int) {
	g := c.visit.endpoint.gateway
	c.in.Add(int64(n))
	c.visit.member.connector.in.Add(int64(n))
	c.visit.endpoint.in.Add(int64(n))
	g.count.in.Add(int64(n))
	g.meter.In(n)
}

// await pauses while the account has moved more than its rate allows. piece is how much
// to move at once; 0 is any.
func (c *counted) await() (piece int) {
	wait, piece := c.visit.endpoint.gateway.meter.Debt()
	if wait <= 0 {
		return piece
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.visit.ctx.Done():
	}
	return piece
}
