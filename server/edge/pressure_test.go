package edge_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/postern-dev/postern/server/edge"
)

// B5-28: while memory is short, new connections are refused with a code, and those
// that are open are served.
func TestPressureRefusesNewConnections(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, s.upstream(func(http.ResponseWriter, *http.Request) {}))
	request := "GET / HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n"
	kept := s.dial(s.http)
	reader := bufio.NewReader(kept)
	ask := func() {
		t.Helper()
		say(t, kept, request)
		response, err := http.ReadResponse(reader, nil)
		must(t, err)
		if response.StatusCode != 200 {
			t.Errorf("the open connection got %s", response.Status)
		}
	}
	ask()
	s.edge.SetPressure(edge.PressureHigh)
	response, err := http.ReadResponse(bufio.NewReader(s.dial(s.http)), nil) // said without being asked
	must(t, err)
	if response.StatusCode != 503 || response.Header.Get("Postern-Error-Code") != "ERR_POSTERN_310" || response.Header.Get("Retry-After") == "" {
		t.Errorf("a new connection got %s %v", response.Status, response.Header)
	}
	if all, err := io.ReadAll(s.dial(s.https)); len(all) > 0 || err != nil {
		t.Errorf("the TLS port said %q, %v", all, err)
	}
	ask()
	s.edge.SetPressure(edge.PressureNone)
	if response := s.raw(request); response.StatusCode != 200 {
		t.Errorf("afterwards: %s", response.Status)
	}
}

// B5-28: who does not take what is sent to him is cut when memory is about to run out,
// over both versions; who waits for an answer, or has one coming, is not.
func TestRelieveCutsWhoKeepsUsWaiting(t *testing.T) {
	s := start(t)
	m := s.serve("https://app."+domain, rawUpstream(t, frugal))
	waiting := s.dialTLS("app."+domain, "http/1.1")
	say(t, waiting, "GET /wait HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
	eventually(t, "it waits", func() bool { return m.streams.Load() == 1 })
	stalled := s.dialTLS("app."+domain, "http/1.1")
	say(t, stalled, "GET /large HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
	_, framer := s.framer()
	must(t, framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}))
	must(t, framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: large(), EndStream: true, EndHeaders: true}))
	eventually(t, "all are served", func() bool { return m.streams.Load() == 3 })
	cut, began := 0, time.Now()
	eventually(t, "both are cut", func() bool {
		cut += s.edge.Relieve()
		return m.streams.Load() == 1
	})
	if cut != 2 || time.Since(began) < time.Second-100*time.Millisecond { // they began to wait before we saw it
		t.Errorf("%d were cut after %v", cut, time.Since(began))
	}
}
