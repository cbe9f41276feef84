package edge_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"testing"

	"github.com/postern-dev/postern/server/edge"
)

// dialogue is a connection on which lines are told.
type dialogue struct {
	net.Conn
	heard *bufio.Reader
}

func speak(conn net.Conn) *dialogue { return &dialogue{conn, bufio.NewReader(conn)} }

func (s *dialogue) tell(line string) error {
	_, err := io.WriteString(s, line+"\n")
	return err
}

func (s *dialogue) hear() (string, error) { return s.heard.ReadString('\n') }

// agentsOf makes an edge whose agents are served by serve, and an agent of it.
func agentsOf(t *testing.T, serve func(ctx context.Context, agent *dialogue)) (s *site, server *dialogue) {
	t.Helper()
	s = start(t, func(c *edge.Config) {
		c.Agents = func(ctx context.Context, conn net.Conn, _ string) {
			defer conn.Close()
			serve(ctx, speak(conn))
		}
	})
	return s, speak(s.dialTLS("", "postern/1"))
}

// An agent that is ended when the edge stops hears its last words, however slowly that
// goes, and no reset before them.
func TestAgentsHearTheirLastWords(t *testing.T) {
	leaving := make(chan struct{})
	s, server := agentsOf(t, func(ctx context.Context, agent *dialogue) {
		close(leaving)
		<-ctx.Done()
		for range 20 { // each wants the other's
			if err := agent.tell("we leave"); err != nil {
				t.Error(err)
			}
			if _, err := agent.hear(); err != nil {
				t.Error(err)
			}
		}
	})
	<-leaving
	ended := make(chan error, 1)
	go func() { ended <- s.edge.Shutdown(t.Context()) }()
	for range 20 {
		line, err := server.hear()
		if err != nil || line != "we leave\n" {
			t.Fatalf("the agent heard %q, %v", line, err)
		}
		must(t, server.tell("goodbye"))
	}
	if _, err := server.hear(); err != io.EOF {
		t.Errorf("the connection ended with %v", err)
	}
	if err := <-ended; err != nil {
		t.Errorf("Shutdown = %v", err)
	}
}

// Who does not leave is cut.
func TestAgentsThatStayAreCut(t *testing.T) {
	begun := make(chan struct{})
	s, server := agentsOf(t, func(_ context.Context, agent *dialogue) {
		close(begun)
		_, _ = io.Copy(io.Discard, agent)
	})
	<-begun
	must(t, s.edge.Shutdown(t.Context()))
	if _, err := server.hear(); err == nil || err == io.EOF {
		t.Errorf("the connection ended with %v", err)
	}
}
