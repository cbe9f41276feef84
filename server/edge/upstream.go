package edge

import (
	"context"
	"encoding/hex"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/route"
)

// upstreams keeps the connections to each member that served a request.
type upstreams struct {
	edge   *Edge
	mu     sync.Mutex
	by     map[postern.EndpointID]*upstream
	closed bool

	sweeper sweeper // of their pairs
}

// upstream is one member's connections. They are kept between requests, which saves
// opening a stream, dialling the service and parsing at the agent for each.
type upstream struct {
	member  route.Member
	options postern.EndpointOptions
	pairs   pairs       // of the relay
	private bool        // connections are kept for one visitor's connection each
	shared  bool        // connections serve all visitors
	serial  bool        // one request after the other on a connection: HTTP/1
	gone    atomic.Bool // the member has left, or the edge ends
	unwatch func() bool // from the member's end

	// Of the path on net/http; nil until it is needed. Most members never do, and it
	// takes 2 KiB.
	transport atomic.Pointer[http.Transport]
}

// closeIdle closes every connection that waits for a request.
func (u *upstream) closeIdle() {
	u.closeIdleWeb()
	u.pairs.closeIdle(false)
}

func (u *upstream) closeIdleWeb() {
	if transport := u.transport.Load(); transport != nil {
		transport.CloseIdleConnections()
	}
}

const (
	// idlePerKey is how many connections are kept unused; more concurrency than this
	// costs a new stream a request.
	idlePerKey = 512
	// idleUpstream is below the time after which most services close a connection.
	idleUpstream = 45 * time.Second
	// idleUnshared bounds all idle connections where each serves one address only.
	idleUnshared = 128
	// roomAfter is how long opening a stream may take before idle ones are given up.
	roomAfter = 50 * time.Millisecond
	// continueWait is how long a visitor's "Expect: 100-continue" waits for a service
	// that does not know it; curl waits as long.
	continueWait = time.Second
)

// of gives the member's upstream.
func (u *upstreams) of(m route.Member) (*upstream, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return nil, &postern.Error{Code: postern.CodeLinkDraining}
	}
	if at := u.by[m.ID()]; at != nil {
		return at, nil
	}
	select {
	case <-m.Done():
		return nil, &postern.Error{Code: postern.CodeLinkLost}
	default:
	}
	at := u.edge.newUpstream(m)
	if u.by == nil {
		u.by = make(map[postern.EndpointID]*upstream)
	}
	u.by[m.ID()] = at
	at.unwatch = link.AfterDone(m, func() { u.drop(at) })
	return at, nil
}

// drop ends an upstream whose member has gone.
func (u *upstreams) drop(at *upstream) {
	u.mu.Lock()
	delete(u.by, at.member.ID())
	u.mu.Unlock()
	at.gone.Store(true)
	at.closeIdleWeb()
	at.pairs.closeIdle(true)
}

// closeIdle closes every connection that waits for a request.
func (u *upstreams) closeIdle() {
	u.mu.Lock()
	all := slices.Collect(maps.Values(u.by))
	u.mu.Unlock()
	for _, at := range all {
		at.closeIdle()
	}
}

// close makes every later request fail and ends what there is.
func (u *upstreams) close() {
	u.mu.Lock()
	u.closed = true
	u.sweeper.stop()
	all := slices.Collect(maps.Values(u.by))
	u.mu.Unlock()
	for _, at := range all {
		at.unwatch()
		u.drop(at)
	}
}

func (e *Edge) newUpstream(m route.Member) *upstream {
	u := &upstream{
		member:  m,
		options: m.Options(),
		private: m.Options().ProxyProtocol != 0,
		// Only our own agent forgets who a stream was first opened for; an SDK shows
		// its application the visitor's address as that of the connection.
		shared: strings.HasPrefix(m.Transport(), "postern/") && !m.Options().VisitorAddress,
	}
	u.serial = u.options.UpstreamProtocol != postern.HTTP2
	u.pairs.sweeper = &e.upstreams.sweeper
	if !u.shared {
		u.pairs.most = idleUnshared
	}
	return u
}

// web is the transport, with the timeouts of the time of its first use.
func (u *upstream) web(l *Live) *http.Transport {
	if made := u.transport.Load(); made != nil {
		return made
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(u.serial)
	protocols.SetUnencryptedHTTP2(!u.serial)
	made := &http.Transport{
		MaxIdleConns:           u.pairs.most, // 0: no limit beside idlePerKey
		DialContext:            u.dial,
		Protocols:              protocols,
		DisableCompression:     true, // bodies pass as they are
		MaxIdleConnsPerHost:    idlePerKey,
		IdleConnTimeout:        idleUpstream,
		ResponseHeaderTimeout:  l.Timeouts.ResponseHeader,
		ExpectContinueTimeout:  continueWait,
		MaxResponseHeaderBytes: maxResponseHead,
	}
	if !u.transport.CompareAndSwap(nil, made) {
		return u.transport.Load()
	}
	return made
}

// maxResponseHead bounds what a service may say before its body.
const maxResponseHead = 1 << 20

// key says which requests may use one connection after the other. It stands where
// the transport expects a host name.
func (u *upstream) key(v *visitor) string {
	switch {
	case u.private || v.private.Load():
		return "visitor-" + strconv.FormatUint(v.number, 10)
	case u.shared:
		return "shared"
	}
	addr := v.client.Addr().As16()
	return "address-" + hex.EncodeToString(addr[:])
}

type exchangeKey struct{}

// dial opens a stream for a request, which travels in ctx. The transport may give the
// connection to another request of the same key.
func (u *upstream) dial(ctx context.Context, _, key string) (net.Conn, error) {
	x := ctx.Value(exchangeKey{}).(*webExchange)
	conn, err := u.open(ctx, &x.Exchange, nil)
	if err == nil && strings.HasPrefix(key, "visitor-") {
		err = conn.own(x.visitor)
	}
	if err != nil {
		return nil, err
	}
	return conn, nil
}

// open opens a stream for x, with first as its first bytes; there are some where the
// relay opens it, which reads nothing ahead of its time. Errors are *openError.
func (u *upstream) open(ctx context.Context, x *Exchange, first []byte) (*upstreamConn, error) {
	ctx, cancel := context.WithTimeout(ctx, x.live.Timeouts.Open)
	defer cancel()
	// An agent takes a limited number of streams. Those that wait for a request which
	// may never come must not keep this one waiting: our own, then, because a session
	// has many endpoints, everybody's.
	own := time.AfterFunc(roomAfter, u.closeIdle)
	defer own.Stop()
	all := time.AfterFunc(5*roomAfter, x.edge.upstreams.closeIdle)
	defer all.Stop()
	header := link.Header{ClientAddr: x.visitor.client, Scheme: x.serving().URL.Scheme}
	relayed := len(first) > 0
	if u.private {
		first = append(x.edge.proxyHeader(x.visitor, u.member), first...)
	}
	s, err := u.member.Open(ctx, header, first)
	if err != nil {
		return nil, &openError{err}
	}
	meter := u.member.Meter()
	meter.In(len(first))
	conn := newUpstreamConn(s, meter, u.serial && !relayed)
	if !u.serial {
		conn.longest = longestShared
	}
	return conn, nil
}

// openError tells a failure to open, before which nothing was sent, from later ones.
type openError struct{ cause error }

func (o *openError) Error() string { return "opening a stream to the agent: " + o.cause.Error() }
func (o *openError) Unwrap() error { return o.cause }
