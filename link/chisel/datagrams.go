package chisel

import (
	"io"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// mostUnsent is what waits for one channel of datagrams; more is lost.
	mostUnsent = 256 << 10
	// A channel that ended is opened again when there is something to send, after a
	// pause: chisel ends it when its target refuses a datagram.
	firstReopen = 100 * time.Millisecond
	lastReopen  = 5 * time.Second
	// truncatedAt is the length at which chisel cuts datagrams off without a word.
	// One of exactly this length has most likely lost its end, and is dropped.
	truncatedAt = 9012
)

// datagrams is one channel of SSH with the datagrams of many flows.
type datagrams struct {
	tunnel *tunnel
	open   func() (ssh.Channel, <-chan *ssh.Request, error) // nil where the peer opens
	fresh  func(source string) *flow                        // for a source that is new; nil: dropped
	gone   func(*flow)                                      // after a flow has left

	mu       sync.Mutex
	flows    map[string]*flow
	channel  ssh.Channel // nil while there is none
	opening  bool
	over     bool // the tunnel ended, or the peer closed what it had opened
	retry    time.Time
	pause    time.Duration
	unsent   []byte
	typed    bool // packetType was sent
	draining bool
	warned   bool
}

// send takes a datagram of a flow, and tells whether there was room for it.
func (d *datagrams) send(source string, payload []byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.over || len(d.unsent)+len(payload) > mostUnsent {
		return false
	}
	if d.channel == nil && !d.opening {
		if d.open == nil || time.Now().Before(d.retry) {
			return false
		}
		d.opening = true
		go d.run()
	}
	d.unsent = appendPacket(d.unsent, source, payload)
	d.kick()
	return true
}

// kick has somebody send what is there. mu is held.
func (d *datagrams) kick() {
	if !d.draining && d.channel != nil && len(d.unsent) > 0 {
		d.draining = true
		go d.drain(d.channel)
	}
}

// drain sends to channel while it is the one in use.
func (d *datagrams) drain(channel ssh.Channel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var spare []byte
	for d.channel == channel && len(d.unsent) > 0 {
		batch := d.unsent
		d.unsent = spare[:0]
		first := !d.typed
		d.typed = true
		d.mu.Unlock()
		var err error
		if first {
			_, err = channel.Write([]byte(packetType))
		}
		if err == nil {
			_, err = channel.Write(batch)
		}
		d.mu.Lock()
		if err != nil {
			break // its reader notices, too
		}
		spare = batch
	}
	d.draining = false
	if len(d.unsent) == 0 {
		d.unsent = nil
	}
	d.kickOther(channel)
}

// kickOther sends on a channel that was opened meanwhile. mu is held.
func (d *datagrams) kickOther(channel ssh.Channel) {
	if d.channel != channel {
		d.kick()
	}
}

// run opens the channel and reads it to its end.
func (d *datagrams) run() {
	channel, requests, err := d.open()
	if err != nil {
		d.closed(nil)
		return
	}
	go ssh.DiscardRequests(requests)
	d.serve(channel)
}

// serve reads channel to its end.
func (d *datagrams) serve(channel ssh.Channel) {
	d.mu.Lock()
	d.channel, d.opening, d.typed = channel, false, false
	d.kick()
	d.mu.Unlock()
	in := newPackets(channel)
	for {
		source, payload, err := in.next()
		if err != nil {
			if err != io.EOF && d.tunnel.lost() == nil {
				d.tunnel.logger.Warn("a channel for datagrams was closed", slog.Any("error", err))
			}
			break
		}
		d.receive(source, payload)
	}
	_ = channel.Close()
	d.closed(channel)
}

// receive hands one datagram to its flow.
func (d *datagrams) receive(source, payload []byte) {
	d.mu.Lock()
	d.pause = 0
	f := d.flows[string(source)]
	cut := len(payload) == truncatedAt && !d.tunnel.conn.own
	warn := cut && !d.warned
	d.warned = d.warned || warn
	d.mu.Unlock()
	if warn {
		d.tunnel.logger.Warn("datagrams of 9012 bytes are dropped: the other side, which is chisel, cuts longer ones off at that length")
	}
	if cut {
		return
	}
	if f == nil && d.fresh != nil {
		f = d.fresh(string(source))
	}
	if f != nil {
		f.put(payload)
	}
}

// closed notes that channel, or an attempt to open one, has ended.
func (d *datagrams) closed(channel ssh.Channel) {
	lost := d.tunnel.lost()
	d.mu.Lock()
	d.opening, d.channel, d.unsent = false, nil, nil
	d.pause = min(max(2*d.pause, firstReopen), lastReopen)
	d.retry = time.Now().Add(d.pause)
	if lost == nil && d.open != nil {
		d.mu.Unlock()
		return
	}
	d.over = true
	flows := d.flows
	d.flows = nil
	d.mu.Unlock()
	for _, f := range flows {
		if lost != nil {
			f.end(lost)
		} else {
			f.end(io.EOF)
		}
	}
}

// end ends all flows.
func (d *datagrams) end(why error) {
	d.mu.Lock()
	d.over = true
	flows := d.flows
	d.flows = nil
	d.mu.Unlock()
	for _, f := range flows {
		f.end(why)
	}
}

// leave takes a flow out.
func (d *datagrams) leave(f *flow) {
	d.mu.Lock()
	if d.flows[f.source] == f {
		delete(d.flows, f.source)
	}
	d.mu.Unlock()
	if d.gone != nil {
		d.gone(f)
	}
}
