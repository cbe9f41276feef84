package e2e_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// stage is a private gateway of a server.
type stage struct {
	*server
	resource.PrivateGateway
	token string
}

func (s *server) gateways() client.Resources[resource.PrivateGateway, resource.PrivateGatewayCreate, resource.PrivateGatewayUpdate] {
	return client.For(s.api(), resource.PrivateGateways())
}

func (s *server) stage(name string, edit ...func(*resource.PrivateGatewayCreate)) *stage {
	s.t.Helper()
	wanted := resource.PrivateGatewayCreate{Name: name}
	for _, change := range edit {
		change(&wanted)
	}
	made, err := s.gateways().Create(s.t.Context(), wanted)
	if err != nil {
		s.t.Fatal(err)
	}
	return &stage{s, made, *made.Token}
}

// chisel starts a real client as a connector; instance is what outsystemscc sends as its id.
func (g *stage) chisel(instance string, remotes ...string) *process {
	g.t.Helper()
	return g.chiselAt(g.Address, g.https, instance, remotes...)
}

func (g *stage) chiselAt(address string, port int, instance string, remotes ...string) *process {
	g.t.Helper()
	if instance != "" {
		address += "?id=" + instance
	}
	return startChisel(g.t, chiselOrders{Server: address, Remotes: remotes, Headers: map[string]string{"Token": g.token}, CA: g.caFile,
		Dial: net.JoinHostPort("127.0.0.1", strconv.Itoa(port))})
}

// at is where consumers reach a port of the gateway.
func (g *stage) at(port int) string { return net.JoinHostPort(g.Listen[0], strconv.Itoa(port)) }

// live asks the API for what is live of the gateway.
func (g *stage) live() resource.PrivateGateway {
	g.t.Helper()
	now, err := g.gateways().Get(g.t.Context(), g.ID)
	if err != nil {
		g.t.Fatal(err)
	}
	return now
}

// connected waits until the gateway has n connectors.
func (g *stage) connected(n int) {
	g.t.Helper()
	eventually(g.t, 20*time.Second, func() error {
		if now := g.live(); len(now.Connectors) != n {
			return fmt.Errorf("%d connectors, want %d", len(now.Connectors), n)
		}
		return nil
	})
}

// privateService answers every connection with its name and what it was sent, once the
// consumer has said all.
func privateService(t *testing.T, name string) (address string) {
	t.Helper()
	return tcpService(t, func(conn net.Conn) {
		if _, err := io.WriteString(conn, name+" "); err == nil {
			_, _ = io.Copy(conn, conn)
		}
	})
}

// ask connects as an app does, sends a line and gives who has answered it.
func ask(address string) (name string, err error) {
	conn, err := net.DialTimeout("tcp", address, 10*time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(15 * time.Second))
	if _, err := io.WriteString(conn, "question\n"); err != nil {
		return "", err
	}
	answer := make([]byte, 0, 64)
	for !bytes.HasSuffix(answer, []byte("\n")) {
		n, err := conn.Read(answer[len(answer):cap(answer)])
		if err != nil {
			return "", fmt.Errorf("after %q: %w", answer, err)
		}
		answer = answer[:len(answer)+n]
	}
	name, rest, _ := strings.Cut(string(answer), " ")
	if rest != "question\n" {
		return "", fmt.Errorf("the answer is %q", answer)
	}
	return name, nil
}

func expectAnswer(t *testing.T, address, want string) {
	t.Helper()
	eventually(t, 20*time.Second, func() error {
		name, err := ask(address)
		if err == nil && name != want {
			err = fmt.Errorf("%s answers, want %s", name, want)
		}
		return err
	})
}

// An unmodified chisel client makes private services reachable at gateways, two of which
// have the same port; what is live is in the API, the metrics and the access log.
func TestPrivateGateways(t *testing.T) {
	s := startServer(t, "access_log: stdout")
	production, test := s.stage("production"), s.stage("test")
	one, two := privateService(t, "one"), privateService(t, "two")
	udp := echoDatagrams(t)
	production.chisel("111111111", "R:8081:"+one, "R:5353:"+udp+"/udp")
	test.chisel("222222222", "R:8081:"+two)
	expectAnswer(t, production.at(8081), "one")
	expectAnswer(t, test.at(8081), "two")

	conn, err := net.Dial("udp", production.at(5353))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, 10*time.Second, func() error {
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		got := make([]byte, 2000)
		if _, err := conn.Write(make([]byte, 1200)); err != nil {
			return err
		}
		if n, err := conn.Read(got); err != nil || n != 1200 {
			return fmt.Errorf("%d bytes, %w", n, err)
		}
		return nil
	})

	now := production.live()
	if len(now.Connectors) != 1 || now.Connectors[0].Instance != "111111111" || now.Connectors[0].Transport != "chisel/3" || now.Connectors[0].BytesIn == 0 {
		t.Errorf("connectors: %+v", now.Connectors)
	}
	if len(now.Endpoints) != 2 || now.Endpoints[1].Port != 8081 || now.Endpoints[1].Targets[0] != one || now.Endpoints[1].Listen[0] != production.at(8081) {
		t.Errorf("endpoints: %+v", now.Endpoints)
	}
	eventually(t, 20*time.Second, func() error {
		if e := production.live().Endpoints[1]; e.Healthy == nil || !*e.Healthy {
			return fmt.Errorf("the endpoint is not healthy: %+v", e)
		}
		return nil
	})
	s.process.waitFor(`"msg":"gateway connection"`, 30*time.Second)
	if now.Fingerprint == "" || !strings.Contains(s.process.output(), now.Fingerprint) {
		t.Errorf("the fingerprint %q is not in the log", now.Fingerprint)
	}
}

