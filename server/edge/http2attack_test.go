package edge_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/postern-dev/postern/server/edge"
)

// attacked is a site under attack over one HTTP/2 connection.
type attacked struct {
	*site
	member *member
	conn   net.Conn
	framer *http2.Framer
	block  bytes.Buffer
	pack   *hpack.Encoder
	before int64 // heap

	mu     sync.Mutex
	frames map[http2.FrameType]int // that the server sent
	codes  map[http2.ErrCode]int   // of RST_STREAM and GOAWAY
	heard  map[uint32]bool         // streams that were answered or cut; true: cut
	pinged chan struct{}           // of one: an answer to a PING
	ended  chan struct{}
}

const (
	// mostHeld is what one hostile connection may make the edge hold.
	mostHeld = 8 << 20
	// attackPatience is short, so that the tests are.
	attackPatience = 500 * time.Millisecond
)

// attack connects, and reads what the server says if reads is set.
func attack(t *testing.T, reads bool, settings ...http2.Setting) *attacked {
	t.Helper()
	s := start(t, func(c *config) {
		c.Timeouts = edge.Timeouts{Patience: attackPatience, Transfer: 2 * attackPatience}
	})
	a := &attacked{site: s, frames: make(map[http2.FrameType]int), codes: make(map[http2.ErrCode]int), heard: make(map[uint32]bool),
		pinged: make(chan struct{}, 1), ended: make(chan struct{})}
	a.member = s.serve("https://app."+domain, rawUpstream(t, frugal))
	a.honest()
	a.before = heap()
	a.conn, a.framer = s.framer()
	must(t, a.framer.WriteSettings(settings...))
	a.pack = hpack.NewEncoder(&a.block)
	if reads {
		go a.read()
	}
	return a
}

// frugal is a service that holds next to nothing itself, so that what the process holds
// is the edge's: it never answers /wait nor /sink, and its answer to /large is larger
// than any window.
func frugal(conn *net.TCPConn) {
	b := make([]byte, 512)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return
		}
		switch _, path, _ := strings.Cut(string(b[:n]), " "); {
		case strings.HasPrefix(path, "/wait"), strings.HasPrefix(path, "/sink"):
			for err == nil {
				_, err = conn.Read(b)
			}
			return
		case strings.HasPrefix(path, "/large"):
			_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
			for range 1024 {
				if err == nil {
					_, err = conn.Write(nothing[:])
				}
			}
		default:
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")
		}
	}
}

// nothing is 64 KiB of it.
var nothing [64 << 10]byte

func (a *attacked) read() {
	defer close(a.ended)
	for {
		frame, err := a.framer.ReadFrame()
		if err != nil {
			return
		}
		a.mu.Lock()
		a.frames[frame.Header().Type]++
		switch frame := frame.(type) {
		case *http2.HeadersFrame:
			a.heard[frame.Header().StreamID] = a.heard[frame.Header().StreamID]
		case *http2.RSTStreamFrame:
			a.codes[frame.ErrCode]++
			a.heard[frame.StreamID] = true
		case *http2.GoAwayFrame:
			a.codes[frame.ErrCode]++
		case *http2.PingFrame:
			select {
			case a.pinged <- struct{}{}:
			default:
			}
		}
		a.mu.Unlock()
	}
}

func (a *attacked) seen(kind http2.FrameType) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.frames[kind]
}

// streams counts those that the server has answered or cut, and those that it has cut.
func (a *attacked) streams() (answered, cut int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, isCut := range a.heard {
		if isCut {
			cut++
		}
	}
	return len(a.heard), cut
}

// understood returns once the server has read everything that was sent, or has had
// enough. On a busy machine that takes a while, in which it works on what it reads.
func (a *attacked) understood() {
	a.t.Helper()
	_ = a.framer.WritePing(false, [8]byte{}) // it may have closed the connection
	select {
	case <-a.pinged:
	case <-a.ended:
	case <-time.After(6 * patience):
		a.t.Fatal("the server does not read what it was sent")
	}
}

