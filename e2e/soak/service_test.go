package soak_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// service is what the agents bring online. Its paths:
//
//	GET  /bytes?seed=&n=    n bytes with a Content-Length
//	GET  /chunks?seed=&n=   n bytes, chunked
//	GET  /endless?seed=     bytes until the visitor has enough
//	POST /upload?seed=&n=   takes exactly n bytes of body seed
//	GET  /events?n=         n server-sent events, five a second
//	GET  /socket            a WebSocket that echoes
type service struct {
	*payloads
	tally *tally
	open  atomic.Int64 // handlers and connections that have not ended
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.open.Add(1)
	defer s.open.Add(-1)
	seed, _ := strconv.Atoi(r.URL.Query().Get("seed"))
	n, _ := strconv.Atoi(r.URL.Query().Get("n"))
	switch r.URL.Path {
	case "/bytes":
		w.Header().Set("Content-Length", strconv.Itoa(n))
		_, _ = io.Copy(w, s.reader(seed, n)) // the visitor judges
	case "/chunks":
		w.(http.Flusher).Flush()
		_, _ = io.Copy(w, s.reader(seed, n))
	case "/endless":
		_, _ = io.Copy(w, &payloadReader{s.block, seed % len(s.block)})
	case "/upload":
		s.upload(w, r, seed, n)
	case "/events":
		sendEvents(w, r, n)
	case "/socket":
		echoMessages(w, r)
	default:
		http.NotFound(w, r)
	}
}

// upload answers with what it took. A body that is cut must not look whole.
func (s *service) upload(w http.ResponseWriter, r *http.Request, seed, n int) {
	c := &payloadChecker{block: s.block, next: seed % len(s.block)}
	if _, err := io.CopyBuffer(c, struct{ io.Reader }{r.Body}, make([]byte, 32<<10)); err == nil && c.seen != n {
		s.tally.fail("service", fmt.Errorf("%w: an upload of %d bytes ended cleanly after %d", errWrong, n, c.seen))
	}
	fmt.Fprintf(w, "%d bytes", c.seen)
}

func sendEvents(w http.ResponseWriter, r *http.Request, n int) {
	w.Header().Set("Content-Type", "text/event-stream")
	tick := time.NewTicker(eventInterval)
	defer tick.Stop()
	for i := range n {
		if _, err := fmt.Fprintf(w, "data: %d\n\n", i); err != nil {
			return
		}
		w.(http.Flusher).Flush()
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
	}
	io.WriteString(w, "data: end\n\n") //nolint:errcheck // the visitor judges
}

const (
	eventInterval = 200 * time.Millisecond
	largestFrame  = 1 << 20
)

func echoMessages(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(largestFrame)
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, message) != nil {
			return
		}
	}
}

// tcpService takes all that a connection sends and then answers with its length and
// whether it was body 0.
type tcpService struct {
	*service
	listener net.Listener
	all      sync.WaitGroup
}

func (s *tcpService) serve() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.all.Go(func() { s.answer(conn) })
	}
}

func (s *tcpService) answer(conn net.Conn) {
	defer conn.Close()
	s.open.Add(1)
	defer s.open.Add(-1)
	c := &payloadChecker{block: s.block}
	_, err := io.CopyBuffer(c, struct{ io.Reader }{conn}, make([]byte, 32<<10))
	fmt.Fprintf(conn, "%d bytes, %v", c.seen, err)
}
