package e2e_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// run runs a connector, ours or chisel's client, at an address, trusting ca.
func (g *stage) run(t *testing.T, name, address, ca, remote string) {
	t.Helper()
	if name == "Chisel" {
		startChisel(t, chiselOrders{Server: address, CA: ca, Remotes: []string{remote}, Headers: map[string]string{"Token": g.token}})
		return
	}
	startProcess(t, "connector", []string{"POSTERN_CONNECT_CAS=" + ca, "SSL_CERT_FILE=" + ca},
		posternBinary, "connect", "--header", "token: "+g.token, address, remote)
}

// S4-47: connectors come through a proxy that buffers what it passes on and closes
// connections on which nothing has come for a few seconds. An idle one stays.
func TestGatewayBehindAnImpatientProxy(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for _, name := range []string{"Postern", "Chisel"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := s.stage(name)
			const port = 8081
			host := "gateway." + domain
			address, ca := front(t, fmt.Sprintf("https://127.0.0.1:%d", s.https), "proxy_buffering on;", "proxy_read_timeout 8s;", "proxy_send_timeout 8s;",
				"proxy_ssl_server_name on;", "proxy_ssl_name "+host+";", "proxy_set_header Host "+host+";")
			g.run(t, name, "https://"+address+"/"+g.Path, ca, fmt.Sprintf("R:%d:%s", port, privateService(t, name)))
			expectAnswer(t, g.at(port), name)
			if err := program.Poll(40*time.Second, 500*time.Millisecond, func() error {
				all := g.live().Connectors
				if len(all) != 1 {
					return fmt.Errorf("%d connectors", len(all))
				}
				if age := time.Since(all[0].Since); age < 20*time.Second {
					return fmt.Errorf("it is there for %v", age)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			expectAnswer(t, g.at(port), name)
		})
	}
}

// cutter passes connections on until it is told to cut them, wherever in a message that is.
type cutter struct {
	listener net.Listener
	mu       sync.Mutex
	open     []net.Conn
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: listener}
	t.Cleanup(func() { listener.Close(); c.cut() })
	go func() {
		for {
			near, err := listener.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", to)
			if err != nil {
				near.Close()
				continue
			}
			c.mu.Lock()
			c.open = append(c.open, near, far)
			c.mu.Unlock()
			for from, to := range map[net.Conn]net.Conn{near: far, far: near} {
				go func() {
					// 1021 bytes: hardly any message ends where one of these ends.
					_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 1021))
					to.Close()
				}()
			}
		}
	}()
	return c
}

func (c *cutter) port() int { return c.listener.Addr().(*net.TCPAddr).Port }

func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		conn.Close()
	}
	c.open = nil
}

// A connector's link is cut within a message while a download is under way. The consumer
// does not take the part for the whole, and the next one is served.
func TestLinkCutWithinAMessage(t *testing.T) {
	s := startLocalServer(t)
	for _, name := range []string{"Postern", "Chisel"} {
		t.Run(name, func(t *testing.T) {
			g := s.stage(name)
			const port = 8081
			between := newCutter(t, fmt.Sprintf("127.0.0.1:%d", s.https))
			address := fmt.Sprintf("https://gateway.%s:%d/%s", s.Domain, between.port(), g.Path)
			zeros := fmt.Sprintf("R:%d:%s", port, endless(t))
			if name == "Chisel" {
				startChisel(t, chiselOrders{Server: address, CA: s.caFile, Remotes: []string{zeros}, Headers: map[string]string{"Token": g.token},
					Dial: fmt.Sprintf("127.0.0.1:%d", between.port())})
			} else {
				g.run(t, name, address, s.caFile, zeros)
			}
			download := func() net.Conn {
				var conn net.Conn
				eventually(t, 20*time.Second, func() (err error) {
					if conn, err = net.Dial("tcp", g.at(port)); err != nil {
						return err
					}
					_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
					if _, err = io.ReadFull(conn, make([]byte, 1<<20)); err != nil {
						conn.Close()
					}
					return err
				})
				return conn
			}
			under := download()
			defer under.Close()
			between.cut()
			if n, err := io.Copy(io.Discard, under); err == nil {
				t.Errorf("after %d bytes more the consumer was told that this is all", n)
			}
			download().Close()
		})
	}
}

// endless is a service that sends without end.
func endless(t *testing.T) (address string) {
	t.Helper()
	return tcpService(t, func(conn net.Conn) {
		part := make([]byte, 64<<10)
		for {
			if _, err := conn.Write(part); err != nil {
				return
			}
		}
	})
}
