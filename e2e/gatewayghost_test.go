//go:build unix

package e2e_test

import (
	"syscall"
	"testing"
	"time"
)

// A connector whose process was stopped holds its port no longer than until it comes back.
func TestGatewayGhost(t *testing.T) {
	s := startServer(t)
	g := s.stage("stage")
	target := privateService(t, "one")
	ghost := g.chisel("1", "R:8081:"+target)
	expectAnswer(t, g.at(8081), "one")
	ghost.signal(standStill)
	g.chisel("1", "R:8081:"+target)
	began := time.Now()
	expectAnswer(t, g.at(8081), "one")
	t.Logf("reached %s after the connector came back", time.Since(began))
	g.connected(1)
	ghost.signal(syscall.SIGKILL)
}
