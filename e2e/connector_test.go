package e2e_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// asOutsystemscc is this program under that name, by a link as in the container image.
func asOutsystemscc(t *testing.T) string {
	t.Helper()
	link := filepath.Join(t.TempDir(), "outsystemscc")
	if err := os.Symlink(posternBinary, link); err != nil {
		t.Fatal(err)
	}
	return link
}

// inDir runs a program whose current directory is dir.
func inDir(t *testing.T, dir string, environment []string, argv ...string) *process {
	t.Helper()
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir, command.Env = dir, append(os.Environ(), environment...)
	started, err := program.Run("connector", command)
	if err != nil {
		t.Fatal(err)
	}
	return adopt(t, started)
}

// chiselServer is a real chisel server that takes reverse remotes, and its address.
func chiselServer(t *testing.T, o chiselOrders) (address string, p *process) {
	t.Helper()
	if o.Listen == "" {
		o.Listen = fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	}
	p = startChisel(t, o)
	eventually(t, 20*time.Second, func() error {
		conn, err := net.DialTimeout("tcp", o.Listen, time.Second)
		if err == nil {
			conn.Close()
		}
		return err
	})
	return "http://" + o.Listen + "/sg_1", p
}

// echoServers answer what they are sent, over TCP and UDP of one port.
func echoServers(t *testing.T) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenPacket("udp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			})
		}
	})
	group.Go(func() {
		buffer := make([]byte, 64<<10)
		for {
			n, from, err := socket.ReadFrom(buffer)
			if err != nil {
				return
			}
			_, _ = socket.WriteTo(buffer[:n], from)
		}
	})
	t.Cleanup(func() {
		listener.Close()
		socket.Close()
	})
	return listener.Addr().String()
}

// echoes sends text to port of this machine over network and wants it back.
func echoes(network string, port int, text string) error {
	conn, err := net.DialTimeout(network, fmt.Sprintf("127.0.0.1:%d", port), 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(conn, got); err != nil || string(got) != text {
		return fmt.Errorf("%s port %d answers %q, %w", network, port, got, err)
	}
	return nil
}

// clientLines are the words of the connector's log, without times, and checks those.
func clientLines(t *testing.T, p *process) []string {
	t.Helper()
	form := regexp.MustCompile(`^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d client: (.*)$`)
	var words []string
	for line := range strings.Lines(p.output()) {
		match := form.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if match == nil {
			t.Errorf("the log has the line %q", line)
			continue
		}
		words = append(words, match[1])
	}
	return words
}

// S4-25, S4-26, S4-28, S4-29, S4-31, S4-42, S4-45, S4-46, S4-50: under the name of
// outsystemscc, at a real chisel server.
func TestOutsystemsccAtChisel(t *testing.T) {
	t.Parallel()
	server, _ := chiselServer(t, chiselOrders{})
	ports, target, dir := freePorts(t, 2), echoServers(t), t.TempDir()
	p := inDir(t, dir, nil, asOutsystemscc(t), "--pid", "--header", "token: secret-token", server,
		fmt.Sprintf("R:%d:%s", ports[0], target), fmt.Sprintf("R:%d:%s", ports[1], target), fmt.Sprintf("R:%d:%s/udp", ports[1], target), " ")
	p.waitFor("client: Connected (Latency ", 20*time.Second)
	for _, at := range []struct {
		network string
		port    int
	}{{"tcp", ports[0]}, {"tcp", ports[1]}, {"udp", ports[1]}} {
		eventually(t, 10*time.Second, func() error { return echoes(at.network, at.port, "hello over "+at.network) })
	}
	if text, err := os.ReadFile(filepath.Join(dir, "outsystemscc.pid")); err != nil || string(text) != fmt.Sprint(p.PID()) {
		t.Errorf("the pid file has %q, %v", text, err)
	}
	p.signal(syscall.SIGHUP)
	p.signal(askForStatistics)
	p.waitFor("client: received SIGUSR2, go-routines: ", 10*time.Second)
	if err := echoes("tcp", ports[0], "after SIGHUP"); err != nil {
		t.Error(err)
	}
	// What is open may finish.
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "one")
	if _, err := io.ReadFull(conn, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	fmt.Fprint(conn, "two")
	if _, err := io.ReadFull(conn, make([]byte, 3)); err != nil {
		t.Errorf("a connection was cut by SIGTERM: %v", err)
	}
	conn.Close()
	if code := p.wait(10 * time.Second); code != 0 {
		t.Errorf("exit status %d after SIGTERM", code)
	}
	if _, err := os.Stat(filepath.Join(dir, "outsystemscc.pid")); err == nil {
		t.Error("the pid file is left behind")
	}
	lines := clientLines(t, p)
	if len(lines) < 3 || !strings.HasPrefix(lines[0], "remote 4 is blank and is ignored") ||
		lines[1] != "Connecting to "+strings.Replace(server, "http", "ws", 1) || !regexp.MustCompile(`^Connected \(Latency [0-9.]+(µs|ms|s)\)$`).MatchString(lines[2]) {
		t.Errorf("%q", lines)
	}
	if strings.Contains(p.output(), "secret-token") {
		t.Error("the token is in the log")
	}
}

// The server goes and comes back: S4-37, S4-38, S4-46, exit statuses (S4-15).
func TestOutsystemsccRetries(t *testing.T) {
	t.Parallel()
	listen, target, ports := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0]), echoServers(t), freePorts(t, 1)
	server, first := chiselServer(t, chiselOrders{Listen: listen})
	p := startProcess(t, "connector", nil, asOutsystemscc(t), server, fmt.Sprintf("R:%d:%s", ports[0], target))
	p.waitFor("Connected", 20*time.Second)
	first.Kill()
	p.waitFor("client: Disconnected", 10*time.Second)
	p.waitFor("Retrying in 6.4s...", 20*time.Second)
	chiselServer(t, chiselOrders{Listen: listen})
	p.signal(syscall.SIGHUP) // so that it need not wait
	eventually(t, 5*time.Second, func() error { return echoes("tcp", ports[0], "it is back") })
	refused := fmt.Sprintf("Connection error: dial tcp %s: connect: connection refused (Attempt: ", listen)
	if output := p.output(); !strings.Contains(output, refused+"2/unlimited)") || !strings.Contains(output, "client: Retrying in 200ms...") {
		t.Errorf("the log is\n%s", output)
	}

	// A second signal does not wait for what is open.
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0]))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "x")
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, 15*time.Second, func() error {
		p.signal(syscall.SIGTERM)
		if !p.exited() {
			return fmt.Errorf("it has not ended after %s", time.Since(began))
		}
		return nil
	})

	nowhere := fmt.Sprintf("http://127.0.0.1:%d/sg_1", freePorts(t, 1)[0])
	gives := startProcess(t, "connector", nil, asOutsystemscc(t), "--max-retry-count", "2", nowhere, "R:8081:db:80")
	if code := gives.wait(20 * time.Second); code != 1 || !strings.HasSuffix(gives.output(), " client: Give up\n") {
		t.Errorf("exit status %d, %s", code, gives.output())
	}
}

