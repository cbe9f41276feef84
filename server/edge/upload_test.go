package edge

import (
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
)

// dripping is a body that gives size bytes every pause, and obeys read deadlines as a
// connection does. It is its own http.ResponseWriter, for the controller.
type dripping struct {
	http.ResponseWriter
	first    int // bytes that come at once
	size     int
	pause    time.Duration
	deadline time.Time
	left     int
}

func (d *dripping) SetReadDeadline(t time.Time) error { d.deadline = t; return nil }
func (d *dripping) Close() error                      { return nil }

func (d *dripping) Read(b []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	if d.first > 0 {
		n := min(d.first, len(b))
		d.first, d.left = d.first-n, d.left-n
		return n, nil
	}
	ready := time.Now().Add(d.pause)
	if !d.deadline.IsZero() && d.deadline.Before(ready) {
		time.Sleep(time.Until(d.deadline))
		return 0, os.ErrDeadlineExceeded
	}
	time.Sleep(d.pause)
	n := min(d.size, d.left, len(b))
	d.left -= n
	return n, nil
}

// B2 "slowloris", B5-11: a body that drips is cut, whether it has a length or comes in
// chunks, and whatever it began with; one that is slow is not. Without a rate only a
// body that stops is cut.
func TestLeastRateOfBodies(t *testing.T) {
	for name, c := range map[string]struct {
		rate   int64
		length int64
		first  int
		size   int
		pause  time.Duration
		cut    bool
		before time.Duration
	}{
		"a byte a second":             {length: 1000, size: 1, pause: time.Second, cut: true, before: time.Minute},
		"a byte in nine seconds":      {length: 1000, size: 1, pause: 9 * time.Second, cut: true, before: time.Minute},
		"the same in chunks":          {length: -1, size: 1, pause: 9 * time.Second, cut: true, before: time.Minute},
		"slow line":                   {length: 100_000, size: 700, pause: 10 * time.Second},
		"slow line, chunks":           {length: -1, size: 700, pause: 10 * time.Second},
		"a long pause":                {length: 1000, size: 500, pause: 10 * time.Minute, cut: true, before: time.Minute},
		"a quick beginning":           {length: 2 << 20, first: 1 << 20, size: 1, pause: time.Minute, cut: true, before: 6 * time.Minute},
		"a pause in something quick":  {length: 2 << 20, first: 1 << 20, size: 1 << 20, pause: 100 * time.Second},
		"followed log":                {rate: -1, length: -1, size: 50, pause: 4 * time.Minute},
		"followed log that stopped":   {rate: -1, length: -1, size: 50, pause: 6 * time.Minute, cut: true, before: 6 * time.Minute},
		"a length and no rate at all": {rate: -1, length: 1000, size: 1, pause: time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			total := int(max(c.length, 1000))
			body := &dripping{first: c.first, size: c.size, pause: c.pause, left: total}
			x := &webExchange{
				Exchange: Exchange{live: &Live{Limits: Limits{LeastRate: c.rate}.orDefault(), Timeouts: Timeouts{}.orDefault()}},
				r:        &http.Request{Body: body, ContentLength: c.length, ProtoMajor: 1}, control: http.NewResponseController(body),
			}
			u := x.newUpload()
			began := time.Now()
			n, err := io.Copy(io.Discard, u)
			switch {
			case !c.cut && (err != nil || n != int64(total) || !u.complete()):
				t.Errorf("%s: %d bytes, then %v", name, n, err)
			case c.cut && !errors.Is(err, os.ErrDeadlineExceeded):
				t.Errorf("%s: not cut: %v", name, err)
			case c.cut && (u.failed() == nil || u.failed().Code != postern.CodeRequestTimeout || u.complete()):
				t.Errorf("%s: %v", name, u.failed())
			case c.cut && time.Since(began) > c.before:
				t.Errorf("%s: cut after %s", name, time.Since(began))
			}
			if !c.cut && !body.deadline.IsZero() {
				t.Errorf("%s: a deadline is left behind", name)
			}
		})
	}
}

// Half of a gRPC conversation may be silent for ever.
func TestConversationsMayBeSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := &dripping{size: 5, pause: 24 * time.Hour, left: 10}
		x := &webExchange{
			Exchange: Exchange{live: &Live{Limits: Limits{}.orDefault(), Timeouts: Timeouts{}.orDefault()}},
			r:        &http.Request{Body: body, ContentLength: -1, ProtoMajor: 2}, control: http.NewResponseController(body),
		}
		u := x.newUpload()
		u.toMember(nil, true, nil)
		if n, err := io.Copy(io.Discard, u); n != 10 || err != nil {
			t.Errorf("%d bytes, then %v", n, err)
		}
	})
}
