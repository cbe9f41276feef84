package edge

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/quota"
)

// upload is a request's body on its way to the service. It holds a visitor to making
// progress, and remembers how the body ended: only one that ended by its own framing
// leaves a connection that can be used again.
//
// net/http's transport reads it from a goroutine of its own, which may outlive the
// handler's interest; stop ends that.
type upload struct {
	body    io.ReadCloser
	control *http.ResponseController
	http2   bool

	bytes   atomic.Int64
	touched atomic.Bool // a read was tried: the body cannot be sent to another member
	done    atomic.Bool // its end was read

	trailer, declared http.Header // from the visitor; to the service, where allowed
	endless           bool        // it has no length

	mu       sync.Mutex
	over     bool // stop was called
	patience patience
	meter    *quota.Meter  // of the member that it goes to
	held     time.Duration // how long a read may wait because of us, see begin
	failure  *postern.Error
	cancel   func() // ends the request to the service; nil for none yet

	parting parting // HTTP/2 needs none: its connections are always read
}

// newUpload wraps r's body.
func (x *webExchange) newUpload() *upload {
	u := &upload{
		body: x.r.Body, control: x.control, patience: x.live.pace().begin(), http2: x.r.ProtoMajor > 1,
		endless: x.r.ContentLength < 0, trailer: x.r.Trailer,
	}
	u.parting.gone = u.visitorLeft
	if x.visitor != nil {
		u.parting.conn = x.visitor.NetConn()
	}
	return u
}

// visitorLeft ends the request to a service that takes no more of the body.
func (u *upload) visitorLeft() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.failure == nil {
		u.failure = &postern.Error{Code: postern.CodeStreamReset}
	}
	if u.cancel != nil {
		u.cancel()
	}
}

// cancels says how the request to the service is ended.
func (u *upload) cancels(cancel func()) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.cancel = cancel
}

// toMember says where the body goes. declared is where allowed trailers go once they are
// known. conversation is true for endpoints whose bodies may be half of a conversation
// (gRPC), in which silence is no offence; that of a declared length never is.
func (u *upload) toMember(declared http.Header, conversation bool, meter *quota.Meter) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.meter = meter
	if u.done.Load() { // a follower has read it
		for name := range declared {
			declared[name] = u.trailer[name]
		}
	}
	u.declared = declared
	if conversation && u.endless {
		u.patience.most = 0
	}
}

// Read implements io.Reader for the transport.
func (u *upload) Read(b []byte) (int, error) {
	u.touched.Store(true)
	u.parting.end()
	if err := u.begin(); err != nil {
		return 0, err
	}
	started := time.Now()
	n, err := u.body.Read(b)
	u.bytes.Add(int64(n))
	err = u.end(n, time.Since(started), err)
	if err == nil && !u.http2 {
		u.parting.begin() // until the transport wants more
	}
	return n, err
}

// again lets the transport take another connection when the one it had kept turns out
// to be closed before anything was written to it.
func (u *upload) again() (io.ReadCloser, error) {
	if u.touched.Load() {
		return nil, errUploadTouched
	}
	return u, nil
}

// connectionWindow is what an HTTP/2 visitor may have sent without our having read it.
const connectionWindow = 1 << 20

// begin sets the deadline of one read.
func (u *upload) begin() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.over {
		return errUploadOver
	}
	if u.http2 {
		// What others of the connection have sent, and we do not take for the sake of a
		// rate, keeps this one from sending.
		u.held = u.meter.Takes(connectionWindow)
	}
	if u.patience.most > 0 {
		_ = u.control.SetReadDeadline(time.Now().Add(max(0, u.patience.left) + u.held))
	}
	return nil
}

var (
	errUploadOver    = errors.New("the request's body is no longer wanted")
	errUploadTouched = errors.New("the service closed a kept connection when the request's body was on its way")
)

// end notes how a read went.
func (u *upload) end(n int, took time.Duration, err error) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.patience.spend(max(0, took-u.held))
	u.patience.earn(int64(n))
	if err == nil && u.http2 && !u.over && u.patience.most > 0 {
		// An HTTP/2 stream's deadline ends its body when it passes, also while nobody
		// reads: what follows is the service's time, or a pause of ours.
		_ = u.control.SetReadDeadline(time.Time{})
	}
	if err == nil || u.over {
		return err
	}
	if err == io.EOF {
		u.done.Store(true)
		u.takeTrailers()
		// The connection's next read waits for the next request, or for the visitor to
		// leave: for as long as the answer takes.
		_ = u.control.SetReadDeadline(time.Time{})
		return err
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		u.failure = tooSlow(err)
	case u.http2 || broken(err):
		u.failure = (&postern.Error{Code: postern.CodeStreamReset}).Because(err)
	default:
		u.failure = postern.Errorf(postern.CodeRequestInvalid, "the request's body is malformed").Because(err)
	}
	return err
}

// takeTrailers passes on what the visitor announced and we allowed.
func (u *upload) takeTrailers() {
	for name := range u.declared {
		u.declared[name] = u.trailer[name]
	}
}

// Close implements io.Closer for the transport. The server closes the body itself
// when the handler returns, after the answer.
func (u *upload) Close() error { return nil }

// failed is why the body did not come to its end; nil if it did, or still may.
func (u *upload) failed() *postern.Error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.failure
}

// stop ends reading, also a read that is waiting. It holds the body's lock, for which
// the server would wait too.
func (u *upload) stop() {
	u.parting.stop()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = true
	if !u.done.Load() {
		_ = u.control.SetReadDeadline(time.Unix(1, 0))
	}
}

// complete tells whether the body's end was read.
func (u *upload) complete() bool { return u == nil || u.done.Load() }

func (u *upload) received() int64 { return u.bytes.Load() }