// request opens a stream; an error means that the server has had enough.
func (a *attacked) request(id uint32, path string, end bool, fields ...string) error {
	a.block.Reset()
	method := "GET"
	if !end {
		method = "POST"
	}
	fields = append([]string{":method", method, ":scheme", "https", ":authority", "app." + domain, ":path", path}, fields...)
	for i := 0; i < len(fields); i += 2 {
		_ = a.pack.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	block := a.block.Bytes()
	first := block[:min(len(block), 16<<10)]
	err := a.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: first, EndStream: end, EndHeaders: len(first) == len(block)})
	for rest := block[len(first):]; err == nil && len(rest) > 0; {
		part := rest[:min(len(rest), 16<<10)]
		rest = rest[len(part):]
		err = a.framer.WriteContinuation(id, len(rest) == 0, part)
	}
	return err
}

// honest has somebody else ask, over both versions.
func (a *attacked) honest() {
	a.t.Helper()
	for _, protocol := range []string{"http/1.1", "h2"} {
		began := time.Now()
		if _, text := get(a.t, a.client(protocol), "https://app."+domain); text != "fine" {
			a.t.Errorf("an honest visitor got %q", text)
		}
		if took := time.Since(began); took > 2*time.Second {
			a.t.Errorf("an honest visitor waited %s", took)
		}
	}
}

// bounded checks what is held while the attack goes on. What is being worked on may
// pass the bound for a moment.
func (a *attacked) bounded() {
	a.t.Helper()
	var held int64
	eventually(a.t, "little is held", func() bool {
		held = heap() - a.before
		return held <= mostHeld
	})
	a.t.Logf("%d KiB held", held>>10)
}

// B2 "HTTP/2 bomb" (CVE-2026-49975, CVE-2026-47774), B5-28: heads that are small on the
// wire and large in memory, just below what one request may have.
func TestHeaderBombs(t *testing.T) {
	large := []string{"x-first", strings.Repeat("x", 3500)}
	for len(large) < 2*8 {
		large = append(large, "x-first", large[1]) // one byte each: it is in the table
	}
	var many []string
	for i := range 190 {
		many = append(many, fmt.Sprintf("x-%d", i), strings.Repeat("y", 40))
	}
	var tooMany []string
	for i := range 900 {
		tooMany = append(tooMany, fmt.Sprintf("x%x", i), "")
	}
	for name, fields := range map[string][]string{"large": large, "many": many, "too many": tooMany} {
		t.Run(name, func(t *testing.T) {
			a := attack(t, true)
			for id := uint32(1); id < 1000; id += 2 {
				if a.request(id, "/wait", true, fields...) != nil {
					break
				}
			}
			a.understood()
			if name != "too many" { // those are answered at once: nothing waits
				eventually(t, "requests wait at the service", func() bool { return a.member.streams.Load() >= 90 })
			}
			a.bounded()
			a.honest()
		})
	}
}

// The number of header lines is bounded on both versions.
func TestHeaderLinesAreCounted(t *testing.T) {
	a := attack(t, true)
	for _, protocol := range []string{"http/1.1", "h2"} {
		response, _ := get(t, a.client(protocol), "https://app."+domain, func(r *http.Request) {
			for i := range 201 {
				r.Header.Add(fmt.Sprintf("X-%d", i), "")
			}
		})
		if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("%s: 201 lines got %s", protocol, response.Status)
		}
	}
}

// B2: frames that ask for an answer, from somebody who reads none: the answers do not
// pile up, and the connection ends.
func TestFloodsOfControlFrames(t *testing.T) {
	for name, one := range map[string]func(*http2.Framer) error{
		"SETTINGS": func(f *http2.Framer) error { return f.WriteSettings() },
		"PING":     func(f *http2.Framer) error { return f.WritePing(false, [8]byte{}) },
		"PRIORITY": func(f *http2.Framer) error { return f.WritePriority(1001, http2.PriorityParam{StreamDep: 3}) },
	} {
		t.Run(name, func(t *testing.T) {
			a := attack(t, false)
			_ = a.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
			for range 300_000 {
				if one(a.framer) != nil {
					break
				}
			}
			a.bounded()
			a.honest()
		})
	}
}