// echoDatagrams sends every datagram back.
func echoDatagrams(t *testing.T) (address string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0") //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 65536)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if _, err := conn.WriteTo(buffer[:n], from); err != nil {
				return
			}
		}
	}()
	return conn.LocalAddr().String()
}

// Who is refused reads why, in the words of the server.
func TestRefusedConnectors(t *testing.T) {
	s := startServer(t)
	g := s.stage("stage", func(c *resource.PrivateGatewayCreate) { c.Ports = []string{"8081", "8082"} })
	target := privateService(t, "one")
	g.chisel("1", "R:8081:"+target)
	expectAnswer(t, g.at(8081), "one")

	g.chisel("2", "R:8081:127.0.0.1:1").waitFor("port 8081/tcp is offered by the connector at 127.0.0.1 (instance 1) for "+target, 10*time.Second)
	g.chisel("3", "R:9000:"+target).waitFor("the gateway has no port 9000/tcp", 10*time.Second)

	busy, err := net.Listen("tcp", g.at(8082)) //nolint:noctx // a test
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	g.chisel("4", "R:8082:"+target).waitFor(g.at(8082)+"/tcp cannot be listened on: another program", 10*time.Second)

	plain := "http://gateway." + domain + ":" + strconv.Itoa(s.http) + "/" + g.Path
	g.chiselAt(plain, s.http, "5", "R:8083:"+target).waitFor("plain HTTP", 10*time.Second)
	open := s.stage("open", func(c *resource.PrivateGatewayCreate) { c.Insecure = true })
	open.chiselAt("http://gateway."+domain+":"+strconv.Itoa(s.http)+"/"+open.Path, s.http, "6", "R:8081:"+target)
	expectAnswer(t, open.at(8081), "one")

	wrong := *g
	wrong.token = open.token
	wrong.chisel("7", "R:8081:"+target).waitFor("the token is not one of the gateway's", 10*time.Second)

	for path, want := range map[string]int{"/" + g.Path: 200, "/nothing": 404, "/sg_00000000-0000-0000-0000-000000000000": 200} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://gateway."+domain+":"+strconv.Itoa(s.https)+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Postern-Connector", "1")
		answer, err := s.visitor().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		if answer.StatusCode != want || want == 200 && answer.Header.Get("Postern-Connector") != "1" {
			t.Errorf("%s: %s, %v", path, answer.Status, answer.Header)
		}
	}
}

// A token that is revoked ends what lives by it within a second, and nothing else.
func TestRevokedGatewayToken(t *testing.T) {
	s := startServer(t)
	g := s.stage("stage", func(c *resource.PrivateGatewayCreate) { c.Hold = new(int64) })
	target := privateService(t, "one")
	connector := g.chisel("1", "R:8081:"+target)
	expectAnswer(t, g.at(8081), "one")
	if err := client.For(s.api(), resource.PrivateGatewayTokens()).Delete(t.Context(), g.Tokens[0].ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, 2*time.Second, func() error {
		if conn, err := net.Dial("tcp", g.at(8081)); err == nil {
			_ = conn.Close()
			return fmt.Errorf("the port is open")
		}
		return nil
	})
	connector.waitFor("not one of the gateway's any more", 5*time.Second)
}

// While a connector restarts consumers wait, and see nothing of it.
func TestGatewayHold(t *testing.T) {
	s := startServer(t)
	g := s.stage("stage", func(c *resource.PrivateGatewayCreate) { hold := int64(30); c.Hold = &hold })
	target := privateService(t, "one")
	for range 3 {
		connector := g.chisel("1", "R:8081:"+target)
		expectAnswer(t, g.at(8081), "one")
		connector.signal(syscall.SIGKILL)
		connector.wait(5 * time.Second)
		g.connected(0)
	}
	answered := make(chan error, 1)
	go func() {
		_, err := ask(g.at(8081))
		answered <- err
	}()
	g.chisel("1", "R:8081:"+target)
	if err := <-answered; err != nil {
		t.Errorf("a consumer noticed: %v", err)
	}
}

