package edge_test

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/postern-dev/postern/server/edge"
)

// lines collects log lines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

// take waits for n lines and returns them decoded.
func (l *lines) take(t *testing.T, n int) []map[string]any {
	t.Helper()
	var all []string
	eventually(t, "lines are written", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		all = strings.Split(strings.TrimSpace(l.buf.String()), "\n")
		return len(all) >= n && all[0] != ""
	})
	l.mu.Lock()
	l.buf.Reset()
	l.mu.Unlock()
	decoded := make([]map[string]any, len(all))
	for i, line := range all {
		must(t, json.Unmarshal([]byte(line), &decoded[i]))
	}
	return decoded
}

func TestAccessLog(t *testing.T) {
	out := new(lines)
	s := start(t, func(c *config) { c.AccessLog = slog.New(slog.NewJSONHandler(out, nil)) })
	m := s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
		_, _ = io.WriteString(w, "!")
	}))
	response, err := s.client("h2").Post("https://app."+domain+"/path?token=secret", "text/plain", strings.NewReader("hello"))
	must(t, err)
	body(t, response)
	line := out.take(t, 1)[0]
	for name, want := range map[string]any{
		"msg": "request", "kind": "http", "method": "POST", "scheme": "https", "host": "app." + domain, "path": "/path", "protocol": "HTTP/2.0",
		"status": 200.0, "bytes_in": 5.0, "bytes_out": 6.0, "endpoint": "https://app." + domain, "endpoint_id": string(m.ID()),
		"user_agent": "Go-http-client/2.0",
	} {
		if line[name] != want {
			t.Errorf("%s: %v, want %v", name, line[name], want)
		}
	}
	if strings.Contains(line["path"].(string), "secret") || line["client"] == "" || line["request_id"] == "" || line["duration_ms"] == nil {
		t.Errorf("line %v", line)
	}

	response, _ = get(t, s.client(), "https://gone."+domain)
	line = out.take(t, 1)[0]
	if line["error_code"] != "ERR_NGROK_3200" || line["status"] != 404.0 || line["request_id"] != response.Header.Get("Postern-Request-Id") {
		t.Errorf("line %v", line)
	}

	addr, _ := s.tcpPort(rawUpstream(t, echo))
	conn := s.dial(addr)
	say(t, conn, "hello")
	must(t, conn.CloseWrite())
	_, _ = io.ReadAll(conn)
	line = out.take(t, 1)[0]
	if line["kind"] != "tcp" || line["bytes_in"] != 5.0 || line["bytes_out"] != 5.0 || line["client"] != conn.LocalAddr().String() || line["msg"] != "connection" {
		t.Errorf("line %v", line)
	}

	s.edge.Reload(edge.Live{})
	get(t, s.client(), "https://gone."+domain)
	if out.buf.Len() > 0 {
		t.Error("the access log goes on after it was switched off")
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, func(c *config) { c.Metrics = registry; c.Limits.ConnectionsPerAddress = 3 })
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
		if r.URL.Path == "/bad" {
			panic(http.ErrAbortHandler)
		}
	}))
	client := s.client("http/1.1")
	response, err := client.Post("https://app."+domain, "text/plain", strings.NewReader("hello"))
	must(t, err)
	body(t, response)
	get(t, client, "https://app."+domain+"/bad")
	s.dial(s.https)
	s.dial(s.https)
	eventually(t, "a connection is turned away", func() bool {
		s.dial(s.https)
		n, err := testutil.GatherAndCount(registry, "postern_edge_rejected_total")
		must(t, err)
		return n == 1
	})
	eventually(t, "both requests are counted", func() bool {
		return testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP postern_edge_requests_total HTTP requests by endpoint and class of the answer's status.
# TYPE postern_edge_requests_total counter
postern_edge_requests_total{code="2xx",endpoint="https://app.postern.test"} 1
postern_edge_requests_total{code="5xx",endpoint="https://app.postern.test"} 1
`), "postern_edge_requests_total") == nil
	})
	families, err := registry.Gather()
	must(t, err)
	var names []string
	for _, family := range families {
		names = append(names, family.GetName())
		if family.GetName() == "postern_edge_bytes_total" {
			if got := family.GetMetric()[0].GetCounter().GetValue(); got != 5 {
				t.Errorf("bytes in: %v", got)
			}
		}
	}
	for _, want := range []string{"postern_edge_request_duration_seconds", "postern_edge_open_connections"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s", want)
		}
	}
}
