package edge

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
)

// paced writes to a connection as a visitor does.
type paced struct {
	conn net.Conn
	writeDeadline
}

// write tells how long it took, too.
func (p *paced) write(size int) (time.Duration, error) {
	began := time.Now()
	for sent := 0; ; {
		p.begin(p.conn)
		n, err := p.conn.Write(make([]byte, size-sent))
		sent += n
		if again := p.end(p.conn, n, err != nil && timedOut(err)); !again {
			return time.Since(began), err
		}
	}
}

func newPaced(t *testing.T, p pace) (*paced, net.Conn) {
	ours, theirs := testkit.Pipe()
	t.Cleanup(func() { ours.Close() })
	t.Cleanup(func() { theirs.Close() })
	d := &paced{conn: ours}
	d.hold(p)
	return d, theirs
}

// B5-10: a reader who stops is cut; one who reads at the least rate is not, however
// long it takes, nor one who had been quick and pauses; and crypto/tls may ask for
// less, as it does when it closes.
func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 64 << 10
		d, theirs := newPaced(t, pace{grace: 20 * time.Second, most: time.Minute, rate: 2 << 10})
		if _, err := d.write(size); err != nil {
			t.Fatalf("into an empty buffer: %v", err)
		}
		for range 10 {
			go func() {
				time.Sleep(30 * time.Second)
				_, _ = io.ReadFull(theirs, make([]byte, size))
			}()
			if _, err := d.write(size); err != nil {
				t.Fatalf("a slow reader: %v", err)
			}
			synctest.Wait()
			time.Sleep(time.Minute)
		}
		_ = d.set(d.conn, time.Time{}) // as net/http does after a request
		if took, err := d.write(size); !errors.Is(err, os.ErrDeadlineExceeded) || took > 75*time.Second {
			t.Errorf("a reader who stopped: %v after %s", err, took)
		}
		_ = d.set(d.conn, time.Now().Add(5*time.Second)) // as crypto/tls does before its farewell
		if took, err := d.write(size); !errors.Is(err, os.ErrDeadlineExceeded) || took > 5*time.Second {
			t.Errorf("closing: %v after %s", err, took)
		}
		d.release()
		_ = d.set(d.conn, time.Time{})
		go func() {
			time.Sleep(time.Hour)
			_, _ = io.ReadFull(theirs, make([]byte, size))
		}()
		if took, err := d.write(size); err != nil || took != time.Hour {
			t.Errorf("handed over: %v after %s", err, took)
		}
	})
}

// B2 "slowloris", B5-10: a reader who takes a few bytes now and then is cut, although
// something always moves; without a rate it is not.
func TestDrippingReader(t *testing.T) {
	for rate, cut := range map[int64]bool{64: true, 0: false} {
		synctest.Test(t, func(t *testing.T) {
			d, theirs := newPaced(t, pace{grace: 20 * time.Second, most: 5 * time.Minute, rate: rate})
			stop := make(chan struct{})
			defer close(stop)
			go drip(theirs, 5, time.Second, stop)
			began := time.Now()
			var err error
			for err == nil && time.Since(began) < time.Hour {
				_, err = d.write(1 << 10)
			}
			took := time.Since(began)
			if cut && (!errors.Is(err, os.ErrDeadlineExceeded) || took > 6*time.Minute) || !cut && err != nil {
				t.Errorf("rate %d: %v after %s", rate, err, took)
			}
		})
	}
}

// drip reads a little from time to time.
func drip(from io.Reader, size int, pause time.Duration, stop <-chan struct{}) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
			_, _ = io.ReadFull(from, make([]byte, size))
		}
	}
}