// One of two connectors dies under load: its own connections break, and no new one does.
func TestGatewayPoolUnderLoad(t *testing.T) {
	s := startServer(t)
	g := s.stage("stage", func(c *resource.PrivateGatewayCreate) { c.Conflict = "pool" })
	dies := g.chisel("1", "R:8081:"+privateService(t, "one"))
	expectAnswer(t, g.at(8081), "one")
	g.chisel("2", "R:8081:"+privateService(t, "two"))
	expectAnswer(t, g.at(8081), "two")

	// Connections that stay, to see which break.
	var stay []net.Conn
	var names []string
	for range 20 {
		conn, err := net.Dial("tcp", g.at(8081))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
		greeting := make([]byte, 4)
		if _, err := io.ReadFull(conn, greeting); err != nil {
			t.Fatal(err)
		}
		stay, names = append(stay, conn), append(names, strings.TrimSpace(string(greeting)))
	}
	var asked, failed atomic.Int64
	var killed atomic.Pointer[time.Time]
	stop := make(chan struct{})
	var load sync.WaitGroup
	for range 4 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				began := time.Now()
				_, err := ask(g.at(8081))
				asked.Add(1)
				// What was under way at that moment may be the dead one's own.
				if at := killed.Load(); err != nil && at != nil && began.After(at.Add(200*time.Millisecond)) {
					failed.Add(1)
					t.Errorf("%s after the kill: %v", began.Sub(*at), err)
				}
			}
		})
	}
	before := asked.Load()
	eventually(t, 20*time.Second, func() error {
		if asked.Load() < before+50 {
			return fmt.Errorf("%d asked", asked.Load())
		}
		return nil
	})
	at := time.Now()
	killed.Store(&at)
	dies.signal(syscall.SIGKILL)
	before = asked.Load()
	eventually(t, 30*time.Second, func() error {
		if asked.Load() < before+100 {
			return fmt.Errorf("%d asked since", asked.Load()-before)
		}
		return nil
	})
	close(stop)
	load.Wait()
	for i, conn := range stay {
		_, err := conn.Write([]byte("x"))
		if err == nil {
			_, err = conn.Read(make([]byte, 1))
		}
		if broke := err != nil; broke != (names[i] == "one") {
			t.Errorf("the connection to %s: %v", names[i], err)
		}
	}
	t.Logf("%d connections, %d failed", asked.Load(), failed.Load())
}

// After the server was killed its connectors come back by themselves, and bring the ports.
func TestGatewayAfterAServerRestart(t *testing.T) {
	s := startServer(t)
	g := s.stage("stage")
	g.chisel("1", "R:8081:"+privateService(t, "one"))
	expectAnswer(t, g.at(8081), "one")
	s.restart()
	expectAnswer(t, g.at(8081), "one")
	if now := g.live(); now.Fingerprint != g.Fingerprint {
		t.Errorf("the host key was %s and is %s", g.Fingerprint, now.Fingerprint)
	}
}

// A new process takes the gateways' ports over. Whoever connects meanwhile waits, and nobody
// is refused; connections that are open live on where their connector's wire can move.
func TestGatewayHandOver(t *testing.T) {
	s := startServer(t)
	g := s.stage("stage")
	udp := echoDatagrams(t)
	g.chisel("1", "R:8081:"+privateService(t, "one"), "R:5353:"+udp+"/udp")
	expectAnswer(t, g.at(8081), "one")
	stop := make(chan struct{})
	var load sync.WaitGroup
	var asked atomic.Int64
	for range 2 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := ask(g.at(8081)); err != nil {
					// What was under way through a connector that cannot move may be cut.
					if strings.Contains(err.Error(), "refused") {
						t.Errorf("a consumer was refused: %v", err)
					}
				}
				asked.Add(1)
				select {
				case <-time.After(20 * time.Millisecond):
				case <-stop:
					return
				}
			}
		})
	}
	old := s.upgrade()
	old.waitFor("connector left", 20*time.Second)

	g.connected(1)
	expectAnswer(t, g.at(8081), "one")
	close(stop)
	load.Wait()
	conn, err := net.Dial("udp", g.at(5353))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	eventually(t, 10*time.Second, func() error {
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write([]byte("x")); err != nil {
			return err
		}
		_, err := conn.Read(make([]byte, 10))
		return err
	})
	t.Logf("%d connections over the hand-over", asked.Load())
}
