package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// slowAttack is a run of slowhttptest.
type slowAttack struct {
	name        string
	path        string
	connections int // on each port
	args        []string
}

const (
	// slowPatience is what the server of these tests grants, so that they do not take
	// as long as its users would wait.
	slowPatience = 3 * time.Second
	// slowLimit is by when the last connection must have been cut. slowhttptest opens
	// them within a second or two, as quickly as the machine lets it.
	slowLimit = 15 * time.Second
)

// B5-11, B5-10, B2 "slowloris": thousands of connections that send their heads or
// bodies, or read their answers, a few bytes a second. Every one is cut, over TLS and
// without, on both HTTP/1.1 paths, and honest visitors notice little.
func TestSlowVisitors(t *testing.T) {
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/large" {
			w.Header().Set("Content-Length", strconv.Itoa(32<<20))
			_, _ = io.CopyN(w, zeros{}, 32<<20)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		io.WriteString(w, "quick")
	}))
	defer upstream.Close()
	s := startServer(t, "limits:", "  connections_per_address: 4000", "timeouts:",
		fmt.Sprintf("  handshake: %v\n  request_header: %v\n  patience: %v\n  transfer: %v", slowPatience, slowPatience, slowPatience, slowPatience+time.Second))
	_, url := s.agent("http", upstream.URL, "--url", "https://slow."+domain)
	s.agent("http", upstream.URL, "--url", "http://slow."+domain)
	visitor := s.honestVisitor()
	awaitBody(t, visitor, url, "quick", 5*time.Second)
	before := s.baseline()
	others := startHonest(t, visitor, url)
	calm := others.calm("before")

	// What the relay does not serve itself goes to net/http.
	expect := "a=b\r\nExpect: 100-continue"
	for _, attack := range []slowAttack{
		{"heads", "/", 1500, []string{"-H", "-i", "1", "-x", "8"}},
		{"bodies", "/", 600, []string{"-B", "-i", "1", "-x", "4", "-s", "100000"}},
		{"bodies over net/http", "/", 600, []string{"-B", "-i", "1", "-x", "4", "-s", "100000", "-j", expect}},
		{"readers", "/large", 300, []string{"-X", "-n", "1", "-z", "5", "-w", "256", "-y", "512"}},
		{"readers over net/http", "/large", 300, []string{"-X", "-n", "1", "-z", "5", "-w", "256", "-y", "512", "-j", expect}},
	} {
		others.bears(attack.name, calm, func() { s.withstands(attack, before.descriptors) })
	}
	others.end()
	visitor.CloseIdleConnections()
	s.returnsTo(before)
}

// withstands attacks both ports at once until the server has cut every connection,
// while the attack goes on. What counts is what the server holds: slowhttptest does not
// notice that a connection whose answer it has yet to read is gone.
func (s *server) withstands(a slowAttack, before float64) {
	s.t.Helper()
	attacks := []*process{a.start(s.t, "https", s.https), a.start(s.t, "http", s.http)}
	began, most := time.Now(), 0.0
	err := program.Poll(slowLimit, 200*time.Millisecond, func() error { // each look is work for the server
		open := s.metric("process_open_fds") - before
		if most = max(most, open); most < float64(a.connections)/2 || open > honestVisitors+10 {
			return fmt.Errorf("%s: %v connections are open, of %v at most", a.name, open, most)
		}
		return nil
	})
	if err != nil {
		s.t.Error(err)
	}
	s.t.Logf("%s: up to %v connections at once, all cut after %v", a.name, most, time.Since(began))
	for _, attack := range attacks {
		attack.signal(syscall.SIGINT)
		attack.wait(5 * time.Second)
	}
}

// start attacks one port, for longer than the server should let it.
func (a slowAttack) start(t *testing.T, scheme string, port int) *process {
	t.Helper()
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 localhost slow."+domain+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	argv := append([]string{"unshare", "--mount"}, mapUser()...)
	argv = append(argv, "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts,
		"slowhttptest", "-c", fmt.Sprint(a.connections), "-r", "1000", "-l", "60",
		"-u", fmt.Sprintf("%s://slow.%s:%d%s", scheme, domain, port, a.path), "-v", "1")
	return startProcess(t, a.name+" "+scheme, nil, append(argv, a.args...)...)
}

// mapUser lets unshare work for who is not root.
func mapUser() []string {
	if os.Getuid() == 0 {
		return nil
	}
	return []string{"--map-root-user"}
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// B5-11: one address opens thousands of connections and keeps what it gets. It gets no
// more than its share, is told so where it speaks plain HTTP, and others are served.
func TestOneAddressTakesNoMoreThanItsShare(t *testing.T) {
	const share, crowd = 1000, 5000
	s := startServer(t, "limits:", fmt.Sprintf("  connections_per_address: %d", share))
	upstream, _ := slowBody(t)
	_, url := s.agent("http", upstream, "--url", "https://shared."+domain)
	visitor := s.honestVisitor()
	awaitBody(t, visitor, url, "quick", 5*time.Second)
	before := s.baseline()
	others := startHonest(t, visitor, url)
	calm := others.calm("before")

	var held []net.Conn
	defer func() {
		for _, conn := range held {
			conn.Close()
		}
	}()
	told := 0
	for n := range crowd {
		port := s.https
		if n%2 == 0 {
			port = s.http
		}
		conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), 5*time.Second)
		if err != nil {
			t.Fatalf("connection %d: %v", n, err)
		}
		held = append(held, conn)
	}
	for _, conn := range held {
		_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
		if answer, _ := io.ReadAll(conn); strings.HasPrefix(string(answer), "HTTP/1.1 429 ") {
			told++
		}
	}
	if open := s.metric("process_open_fds") - before.descriptors; open > share+honestVisitors+10 {
		t.Errorf("the crowd holds %v connections; its share is %d", open, share)
	}
	if told < crowd/2-share {
		t.Errorf("%d of %d were told why", told, crowd/2-share)
	}
	if now := others.lap("meanwhile"); now.suffers(calm) {
		t.Errorf("honest visitors wait %v, %v before", now, calm)
	}
}
