//go:build unix

package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// B5-34: a laptop's lid closes and opens again.
func TestAgentAsleep(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	upstream, _ := slowBody(t)
	agent, url := s.agent("http", upstream)
	visitor := s.visitor()
	awaitBody(t, visitor, url, "quick", 5*time.Second)
	before := s.baseline()
	agent.signal(syscall.SIGSTOP)
	eventually(t, 40*time.Second, func() error { // dead after 20 s without an answer
		request, err := http.NewRequest("GET", url, nil)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		response, err := visitor.Do(request.WithContext(ctx))
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != 404 {
			return fmt.Errorf("the endpoint of a sleeping agent answers %s", response.Status)
		}
		return nil
	})
	agent.signal(syscall.SIGCONT)
	awaitBody(t, visitor, url, "quick", 5*time.Second)
	s.returnsTo(before)
}