// Wrong command lines, in the words of the real programs, and never with status 0.
func TestOutsystemsccUsage(t *testing.T) {
	t.Parallel()
	binary := asOutsystemscc(t)
	for want, args := range map[string][]string{
		"A server and least one remote is required":                                          {"http://127.0.0.1:1"},
		"Failed to decode remote 'R:8081:db': Missing ports":                                 {"http://127.0.0.1:1", "R:8081:db"},
		"invalid Remote configuration: local port '8081' is duplicated":                      {"http://127.0.0.1:1", "R:8081:a:1", "R:8081:b:2"},
		"unknown flag: --fingerprint":                                                        {"--fingerprint", "x", "http://127.0.0.1:1", "R:8081:a:1"},
		"time: missing unit in duration":                                                     {"--keepalive", "25", "http://127.0.0.1:1", "R:8081:a:1"},
		"there is no colon":                                                                  {"--header", "token", "http://127.0.0.1:1", "R:8081:a:1"},
		"--proxy has the scheme \"ftp\"":                                                     {"--proxy", "ftp://ada:pass-word@127.0.0.1:1", "http://127.0.0.1:1", "R:8081:a:1"},
		"the server \"ftp://127.0.0.1:1\" has the scheme":                                    {"ftp://127.0.0.1:1", "R:8081:a:1"},
		"the remote 'R:1080:socks' is a SOCKS proxy, which a private gateway does not offer": {"http://127.0.0.1:1", "R:socks"},
	} {
		p := startProcess(t, "connector", nil, append([]string{binary}, args...)...)
		if code := p.wait(20 * time.Second); code != 1 || !strings.Contains(p.output(), want) || strings.Contains(p.output(), "pass-word") {
			t.Errorf("%q: exit status %d, %s", args, code, p.output())
		}
	}
	help := startProcess(t, "connector", nil, binary, "--help")
	if code := help.wait(20 * time.Second); code != 0 || !strings.Contains(help.output(), "outsystemscc [options] <server> <remote> [remote] [remote] ...") {
		t.Errorf("exit status %d, %s", code, help.output())
	}
	for _, option := range []string{"keepalive", "max-retry-count", "max-retry-interval", "proxy", "header", "hostname", "pid", "help"} { // S4-34…S4-44
		if !strings.Contains(help.output(), "--"+option) {
			t.Errorf("the help does not tell of --%s", option)
		}
	}
}

