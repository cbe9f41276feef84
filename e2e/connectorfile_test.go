package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// fromFile starts our connector with a configuration file of its own, which write
// changes.
type fromFile struct {
	*process
	t    *testing.T
	path string
}

func connectFile(t *testing.T, caFile, text string) *fromFile {
	t.Helper()
	f := &fromFile{t: t, path: filepath.Join(t.TempDir(), "connector.yml")}
	f.write(text)
	f.process = startProcess(t, "connector", []string{"POSTERN_CONNECT_CAS=" + caFile}, posternBinary, "connect", "--config", f.path, "--log-format", "logfmt")
	return f
}

func (f *fromFile) write(text string) {
	f.t.Helper()
	if err := os.WriteFile(f.path, []byte(text), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// reload has the connector read another text, and waits for it to say want.
func (f *fromFile) reload(text, want string) {
	f.t.Helper()
	f.write(text)
	before := strings.Count(f.output(), want)
	f.signal(syscall.SIGHUP)
	eventually(f.t, 10*time.Second, func() error {
		if strings.Count(f.output(), want) == before {
			return fmt.Errorf("the connector has not said %q", want)
		}
		return nil
	})
}

// gateway is a gateway in a configuration file.
func (g *stage) inFile(remotes ...string) string {
	g.t.Helper()
	at, err := url.Parse(g.Address)
	if err != nil {
		g.t.Fatal(err)
	}
	text := fmt.Sprintf("- name: %s\n  address: https://127.0.0.1:%d%s\n  hostname: %s\n  token: %s\n  remotes:\n", g.Name, g.https, at.Path, at.Host, g.token)
	for _, r := range remotes {
		text += "  - " + r + "\n"
	}
	return text
}

// S4-21, S4-26: several gateways from one file, each with a port 8081, over our own link;
// a reload touches nothing that has not changed.
func TestConnectorFile(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	one, two := s.stage("one"), s.stage("two")
	first, second, third := privateService(t, "first"), privateService(t, "second"), privateService(t, "third")
	dns := echoDatagrams(t)
	p := connectFile(t, s.caFile, "gateways:\n"+one.inFile("R:8081:"+first, "R:5353:"+dns+"/udp")+two.inFile("R:8081:"+second))
	p.waitFor("msg=connected", 20*time.Second)
	expectAnswer(t, one.at(8081), "first")
	expectAnswer(t, two.at(8081), "second")
	eventually(t, 10*time.Second, func() error { return datagram(one.at(5353)) })
	if strings.Contains(p.output(), "chisel") || strings.Count(p.output(), "wire=postern/1") != 2 {
		t.Errorf("the connector took another wire\n%s", p.output())
	}
	p.staysSmall()
	open, err := net.Dial("tcp", one.at(8081))
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	if _, err := io.ReadFull(open, make([]byte, len("first "))); err != nil {
		t.Fatal(err)
	}
	stays := func(when string) {
		t.Helper()
		_ = open.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprint(open, "x")
		if _, err := io.ReadFull(open, make([]byte, 1)); err != nil {
			t.Errorf("an open connection was cut %s: %v", when, err)
		}
	}
	p.reload("gateways:\n"+one.inFile("R:8081:"+first, "R:8082:"+third)+two.inFile("R:8081:"+third), "configuration reloaded")
	expectAnswer(t, one.at(8082), "third")
	expectAnswer(t, two.at(8081), "third")
	stays("by a reload")
	p.reload("gateways: nonsense\n", "the configuration was not reloaded")
	expectAnswer(t, one.at(8081), "first")
	p.reload("gateways:\n"+one.inFile("R:8081:"+first), "configuration reloaded")
	two.connected(0)
	stays("with another gateway")
	p.signal(syscall.SIGTERM)
	eventually(t, 10*time.Second, func() error { // its port goes offline, and this connection stays
		if now := one.live(); len(now.Connectors) > 0 && len(now.Endpoints) > 0 && len(now.Endpoints[0].Connectors) > 0 {
			return fmt.Errorf("the port is still offered: %+v", now.Endpoints)
		}
		return nil
	})
	stays("by SIGTERM")
	open.Close()
	if code := p.wait(10 * time.Second); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if strings.Contains(p.output(), one.token) {
		t.Error("the token is in the log")
	}
}

func datagram(address string) error {
	conn, err := net.Dial("udp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := io.WriteString(conn, "question"); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 64))
	return err
}

// A target that is not well is told to the gateway, and to who watches; metrics count.
func TestConnectorHealth(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	g := s.stage("health")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := listener.Addr().String()
	answer := func(l net.Listener) {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprint(conn, "target ")
				_, _ = io.Copy(conn, conn)
			}()
		}
	}
	go answer(listener)
	admin := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	remote := fmt.Sprintf("{port: 8081, target: %q, health: {tcp: true, interval: 1s, timeout: 1s}}", target)
	p := connectFile(t, s.caFile, "listen_admin: "+admin+"\ngateways:\n"+g.inFile(remote))
	p.waitFor("the port is online", 20*time.Second)
	expectAnswer(t, g.at(8081), "target")
	healthy := func(want int) {
		t.Helper()
		eventually(t, 20*time.Second, func() error {
			status, text, err := fetchPlain("http://"+admin+"/healthz", "")
			if err == nil && status != want {
				err = fmt.Errorf("/healthz is %d: %s", status, text)
			}
			return err
		})
	}
	healthy(http.StatusOK)
	listener.Close()
	healthy(http.StatusServiceUnavailable)
	eventually(t, 10*time.Second, func() error {
		if now := g.live(); len(now.Endpoints) > 0 && len(now.Endpoints[0].Connectors) > 0 {
			return fmt.Errorf("the gateway still has the port: %+v", now.Endpoints)
		}
		return nil
	})
	if listener, err = net.Listen("tcp", target); err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go answer(listener)
	healthy(http.StatusOK)
	expectAnswer(t, g.at(8081), "target")
	_, metrics, err := fetchPlain("http://"+admin+"/metrics", "")
	if err != nil || !strings.Contains(metrics, `postern_connector_connected{gateway="health"} 1`) ||
		!strings.Contains(metrics, `postern_connector_remote_well{gateway="health",network="tcp",port="8081",target="`+target+`"} 1`) {
		t.Errorf("%s, %v", metrics, err)
	}
	// The server restarts.
	s.restart()
	expectAnswer(t, g.at(8081), "target")
	healthy(http.StatusOK)
	// A token that is not the gateway's ends the program at once, where its operator looks.
	at, err := url.Parse(g.Address)
	if err != nil {
		t.Fatal(err)
	}
	refused := startProcess(t, "connector", []string{"POSTERN_CONNECT_CAS=" + s.caFile, "POSTERN_GATEWAY_TOKEN=gwt_wrong"}, posternBinary,
		"connect", "--hostname", at.Host, fmt.Sprintf("https://127.0.0.1:%d%s", s.https, at.Path), "R:8081:127.0.0.1:80")
	if code := refused.wait(20 * time.Second); code != 1 || !strings.Contains(refused.output(), "ERR_POSTERN_602") {
		t.Errorf("exit status %d, %s", code, refused.output())
	}
	if status, _, err := fetchPlain("http://"+admin+"/healthz", "evil.example"); err != nil || status != http.StatusMisdirectedRequest {
		t.Errorf("with a name in Host: %d, %v", status, err)
	}
}

func fetchPlain(address, host string) (status int, text string, err error) {
	request, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		return 0, "", err
	}
	if host != "" {
		request.Host = host
	}
	answer, err := (&http.Client{Timeout: 5 * time.Second}).Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}