// B2: DATA frames without data move nothing: they earn no patience, however many come.
func TestFloodOfEmptyData(t *testing.T) {
	a := attack(t, true)
	must(t, a.request(1, "/sink", false))
	flood := time.After(10 * attackPatience)
	for sent, cut := 0, false; !cut; sent++ {
		select {
		case <-flood:
			t.Fatalf("after %d empty frames the request still waits for its body", sent)
		case <-a.ended:
			cut = true
		default:
			cut = a.seen(http2.FrameHeaders) > 0 || a.framer.WriteData(1, false, nil) != nil // the 408
		}
	}
	a.bounded()
	a.honest()
	eventually(t, "the service is let go", func() bool { return a.member.busy.Load() == 0 })
}

// B2 "slowloris", B5-10: a hundred answers whose reader grants no window, or a byte now
// and then, while its connection is well: little is held, and all are cut. Small ones, and
// pages of our own, wait where nobody of ours does any more.
func TestStreamsWithoutWindow(t *testing.T) {
	for name, attack := range map[string]struct {
		path  string
		lines int
		drip  bool
	}{
		"none":             {path: "/large"},
		"a byte at a time": {path: "/large", drip: true},
		"of small answers": {path: "/"},
		"of pages":         {path: "/", lines: 201},
	} {
		t.Run(name, func(t *testing.T) { withoutWindow(t, attack.path, attack.lines, attack.drip) })
	}
}

func withoutWindow(t *testing.T, path string, lines int, drip bool) {
	var fields []string
	for i := range lines {
		fields = append(fields, fmt.Sprintf("x%x", i), "")
	}
	a := attack(t, true, http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
	const streams = 100
	for n := range uint32(streams) {
		must(t, a.request(1+2*n, path, true, fields...))
	}
	// A machine that is too slow for an answer in time has cut the stream.
	eventually(t, "all are answered", func() bool { answered, _ := a.streams(); return answered == streams })
	a.bounded()
	a.honest()
	stop := make(chan struct{})
	var dripping sync.WaitGroup
	if drip {
		dripping.Go(func() { a.drip(streams, stop) })
	}
	eventually(t, "every stream is cut", func() bool { _, cut := a.streams(); return cut == streams })
	close(stop)
	dripping.Wait()
	eventually(t, "the service is let go", func() bool { return a.member.busy.Load() == 0 })
	a.honest()
}

// drip grants every stream a byte, again and again.
func (a *attacked) drip(streams uint32, stop <-chan struct{}) {
	tick := time.NewTicker(attackPatience / 10)
	defer tick.Stop()
	for {
		for n := range streams {
			if a.framer.WriteWindowUpdate(1+2*n, 1) != nil {
				return
			}
		}
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// B2 "slowloris": a reader of HTTP/1.1, and of a TCP endpoint, who takes a few bytes now
// and then is cut although something moves.
func TestDrippingReadersAreCut(t *testing.T) {
	s := start(t, func(c *config) {
		c.Timeouts = edge.Timeouts{Patience: attackPatience, Transfer: 2 * attackPatience}
	})
	pour := rawUpstream(t, func(conn *net.TCPConn) { _, _ = io.CopyN(conn, zeros{}, 64<<20) })
	addr, tunnelled := s.tcpPort(pour)
	m := s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(w, zeros{}, 64<<20)
	}))
	for name, reader := range map[string]struct {
		conn   *net.TCPConn
		says   string
		member *member
	}{
		"HTTP": {s.dial(s.http), "GET / HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n", m},
		"TCP":  {s.dial(addr), "", tunnelled},
	} {
		must(t, reader.conn.SetReadBuffer(4<<10))
		say(t, reader.conn, reader.says)
		eventually(t, name+": the answer begins", func() bool { return reader.member.streams.Load() > 0 })
		began := time.Now()
		eventually(t, name+": it is cut", func() bool {
			_, _ = reader.conn.Read(make([]byte, 1))
			return reader.member.streams.Load() == 0
		})
		if took := time.Since(began); took > 10*attackPatience {
			t.Errorf("%s: it was cut after %s", name, took)
		}
	}
}
