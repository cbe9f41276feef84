package e2e_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A server that stops waits for consumers of private gateways as it does for visitors, also
// when it has no visitor; our own agent and connector hear why their connections end.
func TestGatewayTrafficEndsWholeWhileTheServerStops(t *testing.T) {
	for name, connect := range map[string]func(*stage, string) *process{
		"our connector": func(g *stage, target string) *process { return g.postern("R:8081:" + target) },
		"chisel":        func(g *stage, target string) *process { return g.chisel("1", "R:8081:"+target) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startLocalServer(t)
			g := s.stage("stage")
			connector := connect(g, privateService(t, "one"))
			agent, _ := s.agent("http", "127.0.0.1:1")
			expectAnswer(t, g.at(8081), "one")
			consumer := g.hold(8081)

			s.process.signal(syscall.SIGTERM)
			agent.waitFor(`msg="server is draining, making a new session"`, 10*time.Second)
			s.draining()
			consumer.carries(4 << 20)
			consumer.ends()
			if code := s.process.wait(20 * time.Second); code != 0 {
				t.Errorf("the server left with %d", code)
			}
			if name == "our connector" {
				connector.waitFor("the server shuts down", 10*time.Second)
			}
			for _, p := range []*process{agent, connector} {
				if strings.Contains(p.output(), "connection reset") {
					t.Errorf("%s had its connection reset", p.Name)
				}
			}
		})
	}
}

// draining waits until connections that are open are all that the server is there for:
// nobody is accepted any more, and agents have been told.
func (s *server) draining() {
	s.t.Helper()
	eventually(s.t, 10*time.Second, func() error {
		answer, err := http.Get(s.AdminURL("/readyz"))
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if answer.StatusCode != http.StatusServiceUnavailable {
			return fmt.Errorf("readyz: %s", answer.Status)
		}
		if conn, err := net.Dial("tcp", s.ConnectURL()); err == nil {
			_ = conn.Close()
			return fmt.Errorf("connections are accepted")
		}
		return nil
	})
}

// consumer is a connection to a privateService whose greeting was read.
type consumer struct {
	*net.TCPConn
	t *testing.T
}

func (g *stage) hold(port int) *consumer {
	g.t.Helper()
	conn, err := net.Dial("tcp", g.at(port))
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(60 * time.Second))
	if _, err := io.ReadFull(conn, make([]byte, len("one "))); err != nil {
		g.t.Fatal(err)
	}
	return &consumer{conn.(*net.TCPConn), g.t}
}

// carries has n bytes go there and come back, in lines that wait for each other.
func (c *consumer) carries(n int) {
	c.t.Helper()
	answers := bufio.NewReaderSize(c, 1<<16)
	for i := 0; n > 0; i++ {
		line := fmt.Sprintf("%d %s\n", i, strings.Repeat("x", 32<<10))
		if _, err := io.WriteString(c, line); err != nil {
			c.t.Fatal(err)
		}
		if answer, err := answers.ReadString('\n'); answer != line {
			c.t.Fatalf("line %d came back as %d bytes of %d: %v", i, len(answer), len(line), err)
		}
		n -= len(line)
	}
}

// ends says that there is no more, and hears the same from the service.
func (c *consumer) ends() {
	c.t.Helper()
	if _, err := io.WriteString(c, "last"); err != nil {
		c.t.Error(err)
	}
	if err := c.CloseWrite(); err != nil {
		c.t.Error(err)
	}
	if rest, err := io.ReadAll(c); string(rest) != "last" || err != nil {
		c.t.Errorf("the last words were %q: %v", rest, err)
	}
}
