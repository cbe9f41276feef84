package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/access/socks5"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/relay/flow"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/tunnel"
)

// consumer makes a token with these access rules, and who has it.
func (s *server) consumer(rules ...string) (*server, resource.Credential) {
	s.t.Helper()
	made, err := client.For(s.api(), resource.Credentials()).Create(s.t.Context(), resource.CredentialCreate{ACL: rules})
	if err != nil || made.Token == nil {
		s.t.Fatal(made, err)
	}
	return s.as(*made.Token), made
}

// accessProcess runs "postern access" as a program does: what it says is on stdout.
func (s *server) accessProcess(args ...string) *process {
	s.t.Helper()
	argv := append([]string{posternBinary, "access"}, args...)
	return startProcess(s.t, "access "+args[0], []string{"HOME=" + s.t.TempDir(), "XDG_CONFIG_HOME="},
		append(argv, "--connect-url", s.connectURL(), "--connect-cas", s.caFile, "--authtoken", s.Authtoken)...)
}

// consumerProcess runs "postern access" and gives where it listens, by where that leads.
func (s *server) consumerProcess(listeners int, args ...string) (*process, map[string]string) {
	s.t.Helper()
	p := s.accessProcess(args...)
	form := regexp.MustCompile(`(?m)^(\S+) -> (\S+)$`)
	var at map[string]string
	eventually(s.t, 20*time.Second, func() error {
		at = make(map[string]string)
		for _, match := range form.FindAllStringSubmatch(p.output(), -1) {
			at[match[2]] = match[1]
		}
		if len(at) != listeners {
			return fmt.Errorf("%d listeners, want %d: %s", len(at), listeners, p.output())
		}
		return nil
	})
	return p, at
}

// development is a gateway, with our own connector, that has a web service, another service and an echo over UDP.
func (s *server) development() *stage {
	s.t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "asked for "+r.Host+r.URL.Path)
	}))
	s.t.Cleanup(web.Close)
	g := s.stage("development")
	startProcess(s.t, "connector", []string{"HOME=" + s.t.TempDir(), "POSTERN_CONNECT_CAS=" + s.caFile}, posternBinary,
		"connect", "--hostname", "gateway."+domain, "--header", "token: "+g.token, fmt.Sprintf("https://127.0.0.1:%d/%s", s.https, g.Path),
		"R:8081:"+strings.TrimPrefix(web.URL, "http://"), "R:8082:"+privateService(s.t, "one"), "R:5353:"+echoDatagrams(s.t)+"/udp")
	expectAnswer(s.t, g.at(8082), "one")
	return g
}

func curl(t *testing.T, args ...string) (output string, ok bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	all, err := exec.CommandContext(ctx, "curl", append([]string{"-sS", "--fail", "--max-time", "20"}, args...)...).CombinedOutput()
	return string(all), err == nil
}

// datagrams sends datagrams of these sizes and wants each back.
func datagrams(conn net.Conn, sizes ...int) error {
	buffer := make([]byte, 64<<10)
	for _, size := range sizes {
		_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := conn.Write(make([]byte, size)); err != nil {
			return err
		}
		if n, err := conn.Read(buffer); n != size || err != nil {
			return fmt.Errorf("%d of %d bytes, %w", n, size, err)
		}
	}
	return nil
}

