package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit/path"
)

// foreign is a network from which visitors come, whose addresses are its own.
type foreign struct {
	*place
	ours string // the server's address there
}

// newForeign joins a network 10.8.n.0/24 and fd00:8:n::/64; visitors are at .2 and ::2.
func newForeign(t *testing.T, name string, n int) *foreign {
	t.Helper()
	ours, theirs := fmt.Sprintf("10.8.%d.1", n), fmt.Sprintf("10.8.%d.2", n)
	f := &foreign{newPlace(t, name, ours+"/24", theirs+"/24"), ours}
	run(t, nil, "ip", "-6", "addr", "add", fmt.Sprintf("fd00:8:%d::1/64", n), "dev", "to-"+name, "nodad")
	f.run("ip", "-6", "addr", "add", fmt.Sprintf("fd00:8:%d::2/64", n), "dev", "eth0", "nodad")
	return f
}

// asks has a visitor of the network ask for an endpoint at one of the server's addresses,
// and gives the status, and the error's code or the page.
func (f *foreign) asks(s *server, at, host string, args ...string) string {
	f.t.Helper()
	return strings.TrimSpace(f.run(append([]string{"curl", "-sS", "--max-time", "20", "--cacert", s.caFile, "-w", " %{http_code} %header{ngrok-error-code}", "-o", "/dev/null",
		"--resolve", fmt.Sprintf("%s:%d:%s", host, s.https, at), fmt.Sprintf("https://%s:%d/", host, s.https)}, args...)...))
}

const (
	letIn   = "200"
	keptOut = "403 ERR_NGROK_3205"
)

// Who may come in is said of real addresses: by flags and in files, of visitors of two
// networks over HTTP/1.1, HTTP/2, IPv6 and tcp, whatever they say about themselves.
func TestAddressesOfForeignVisitors(t *testing.T) {
	t.Parallel()
	if !path.Isolate(t) {
		return
	}
	s := newServer(t)
	s.Address = "[::]" // IPv4 comes there in addresses of IPv6
	if err := s.Configure(); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.bootstrap()
	office, street := newForeign(t, "office", 1), newForeign(t, "street", 2)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "service") }))
	defer service.Close()

	file := filepath.Join(t.TempDir(), "agent.yml")
	text := fmt.Sprintf("version: 2\ntunnels:\n  file:\n    proto: http\n    schemes: [https]\n    addr: %q\n    hostname: file.%s\n    ip_restriction: {allow_cidrs: [10.8.0.0/16], deny_cidrs: [10.8.2.0/24, 127.0.0.1]}\n", service.URL, domain)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.agentProcess("start", "file", "--config", file).onlineURL()
	endpoints := []struct {
		name          string
		flags         []string
		office, other string // what visitors of the two networks get
		local         string // and those of the server's machine
		sixth         string // and those of the office over IPv6
	}{
		{"allow", []string{"--cidr-allow", "10.8.1.0/24"}, letIn, keptOut, keptOut, keptOut},
		{"address", []string{"--cidr-allow", "10.8.1.2", "--cidr-allow", "fd00:8:1::2"}, letIn, keptOut, keptOut, letIn},
		{"deny", []string{"--cidr-allow", "0.0.0.0/0", "--cidr-allow", "::/0", "--cidr-deny", "10.8.2.2/32"}, letIn, keptOut, letIn, letIn},
		{"both", []string{"--cidr-allow", "10.8.0.0/16", "--cidr-deny", "10.8.2.0/24"}, letIn, keptOut, keptOut, keptOut},
		{"sixth", []string{"--cidr-allow", "fd00:8:1::/48"}, keptOut, keptOut, keptOut, letIn},
		{"several", []string{"--cidr-allow", "10.8.1.0/24,10.8.2.0/24"}, letIn, letIn, keptOut, keptOut},
		{"file", nil, letIn, keptOut, keptOut, keptOut},
	}
	for _, e := range endpoints {
		host := e.name + "." + domain
		if e.flags != nil {
			s.agent(append([]string{"http", service.URL, "--url", "https://" + host}, e.flags...)...)
		}
		for what, c := range map[string]struct {
			from *foreign
			at   string
			args []string
			want string
		}{
			"the office over HTTP/1.1":     {office, office.ours, []string{"--http1.1"}, e.office},
			"the office over HTTP/2":       {office, office.ours, []string{"--http2"}, e.office},
			"the office over IPv6":         {office, "[fd00:8:1::1]", nil, e.sixth},
			"the street over HTTP/1.1":     {street, street.ours, []string{"--http1.1"}, e.other},
			"the street over HTTP/2":       {street, street.ours, []string{"--http2"}, e.other},
			"who says to be of the office": {street, street.ours, []string{"-H", "X-Forwarded-For: 10.8.1.2", "-H", "Forwarded: for=10.8.1.2", "-H", "X-Real-IP: 10.8.1.2"}, e.other},
		} {
			if got := c.from.asks(s, c.at, host, c.args...); got != c.want {
				t.Errorf("%s: %s gets %q, want %q", e.name, what, got, c.want)
			}
		}
		response, _ := fetch(t, s.visitor(), fmt.Sprintf("https://%s:%d/", host, s.https))
		if got := strings.TrimSpace(fmt.Sprint(response.StatusCode, " ", response.Header.Get("Ngrok-Error-Code"))); got != e.local {
			t.Errorf("%s: a visitor of the same machine gets %q, want %q", e.name, got, e.local)
		}
	}
	s.restrictsPort(t, office, street)
	alone := s.agentProcess("http", service.URL, "--url", "https://alone."+domain, "--cidr-deny", "10.8.2.2/32")
	alone.waitFor("ERR_NGROK_393", 10*time.Second) // nobody would be let in
}

// restrictsPort has a tcp endpoint open to the office alone.
func (s *server) restrictsPort(t *testing.T, office, street *foreign) {
	t.Helper()
	greets := tcpService(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "hello") })
	s.agent("tcp", greets, "--remote-addr", fmt.Sprintf("tcp.%s:%d", domain, s.TCPFirst), "--cidr-allow", "10.8.1.0/24")
	for _, c := range []struct {
		from *foreign
		want string
	}{{office, "hello"}, {street, ""}} {
		argv := c.from.in("timeout", "10", "bash", "-c", fmt.Sprintf("cat < /dev/tcp/%s/%d", c.from.ours, s.TCPFirst))
		got, _ := exec.CommandContext(t.Context(), argv[0], argv[1:]...).Output() // who is kept out may see a reset
		if string(got) != c.want {
			t.Errorf("the port says %q to %s, want %q", got, c.from.name, c.want)
		}
	}
}
