package edge_test

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/postern-dev/postern/server/edge"
)

// A reload changes what comes from now on; connections that are open keep flowing.
func TestReloadKeepsConnections(t *testing.T) {
	s := start(t)
	s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {}))
	request := "GET / HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n"
	conn := s.dial(s.http)
	answers := bufio.NewReader(conn)
	ask := func() {
		t.Helper()
		say(t, conn, request)
		if response, err := http.ReadResponse(answers, nil); err != nil || response.StatusCode != 200 {
			t.Errorf("the old connection: %v", err)
		}
	}
	ask()
	s.edge.Reload(edge.Live{Timeouts: edge.Timeouts{RequestHeader: 30 * time.Millisecond}})
	ask()
	late := s.dial(s.http) // the new deadline holds for new connections
	if _, err := io.ReadAll(late); err != nil {
		t.Errorf("the new connection: %v", err)
	}
	late.Close()
	s.edge.Reload(edge.Live{Limits: edge.Limits{ConnectionsPerAddress: 2}})
	held := s.dial(s.http)
	eventually(t, "the new cap holds", func() bool {
		extra := s.dial(s.http)
		defer extra.Close()
		response, err := http.ReadResponse(bufio.NewReader(extra), nil)
		return err == nil && response.StatusCode == 429
	})
	held.Close()
	ask()
}