// S4-39: proxies that ask for a user, whose password has any character and is not logged;
// S4-49: the user of the server is in the environment.
func TestConnectorThroughProxies(t *testing.T) {
	t.Parallel()
	const password = "p@ss:w#rd/%"
	server, _ := chiselServer(t, chiselOrders{Auth: "bob:of the server"})
	target := echoServers(t)
	for scheme, serve := range map[string]func(net.Conn, string){"http": connectProxy, "socks": socksProxy, "socks5h": socksProxy} {
		t.Run(scheme, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { listener.Close() })
			through := make(chan struct{}, 64)
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					through <- struct{}{}
					go serve(conn, "ada:"+password)
				}
			}()
			port := freePorts(t, 1)[0]
			proxy := fmt.Sprintf("%s://ada:%s@%s", scheme, password, listener.Addr())
			p := startProcess(t, "connector", []string{"AUTH=bob:of the server"}, asOutsystemscc(t), "--proxy", proxy, server, fmt.Sprintf("R:%d:%s", port, target))
			p.waitFor("client: Connected", 20*time.Second)
			if err := echoes("tcp", port, "through a proxy"); err != nil {
				t.Error(err)
			}
			if len(through) != 2 { // the pre-flight, and the connection
				t.Errorf("%d connections went through the proxy", len(through))
			}
			if output := p.output(); strings.Contains(output, "w#rd") || !strings.Contains(output, " via ") || !strings.Contains(output, "ada:xxxxx@") {
				t.Errorf("the log is\n%s", output)
			}
		})
	}
}

// connectProxy is an HTTP proxy that knows CONNECT and one user.
func connectProxy(conn net.Conn, user string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	request, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	if request.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(user)) {
		_, _ = io.WriteString(conn, "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		return
	}
	far, err := net.Dial("tcp", request.Host)
	if err != nil {
		return
	}
	_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
	join(conn, in, far)
}

// socksProxy is a SOCKS5 proxy (RFC 1928, RFC 1929) that knows one user.
func socksProxy(conn net.Conn, user string) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	read := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(in, b) // what is missing does not match
		return b
	}
	read(int(read(2)[1]))
	_, _ = conn.Write([]byte{5, 2})
	name := read(int(read(2)[1]))
	secret := read(int(read(1)[0]))
	if string(name)+":"+string(secret) != user {
		_, _ = conn.Write([]byte{1, 1})
		return
	}
	_, _ = conn.Write([]byte{1, 0})
	var host string
	switch head := read(4); head[3] {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	}
	port := read(2)
	far, err := net.Dial("tcp", net.JoinHostPort(host, fmt.Sprint(int(port[0])<<8|int(port[1]))))
	if err != nil {
		return
	}
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	join(conn, in, far)
}

func join(conn net.Conn, in io.Reader, far net.Conn) {
	defer far.Close()
	go func() {
		_, _ = io.Copy(far, in)
		_ = far.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(conn, far)
}

// An idle connector is small: it sits beside other programs for months.
func TestConnectorMemory(t *testing.T) {
	t.Parallel()
	server, _ := chiselServer(t, chiselOrders{})
	ports, target := freePorts(t, 2), echoServers(t)
	p := startProcess(t, "connector", nil, asOutsystemscc(t), server,
		fmt.Sprintf("R:%d:%s", ports[0], target), fmt.Sprintf("R:%d:%s/udp", ports[1], target))
	p.waitFor("Connected", 20*time.Second)
	eventually(t, 10*time.Second, func() error { return echoes("tcp", ports[0], "hello") }) // chisel opens its ports then
	p.staysSmall()
}

// staysSmall waits until a connector that is idle holds no more anonymous memory than it
// may.
func (p *process) staysSmall() {
	p.t.Helper()
	const most = 6 << 20
	var anonymous int
	// Who has given memory back, which takes its time on a busy machine, does not do it again
	// for two hundred times as long.
	eventually(p.t, 90*time.Second, func() error {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID()))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(status)) {
			if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &anonymous); n == 1 {
				break
			}
		}
		if anonymous <<= 10; anonymous == 0 || anonymous > most {
			return fmt.Errorf("an idle connector holds %d KiB of anonymous memory, more than %d", anonymous>>10, most>>10)
		}
		return nil
	})
	p.t.Logf("an idle connector holds %d KiB of anonymous memory", anonymous>>10)
}

// A server that is there and silent, as behind a cable that was cut, is left, and found
// again.
func TestConnectorAtASilentServer(t *testing.T) {
	t.Parallel()
	server, far := chiselServer(t, chiselOrders{})
	port, target := freePorts(t, 1)[0], echoServers(t)
	p := startProcess(t, "connector", nil, asOutsystemscc(t), "--keepalive", "0s", server, fmt.Sprintf("R:%d:%s", port, target))
	p.waitFor("Connected", 20*time.Second)
	far.signal(standStill)
	p.waitFor("client: Disconnected", 40*time.Second)
	far.signal(goOn)
	p.signal(syscall.SIGHUP)
	eventually(t, 30*time.Second, func() error { return echoes("tcp", port, "it is back") })
}
