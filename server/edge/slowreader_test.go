package edge_test

import (
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/postern-dev/postern/server/edge"
)

// endless is a body without an end.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// B5-10: who takes nothing of an answer is cut once its patience is used up, on either
// path and either port, and not kept five seconds longer for what it might still send.
func TestSlowReadersAreCutAtOnce(t *testing.T) {
	for name, only := range map[string]bool{"relay": false, "net/http": true} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(c *edge.Config) {
				c.NetHTTPOnly = only
				c.Timeouts.Patience, c.Timeouts.Transfer, c.Limits.LeastRate = 500*time.Millisecond, time.Second, 64
			})
			large := s.upstream(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", strconv.Itoa(64<<20))
				_, _ = io.CopyN(w, endless{}, 64<<20)
			})
			m := s.serve("http://app."+domain, large)
			n := s.serve("https://app."+domain, large)
			request := "GET / HTTP/1.1\r\nHost: app." + domain + "\r\n\r\n"
			say(t, s.dial(s.http), request)
			say(t, s.dialTLS("app."+domain, "http/1.1"), request)
			eventually(t, "both are served", func() bool { return m.streams.Load()+n.streams.Load() == 2 })
			began := time.Now()
			eventually(t, "both are cut", func() bool { return s.edge.Visitors() == 0 })
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("they were cut after %v", took)
			}
		})
	}
}
