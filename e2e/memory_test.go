package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// resident is the memory of a process that is in the machine now, and the most it was.
func (p *process) resident() (now, most int) {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %d kB", &now)
		_, _ = fmt.Sscanf(line, "VmHWM: %d kB", &most)
	}
	return now << 10, most << 10
}

// B5-28: a server with little memory, and one peer with many connections who asks for
// large answers and takes nothing. New connections are refused, those who keep the
// server waiting are cut, honest visitors are served all the while, and when the
// attack is over the server recovers by itself.
func TestMemoryPressure(t *testing.T) {
	t.Parallel()
	const limit = 96 << 20
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			w.Header().Set("Content-Length", fmt.Sprint(32<<20))
			_, _ = io.CopyN(w, zeros{}, 32<<20)
			return
		}
		io.WriteString(w, "quick")
	}))
	defer upstream.Close()
	s := newServer(t, "limits:", "  connections_per_address: 10000")
	s.Wrapper = []string{"env", "GOMEMLIMIT=96MiB"}
	s.start()
	s.bootstrap()
	_, url := s.agent("http", upstream.URL, "--url", "http://memory."+domain)
	visitor := s.honestVisitor()
	awaitBody(t, visitor, url, "quick", 5*time.Second)
	others := startHonest(t, visitor, url)
	others.calm("before")

	var crowd []net.Conn
	defer func() { closeAll(crowd) }()
	refused, highest := 0, 0.0
	// Ten seconds, and more where the machine is so busy that the attack takes longer to
	// take hold.
	for began := time.Now(); time.Since(began) < 10*time.Second || highest < 1 && time.Since(began) < time.Minute; {
		for range 50 {
			conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", s.http), 5*time.Second)
			if err != nil {
				continue // reset before it was accepted: as good as refused
			}
			crowd = append(crowd, conn)
			fmt.Fprintf(conn, "GET /large HTTP/1.1\r\nHost: memory.%s\r\n\r\n", domain)
		}
		if len(crowd) > 8000 {
			closeAll(crowd[:1000])
			crowd = crowd[1000:]
		}
		pause(t, 50*time.Millisecond) // the attack's own pace
		highest = max(highest, s.metric("postern_memory_pressure"))
	}
	others.lap("under attack")
	for _, conn := range crowd[len(crowd)-200:] {
		_ = conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, _ := conn.Read(make([]byte, 12)); n > 0 {
			refused++
		}
	}
	_, most := s.process.resident()
	t.Logf("pressure up to %v, at most %d MiB resident, used %.0f MiB; %d of the last 200 were answered", highest, most>>20,
		s.metric("postern_memory_used_bytes")/(1<<20), refused)
	if highest < 1 || !strings.Contains(s.process.output(), "short") {
		t.Error("the server never noticed that memory is short")
	}
	if most > 2*limit {
		t.Errorf("the server had %d MiB, with a limit of %d", most>>20, limit>>20)
	}
	closeAll(crowd)
	crowd = nil
	eventually(t, 20*time.Second, func() error {
		if level := s.metric("postern_memory_pressure"); level != 0 {
			return fmt.Errorf("pressure is still %v", level)
		}
		return nil
	})
	others.lap("afterwards")
	again := s.visitor()
	awaitBody(t, again, url, "quick", 5*time.Second)
}

func closeAll(conns []net.Conn) {
	for _, conn := range conns {
		conn.Close()
	}
}
