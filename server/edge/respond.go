package edge

import (
	"io"
	"net/http"
	"strings"
	"sync"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
)

// respond sends the service's answer to the visitor. An error means that nothing of it
// was sent; it does not return when the answer breaks off: see abort.
func (x *webExchange) respond(response *http.Response) error {
	header := response.Header
	removeHopByHop(header, header["Connection"])
	if err := x.review(response); err != nil {
		return err
	}
	x.keepCookies(header)
	w := x.w.Header()
	for name, values := range header {
		w[name] = values
	}
	if len(header["Content-Type"]) == 0 {
		w["Content-Type"] = nil // else net/http would guess one
	}
	announced := announceTrailers(w, response.Trailer)
	x.closeUnlessComplete()
	x.status = response.StatusCode
	x.w.WriteHeader(response.StatusCode)
	if announced > 0 {
		_ = x.control.Flush() // chunked, even where the body turns out short
	}
	if response.Body != http.NoBody {
		x.copyBody(response.Body, response.ContentLength)
	}
	x.copyTrailers(response, announced)
	return nil
}

// closeUnlessComplete makes this answer the connection's last when the visitor still
// sends: whatever becomes of the rest of its message, nothing after it may be read as
// a request. The connection then lingers, so that the answer is read.
func (x *webExchange) closeUnlessComplete() {
	if x.edge.lastAnswers() {
		x.w.Header().Set("Connection", "close") // HTTP/2: GOAWAY
	}
	if x.r.ProtoMajor != 1 || x.r.ContentLength == 0 || x.upload != nil && x.upload.complete() {
		return
	}
	x.w.Header().Set("Connection", "close")
	x.visitor.lingers.Store(true)
}

// copyBuffers are what bodies pass through.
var copyBuffers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// copyBody streams the body: what has come goes on at once where more may be long in
// coming, so that events arrive when they happen.
func (x *webExchange) copyBody(body io.Reader, length int64) {
	if x.r.Method == http.MethodHead {
		return
	}
	if length < 0 {
		_ = x.control.Flush() // somebody may wait for the head of a stream of events
	}
	buffer := copyBuffers.Get().(*[32 << 10]byte)
	defer copyBuffers.Put(buffer)
	stall := x.newStall()
	defer stall.stop()
	for {
		n, err := body.Read(stall.piece(buffer[:]))
		if n > 0 {
			stall.begin()
			written, failure := x.w.Write(buffer[:n])
			x.sent += int64(written)
			if failure == nil && err == nil && x.sent != length {
				failure = x.control.Flush()
			}
			stall.end(written)
			if failure != nil {
				x.abort((&postern.Error{Code: postern.CodeStreamReset}).Because(failure))
			}
		}
		switch {
		case err == io.EOF:
			return
		case err != nil:
			x.failure = postern.AsError(x.translate(err))
			x.abort(x.failure)
		}
	}
}

// announceTrailers declares the trailers that the service announced, and counts them.
// A field that a receiver must know before the body (RFC 9110 §6.5.1) is none.
func announceTrailers(w http.Header, trailer http.Header) int {
	if len(trailer) == 0 {
		return 0
	}
	names := make([]string, 0, len(trailer))
	for name := range trailer {
		if httpguts.ValidTrailerHeader(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return 0
	}
	w.Set("Trailer", strings.Join(names, ", "))
	return len(names)
}

// copyTrailers sends the trailers; those that came unannounced too.
func (x *webExchange) copyTrailers(response *http.Response, announced int) {
	w := x.w.Header()
	for name, values := range response.Trailer {
		if !httpguts.ValidTrailerHeader(name) {
			continue
		}
		if announced != len(response.Trailer) {
			name = http.TrailerPrefix + name
		}
		w[name] = values
	}
}