// associate sends a datagram through a SOCKS5 proxy and wants it back.
func associate(proxy, name string, port uint16, size int) error {
	conn, err := net.DialTimeout("tcp", proxy, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := conn.Write([]byte("\x05\x01\x00\x05\x03\x00\x01\x00\x00\x00\x00\x00\x00")); err != nil {
		return err
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(conn, answer); err != nil || answer[3] != 0 {
		return fmt.Errorf("reply % x, %w", answer, err)
	}
	relay, err := net.DialUDP("udp", nil, &net.UDPAddr{IP: answer[6:10], Port: int(answer[10])<<8 | int(answer[11])})
	if err != nil {
		return err
	}
	defer relay.Close()
	_ = relay.SetDeadline(time.Now().Add(10 * time.Second))
	sent := socks5.AppendDatagram(nil, socks5.Address{Name: name, Port: port}, make([]byte, size))
	if _, err := relay.Write(sent); err != nil {
		return err
	}
	got := make([]byte, 64<<10)
	if n, err := relay.Read(got); err != nil || !bytes.Equal(got[:n], sent) {
		return fmt.Errorf("%d of %d bytes, %w", n, len(sent), err)
	}
	return nil
}

// From anywhere: TCP, UDP, both proxies with curl, what is refused, and a server that is
// killed and comes back.
func TestAccess(t *testing.T) {
	s := startServer(t)
	g := s.development()
	theirs, _ := s.consumer("access:development:8081-8082", "access:development:5353")
	p, at := theirs.consumerProcess(4, "development", "8082:0", "5353/udp:0", "--socks5", "127.0.0.1:0", "--http-proxy", "127.0.0.1:0", "--name", "laptop")
	expectAnswer(t, at["development:8082/tcp"], "one")
	conn, err := net.Dial("udp", at["development:5353/udp"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := datagrams(conn, 5, 1200, 9000); err != nil {
		t.Error(err)
	}

	socks, proxy := []string{"--socks5-hostname", at["socks5"]}, []string{"-p", "-x", at["http-connect"]}
	for _, test := range []struct {
		way    []string
		url    string
		answer string // "" where it is refused
	}{
		{socks, "http://secure-gateway:8081/x", "asked for secure-gateway:8081/x"},
		{socks, "http://development:8081/x", "asked for development:8081/x"},
		{proxy, "http://secure-gateway:8081/x", "asked for secure-gateway:8081/x"},
		{socks, "http://secure-gateway:8083/", ""},
		{socks, "http://" + g.Listen[0] + ":8081/", ""},
		{socks, fmt.Sprintf("http://localhost:%d/", s.http), ""},
		{proxy, "http://secure-gateway:8083/", ""},
		{proxy, fmt.Sprintf("http://localhost:%d/", s.http), ""},
		{[]string{"--proxy", at["http-connect"]}, "http://secure-gateway:8081/", ""}, // not by CONNECT
	} {
		output, ok := curl(t, append(slices.Clone(test.way), test.url)...)
		if ok != (test.answer != "") || ok && output != test.answer {
			t.Errorf("curl %v %s: %q", test.way, test.url, output)
		}
	}

	if err := associate(at["socks5"], "secure-gateway", 5353, 1200); err != nil {
		t.Errorf("UDP through SOCKS5: %v", err)
	}

	s.restart()
	expectAnswer(t, at["development:8082/tcp"], "one")
	eventually(t, 20*time.Second, func() error { return datagrams(conn, 100) })

	p.signal(syscall.SIGTERM)
	if code := p.wait(10 * time.Second); code != 0 {
		t.Errorf("status %d after SIGTERM: %s", code, p.output())
	}
}

// Every stream is authorised by itself: a token that is narrowed loses what is open
// within a second and reaches nothing new, and keeps the rest.
func TestNarrowedConsumer(t *testing.T) {
	s := startServer(t)
	s.development()
	theirs, credential := s.consumer("access:development:8081-8082")
	_, at := theirs.consumerProcess(2, "development", "8081:0", "8082:0")
	held, err := net.Dial("tcp", at["development:8082/tcp"])
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if _, err := held.Read(make([]byte, 4)); err != nil { // "one "
		t.Fatal(err)
	}
	rules := []string{"access:development:8081"}
	if _, err := client.For(s.api(), resource.Credentials()).Update(t.Context(), credential.ID, resource.CredentialUpdate{ACL: &rules}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_ = held.SetReadDeadline(began.Add(10 * time.Second))
	if n, err := held.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("the connection goes on or ended in peace: %d bytes, %v", n, err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("it ended after %v", took)
	}
	if name, err := ask(at["development:8082/tcp"]); err == nil {
		t.Errorf("a new connection reached %s", name)
	}
	if output, ok := curl(t, "http://"+at["development:8081/tcp"]+"/"); !ok {
		t.Errorf("what is covered: %s", output)
	}
}

// What the server refuses at the start is said, with a status.
func TestRefusedConsumers(t *testing.T) {
	s := startServer(t)
	s.development()
	theirs, _ := s.consumer("access:development:8081", "access:nowhere:*")
	for _, test := range []struct {
		args []string
		code string
	}{
		{[]string{"development", "8082:0"}, "ERR_POSTERN_607"},
		{[]string{"production", "8081:0"}, "ERR_POSTERN_607"}, // whether it exists is not theirs to know
		{[]string{"nowhere", "8081:0"}, "ERR_POSTERN_601"},
		{[]string{"nowhere", "--proxy", "127.0.0.1:0"}, "ERR_POSTERN_601"},
	} {
		p := theirs.accessProcess(test.args...)
		if code := p.wait(20 * time.Second); code != 1 || !strings.Contains(p.output(), test.code) {
			t.Errorf("%v: status %d, %s", test.args, code, p.output())
		}
	}
	wrong := s.as("2id_wrong").accessProcess("development", "8081:0")
	if code := wrong.wait(20 * time.Second); code != 1 || !strings.Contains(wrong.output(), "ERR_NGROK_105") {
		t.Errorf("a wrong token: status %d, %s", code, wrong.output())
	}
	p, at := theirs.consumerProcess(1, "development", "8081:0", "8082:0")
	if _, there := at["development:8081/tcp"]; !there || !strings.Contains(p.output(), "ERR_POSTERN_607") {
		t.Errorf("one of two: %s", p.output())
	}
}

// A program in Go, over one session.
func TestTunnelClient(t *testing.T) {
	s := startServer(t)
	s.development()
	theirs, _ := s.consumer("access:development:*")
	c, err := tunnel.NewClient(tunnel.Options{Server: s.connectURL(), Authtoken: theirs.authtoken, Roots: s.pool(), Drain: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close(); <-c.Done() }()
	transport := &http.Transport{DialContext: c.DialContext}
	defer transport.CloseIdleConnections()
	if _, body := fetch(t, &http.Client{Transport: transport, Timeout: 20 * time.Second}, "http://development:8081/x"); body != "asked for development:8081/x" {
		t.Errorf("answer %q", body)
	}
	packets, err := c.Dial(t.Context(), "development", "udp", 5353)
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	if err := datagrams(packets, 5, 0, 9000, flow.MaxDatagram); err != nil {
		t.Error(err)
	}
	if _, err := c.Dial(t.Context(), "development", "tcp", 9999); !postern.HasCode(err, postern.CodeGatewayPortClosed) {
		t.Errorf("a port that nobody offers: %v", err)
	}
}

// While a server hands over to a new process no connection of a consumer fails, and one
// that is open goes on.
func TestAccessDuringAnUpgrade(t *testing.T) {
	s := startServer(t)
	s.development()
	theirs, _ := s.consumer("access:development:8082")
	_, at := theirs.consumerProcess(1, "development", "8082:0")
	held, err := net.Dial("tcp", at["development:8082/tcp"])
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	_ = held.SetDeadline(time.Now().Add(time.Minute))
	if _, err := io.ReadFull(held, make([]byte, len("one "))); err != nil {
		t.Fatal(err)
	}
	upgraded, asked := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for after := 0; after < 100; n++ {
			if _, err := ask(at["development:8082/tcp"]); err != nil {
				t.Errorf("connection %d: %v", n, err)
			}
			select {
			case <-upgraded:
				after++
			default:
			}
		}
		asked <- n
	}()
	s.upgrade()
	close(upgraded)
	if n := <-asked; n <= 100 {
		t.Errorf("%d connections, none of them during the upgrade", n)
	}
	if _, err := io.WriteString(held, "x"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(held, make([]byte, 1)); err != nil {
		t.Errorf("the connection that was open: %v", err)
	}
}
