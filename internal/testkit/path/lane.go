//go:build linux

package path

import (
	"errors"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Way is one direction of a Path. The zero Way is as good as the machine.
type Way struct {
	Delay time.Duration // from end to end
	Loss  float64       // the share of packets that vanish, drawn for each by itself
	Rate  int64         // bits per second of IP packets; 0 is as fast as it goes
	Queue int           // bytes that wait at most where Rate limits; 0 is 64 KiB
}

// Count tells what became of the packets of one direction.
type Count struct {
	Carried, Bytes int64
	Lost           int64 // to Loss
	Overflowed     int64 // the queue was full
	Darkened       int64 // the path was dark
}

const (
	defaultQueue = 64 << 10
	largest      = 2048 // above the devices' MTU of 1500

	// underWay is how many packets travel at once: 200 Mbit/s take half of it with a
	// delay of 200 ms.
	underWay = 8192

	// soonEnough is when a packet may leave early rather than wait for a timer of
	// its own.
	soonEnough = 50 * time.Microsecond
)

// lane carries packets in one direction. take and deliver are its two goroutines.
type lane struct {
	from, to *os.File
	way      Way
	dark     *atomic.Bool
	closed   *atomic.Bool
	random   *rand.Rand
	travel   chan packet
	spare    chan []byte

	carried, bytes, lost, overflowed, darkened atomic.Int64
}

type packet struct {
	data []byte
	due  time.Time
}

func newLane(from, to *os.File, way Way, p *Path, seed uint64) *lane {
	if way.Queue == 0 {
		way.Queue = defaultQueue
	}
	return &lane{from: from, to: to, way: way, dark: &p.dark, closed: &p.closed,
		random: rand.New(rand.NewPCG(seed, 0)),
		travel: make(chan packet, underWay), spare: make(chan []byte, 64)}
}

// take reads packets and decides about each: whether it arrives, and when. It ends
// when its device is closed.
func (l *lane) take() {
	defer close(l.travel)
	var sent time.Time // when the last packet accepted will have left the queue
	for {
		buffer := l.buffer()
		n, err := l.from.Read(buffer)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil || n == 0 || buffer[0]>>4 != 4 { // the kernel's own IPv6 chatter
			l.recycle(buffer)
			continue
		}
		now := time.Now()
		if !l.survives() {
			l.recycle(buffer)
			continue
		}
		due := now
		if l.way.Rate > 0 {
			begin := now
			if sent.After(now) {
				begin = sent
			}
			if int64(begin.Sub(now))*l.way.Rate/8/int64(time.Second)+int64(n) > int64(l.way.Queue) {
				l.overflowed.Add(1)
				l.recycle(buffer)
				continue
			}
			sent = begin.Add(time.Duration(int64(n) * 8 * int64(time.Second) / l.way.Rate))
			due = sent
		}
		l.travel <- packet{buffer[:n], due.Add(l.way.Delay)}
	}
}

func (l *lane) survives() bool {
	switch {
	case l.dark.Load():
		l.darkened.Add(1)
		return false
	case l.way.Loss > 0 && l.random.Float64() < l.way.Loss:
		l.lost.Add(1)
		return false
	}
	return true
}

// deliver hands packets over when they are due. It ends after take, and does not
// wait for packets once the path is closed.
func (l *lane) deliver() {
	for p := range l.travel {
		for !l.closed.Load() {
			wait := time.Until(p.due)
			if wait < soonEnough {
				break
			}
			// The runtime's timers are a millisecond coarse when the process is idle.
			pause := unix.NsecToTimespec(int64(min(wait, 10*time.Millisecond)))
			_ = unix.Nanosleep(&pause, nil) // interrupted is no harm: it is asked again
		}
		if l.dark.Load() {
			l.darkened.Add(1)
		} else if _, err := l.to.Write(p.data); err == nil {
			l.carried.Add(1)
			l.bytes.Add(int64(len(p.data)))
		}
		l.recycle(p.data)
	}
}

func (l *lane) buffer() []byte {
	select {
	case b := <-l.spare:
		return b[:largest]
	default:
		return make([]byte, largest)
	}
}

func (l *lane) recycle(b []byte) {
	select {
	case l.spare <- b:
	default:
	}
}

func (l *lane) count() Count {
	return Count{Carried: l.carried.Load(), Bytes: l.bytes.Load(), Lost: l.lost.Load(),
		Overflowed: l.overflowed.Load(), Darkened: l.darkened.Load()}
}
