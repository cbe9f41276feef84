package edge

import (
	"net/http"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// webExchange is an exchange on net/http: the path for every kind of request, over
// HTTP/1 and HTTP/2.
type webExchange struct {
	Exchange
	w       http.ResponseWriter
	r       *http.Request
	control *http.ResponseController
	upload  *upload // the request's body, nil for none

	// Where followers were shown the request.
	edited http.Header   // what goes on
	body   *followedBody // nil for none

	life life
}

func (e *Edge) newWebExchange(w http.ResponseWriter, r *http.Request) *webExchange {
	x := &webExchange{
		Exchange: Exchange{
			edge: e, live: e.live.Load(), visitor: visitorFrom(r.Context()),
			times: Times{Started: time.Now()},
		},
		w: w, r: r, control: http.NewResponseController(w),
	}
	x.head = x
	return x
}

// method and the following implement requestHead, by what net/http has parsed.
func (x *webExchange) method() string              { return x.r.Method }
func (x *webExchange) hostText() string            { return x.r.Host }
func (x *webExchange) path() string                { return x.r.URL.EscapedPath() }
func (x *webExchange) below(path string) bool      { return strings.HasPrefix(x.r.URL.Path, path) }
func (x *webExchange) protocol() string            { return x.r.Proto }
func (x *webExchange) values(name string) []string { return x.r.Header[name] }

// serveRequest answers one visitor's request.
func (e *Edge) serveRequest(w http.ResponseWriter, r *http.Request) {
	x := e.newWebExchange(w, r)
	defer x.finish()
	if err := x.serve(); err != nil {
		x.conclude(err)
	}
}

func (x *webExchange) serve() error {
	if err := x.check(); err != nil {
		return err
	}
	if x.visitor.inside != nil {
		return x.serveInside()
	}
	host, err := requestHost(x.r.Host)
	x.host = host
	if (err == nil || isCode(err, postern.CodeEndpointOffline)) && x.isCarrier() {
		return x.serveCarrier()
	}
	if (err == nil || isCode(err, postern.CodeEndpointOffline)) && x.isConnector() {
		if proof := x.proof(); proof != "" { // names of gateways have certificates, too
			return x.showProof(proof)
		}
		return x.serveConnector()
	}
	if err != nil {
		return err
	}
	to, err := x.find()
	if x.parts {
		x.w.Header().Set("Connection", "close") // HTTP/2: GOAWAY
	}
	switch {
	case err != nil:
		return err
	case to.proof != "":
		return x.showProof(to.proof)
	case to.own != nil:
		return x.serveOwn(to.own)
	case to.redirect:
		x.redirect()
		return nil
	}
	return x.relay()
}

// relay sends the request to its route.
func (x *webExchange) relay() error {
	if x.r.ProtoMajor == 1 {
		// The service may answer while the visitor still sends; without this net/http
		// would read the visitor's body for itself before it lets an answer through.
		_ = x.control.EnableFullDuplex()
		if x.r.Close {
			x.visitor.lingers.Store(true) // nobody knows whether it has sent more
		}
	}
	if namesPrivateConnection(x.r.Header["Authorization"]) {
		x.visitor.private.Store(true)
	}
	return x.translate(x.serveRoute(x, x.beginFollowed))
}

// serves implements forwarder.
func (x *webExchange) serves(route.Member) bool { return true }

// untouched implements forwarder.
func (x *webExchange) untouched() bool {
	return (x.upload == nil || !x.upload.touched.Load()) && (x.body == nil || !x.body.touched.Load()) && x.r.Context().Err() == nil
}

// serveOwn lets one of the server's own sites answer. Its certificate must have been
// asked for by its own name, so that no tenant's page can speak to it over a
// connection that was made for the tenant.
func (x *webExchange) serveOwn(own http.Handler) error {
	if !x.visitor.secure {
		return x.sendToTLS()
	}
	if x.visitor.secure && x.visitor.serverName != "" && x.visitor.serverName != x.host {
		return &postern.Error{Code: postern.CodeMisdirected}
	}
	recorder := &statusRecorder{ResponseWriter: x.w, stall: x.newStall()}
	defer recorder.stall.stop()
	own.ServeHTTP(recorder, x.r)
	x.status, x.sent = recorder.status, recorder.sent
	return nil
}

// sendToTLS keeps the server's own sites off the plain port. What carries a credential, or
// changes something, is refused instead of redirected: its sender would go on sending it
// in the clear, and never notice.
func (x *webExchange) sendToTLS() error {
	simple := x.r.Method == http.MethodGet || x.r.Method == http.MethodHead
	if !simple || x.r.Header["Authorization"] != nil || x.r.Header["Cookie"] != nil {
		return postern.Errorf(postern.CodeTLSRequired, "%s is served over https only; the request came in the clear, and what it carried should be replaced", x.host)
	}
	x.redirect()
	return nil
}

// redirect sends a visitor of port 80 to the https endpoint of the same name.
func (x *webExchange) redirect() {
	x.w.Header().Set("Location", x.edge.publicURL(postern.HTTPS, x.host, x.r.URL.RequestURI()))
	x.w.Header().Set("Content-Length", "0")
	if x.edge.lastAnswers() {
		x.w.Header().Set("Connection", "close")
	}
	x.status = http.StatusPermanentRedirect
	x.w.WriteHeader(x.status)
}

// fail answers with a page for failure.
func (x *webExchange) fail(failure *postern.Error) {
	p := x.newPage(failure)
	kind, body := p.render(x.r.Header["Accept"])
	h := x.w.Header()
	for _, line := range p.header(kind, len(body)) {
		h.Set(line.name, line.value)
	}
	x.closeUnlessComplete()
	x.status = p.Status
	x.boundWrites()
	x.w.WriteHeader(p.Status)
	if x.r.Method != http.MethodHead {
		n, _ := x.w.Write(body)
		x.sent = int64(n)
	}
}

// abort cuts the answer off so that it cannot be taken for complete: HTTP/2 resets
// the stream, HTTP/1 the connection. It does not return.
func (x *webExchange) abort(why *postern.Error) {
	x.failure = why
	if x.r.ProtoMajor == 1 {
		x.visitor.abort(why)
	}
	panic(http.ErrAbortHandler)
}

// finish accounts for the exchange, however it ended; one that was upgraded lives on.
func (x *webExchange) finish() {
	if x.upload != nil {
		x.upload.stop()
		x.received += x.upload.received()
	}
	if x.joined != nil {
		x.forgetHTTP()
		go x.join()
		return
	}
	x.account()
	x.visit.Leave()
	x.leaveContext()
	x.letGo()
}

// boundWrites cuts an HTTP/2 visitor off who takes nothing of the answer for too long. It
// is for writes that no stall watches, and holds after the handler has returned too.
func (x *webExchange) boundWrites() {
	if most := x.live.pace().most; x.r.ProtoMajor > 1 && most > 0 {
		_ = x.control.SetWriteDeadline(time.Now().Add(most))
	}
}

// letGo leaves the rest to net/http. What is small waits in its buffer until the handler
// returns, and then, where an HTTP/2 visitor grants no window, for the visitor: a hundred
// such answers on each connection must not last for ever, nor hold the requests' heads.
func (x *webExchange) letGo() {
	if x.r.ProtoMajor == 1 {
		return // every write has its deadline, see visitor.Write
	}
	if x.sent > 0 {
		x.boundWrites()
	}
	x.r.Header = nil
}

// statusRecorder notes what one of our own sites answered.
type statusRecorder struct {
	http.ResponseWriter
	stall  *stall
	status int
	sent   int64
}

func (s *statusRecorder) WriteHeader(code int) {
	if s.status == 0 && code >= 200 {
		s.status = code
	}
	s.ResponseWriter.WriteHeader(code)
}

func (s *statusRecorder) Write(b []byte) (int, error) {
	s.status = either(s.status, http.StatusOK)
	s.stall.begin()
	n, err := s.ResponseWriter.Write(b)
	s.stall.end(n)
	s.sent += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the writer below.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

var (
	_ forwarder   = (*webExchange)(nil)
	_ requestHead = (*webExchange)(nil)
)
