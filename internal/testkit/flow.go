package testkit

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// flow is one direction of a Pipe: a bounded buffer between one writing end and
// one reading end. Waiting is on a condition, so a synctest bubble sees it as idle.
type flow struct {
	mu      sync.Mutex
	changed *sync.Cond
	data    []byte

	finished     bool // the writer half-closed or closed: io.EOF after data
	reset        bool // the writer reset: data is gone
	readerClosed bool
	writerClosed bool

	readBy, writeBy deadline
	awaited         func() // of AwaitReadable
}

func newFlow() *flow {
	f := &flow{}
	f.changed = sync.NewCond(&f.mu)
	return f
}

func (f *flow) read(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.readerClosed:
			return 0, net.ErrClosed
		case f.readBy.passed():
			return 0, os.ErrDeadlineExceeded
		case f.reset:
			return 0, errReset
		case len(p) == 0:
			return 0, nil
		case len(f.data) > 0:
			n := copy(p, f.data)
			f.data = f.data[n:]
			f.changed.Broadcast()
			return n, nil
		case f.finished:
			return 0, io.EOF
		}
		f.changed.Wait()
	}
}

func (f *flow) write(p []byte) (written int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		switch {
		case f.writerClosed:
			return written, net.ErrClosed
		case f.writeBy.passed():
			return written, os.ErrDeadlineExceeded
		case f.finished, f.readerClosed:
			return written, syscall.EPIPE
		case len(p) == 0:
			return written, nil
		}
		if room := pipeBuffer - len(f.data); room > 0 {
			n := min(room, len(p))
			f.data = append(f.data, p[:n]...)
			p, written = p[n:], written+n
			f.arrived()
			continue
		}
		f.changed.Wait()
	}
}

// finish ends the direction in order, by its writer.
func (f *flow) finish() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.writerClosed {
		return net.ErrClosed
	}
	f.finished = true
	f.arrived()
	return nil
}

// closeWriter is finish plus: the writing end itself is gone.
func (f *flow) closeWriter(reset bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writerClosed, f.finished = true, true
	if reset {
		f.reset, f.data = true, nil
	}
	f.writeBy.stop()
	f.arrived()
}

// closeReader tells whether bytes were left unread: a kernel resets then.
func (f *flow) closeReader() (unread bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	unread = len(f.data) > 0
	f.readerClosed, f.data = true, nil
	f.readBy.stop()
	f.arrived()
	return unread
}

// await has wake called when a read would return at once; false: it would now.
func (f *flow) await(wake func()) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.readerClosed || f.reset || f.finished || len(f.data) > 0 {
		return false
	}
	f.awaited = wake
	return true
}

// arrived tells everybody that a read may return. mu is held.
func (f *flow) arrived() {
	f.changed.Broadcast()
	if wake := f.awaited; wake != nil {
		f.awaited = nil
		wake()
	}
}

func (f *flow) setReadDeadline(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.readerClosed {
		f.readBy.set(t, f.wake)
	}
	f.changed.Broadcast()
}

func (f *flow) setWriteDeadline(t time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.writerClosed {
		f.writeBy.set(t, f.wake)
	}
	f.changed.Broadcast()
}

func (f *flow) wake() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.changed.Broadcast()
}

// deadline is a point in time and the timer that wakes those who wait for it. Its
// owner's lock guards it.
type deadline struct {
	at    time.Time
	timer *time.Timer
}

func (d *deadline) set(t time.Time, wake func()) {
	d.stop()
	d.at = t
	if !t.IsZero() {
		d.timer = time.AfterFunc(time.Until(t), wake)
	}
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

func (d *deadline) passed() bool { return !d.at.IsZero() && !time.Now().Before(d.at) }
