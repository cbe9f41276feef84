package localapi_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/inspect"
)

type exchanges struct {
	Requests []struct {
		ID         string
		URI        string
		TunnelName string `json:"tunnel_name"`
		RemoteAddr string `json:"remote_addr"`
		Start      string
		Duration   int64
		ReplayOf   string `json:"replay_of"`
		Request    struct {
			Method, Proto, URI, Raw string
			Headers                 map[string][]string
		}
		Response *struct {
			Status     string
			StatusCode int `json:"status_code"`
			Proto, Raw string
			Headers    map[string][]string
		}
	}
}

// S1-26, S1-27.
func TestRequests(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s", r.Host, r.URL, body)
	}))
	defer service.Close()
	a := newAPI(t, nil)
	a.agent.service = service.Listener.Addr().String()
	a.want("GET", "/api/requests/http", "", 200, `{"uri":"/api/requests/http","requests":[]}`)
	a.ask("POST", "/api/tunnels", `{"name":"web","proto":"http","addr":80}`)
	first := a.captured("web", "/one?x=1")
	a.captured("web (http)", "/two")

	var list exchanges
	read(t, a.ask("GET", "/api/requests/http?limit=10", "").Body, &list)
	if len(list.Requests) != 2 || list.Requests[0].TunnelName != "web (http)" || list.Requests[1].ID != first {
		t.Fatalf("%+v", list)
	}
	x := list.Requests[1]
	raw, _ := base64.StdEncoding.DecodeString(x.Request.Raw)
	_, body, _ := strings.Cut(string(raw), "\r\n\r\n")
	if x.Request.Method != "POST" || x.Request.URI != "/one?x=1" || x.Request.Proto != "HTTP/1.1" || body != "hi" || x.RemoteAddr != "203.0.113.9" || x.URI != "/api/requests/http/"+first {
		t.Errorf("%+v", x)
	}
	if x.Response.Status != "502 Bad Gateway" || x.Response.StatusCode != 502 || fmt.Sprint(x.Response.Headers["X-A"]) != "[1 2]" {
		t.Errorf("%+v", x.Response)
	}
	if _, err := time.Parse(time.RFC3339, x.Start); err != nil || x.Duration <= 0 {
		t.Errorf("start %q, duration %d", x.Start, x.Duration)
	}

	var filtered exchanges
	read(t, a.ask("GET", "/api/requests/http?limit=1&tunnel_name=web", "").Body, &filtered)
	if len(filtered.Requests) != 1 || filtered.Requests[0].ID != first {
		t.Errorf("%+v", filtered)
	}
	for _, limit := range []string{"x", "-1", "1.5", "99999999999999999999"} {
		if w := a.ask("GET", "/api/requests/http?limit="+limit, ""); w.Code != 400 || !strings.Contains(w.Body.String(), `"msg":"failed to deserialize request parameter"`) {
			t.Errorf("limit %s: %d %s", limit, w.Code, w.Body)
		}
	}
	if w := a.ask("GET", "/api/requests/http/"+first, ""); w.Code != 200 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	a.want("GET", "/api/requests/http/nope", "", 404, `{"error_code":106,"status_code":404,"msg":"request entry not found","details":{"id":"nope"}}`)

	// npm's wrappers send tunnelName, which means nothing.
	a.want("POST", "/api/requests/http", `{"id":"`+first+`","tunnelName":"x"}`, 204, "")
	a.want("POST", "/api/requests/http", `{"id":"`+first+`","tunnel_name":"web (http)"}`, 204, "")
	replays := a.recorder.Store().List(inspect.Filter{}, 2)
	if replays[0].ReplayOf != first || replays[0].Endpoint != "web (http)" || replays[1].Endpoint != "web" || string(replays[1].Response.Body()) != "h1.example.com /one?x=1 hi" {
		t.Errorf("%+v", replays[1])
	}
	a.want("POST", "/api/requests/http", `{"id":"nope"}`, 404, `{"error_code":106,"status_code":404,"msg":"request entry not found","details":{"id":"nope"}}`)
	a.want("POST", "/api/requests/http", `{"id":"`+first+`","tunnel_name":"no"}`, 404, `{"error_code":100,"status_code":404,"msg":"tunnel not found","details":{"name":"no"}}`)
	if w := a.ask("POST", "/api/requests/http", `{"id":1}`); w.Code != 400 {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	a.agent.service = "127.0.0.1:1"
	if w := a.ask("POST", "/api/requests/http", `{"id":"`+first+`"}`); w.Code != 502 || !strings.Contains(w.Body.String(), "ERR_NGROK_8012") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	a.want("DELETE", "/api/requests/http", "{}", 204, "")
	a.want("GET", "/api/requests/http", "", 200, `{"uri":"/api/requests/http","requests":[]}`)

	if w := a.ask("GET", "/api/tunnels/web", ""); !strings.Contains(w.Body.String(), `"http":{"count":2,`) {
		t.Errorf("the numbers have not counted: %s", w.Body)
	}
}

func TestStatus(t *testing.T) {
	a := newAPI(t, nil)
	a.want("GET", "/api/status", "", 200, `{"status":"online","agent_version":"3.99.0","session":{"legs":[{"region":"eu","latency":"88ms"}]},"uri":"/api/status"}`)
	a.agent.setOffline(true)
	a.want("GET", "/api/status", "", 200, `{"status":"connecting","agent_version":"3.99.0","session":{"legs":[]},"uri":"/api/status","problem":"the server cannot be reached"}`)
	w := a.ask("GET", "/", "")
	if w.Code != 302 || w.Header().Get("Location") != "/inspect/http" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	if w := a.ask("GET", "/inspect/http", ""); w.Code != 200 || !strings.Contains(w.Body.String(), "/api/openapi.json") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if w := a.ask("HEAD", "/api/tunnels", ""); w.Code != 200 || w.Body.Len() > 0 || w.Header().Get("Content-Length") == "" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

// However many are asked for, one answer does not hold all that is kept.
func TestListOfRequestsIsBounded(t *testing.T) {
	a := newAPI(t, nil)
	body := strings.Repeat("x", 512<<10)
	const kept = 40
	for range kept {
		s := a.recorder.Stream("web", netip.MustParseAddrPort("203.0.113.9:1"))
		s.FromVisitor([]byte("GET / HTTP/1.1\r\nHost: h1.example.com\r\n\r\n"))
		fmt.Fprintf(streamWriter(s.FromService), "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		s.End(nil)
	}
	w := a.ask("GET", "/api/requests/http?limit=1000000", "")
	if size := w.Body.Len(); size > 16<<20 {
		t.Errorf("an answer of %d bytes", size)
	}
	var list struct {
		Requests  []json.RawMessage
		Truncated bool
	}
	read(t, w.Body, &list)
	if n := len(list.Requests); n == 0 || n >= kept || !list.Truncated {
		t.Errorf("%d of %d are listed, truncated: %t", n, kept, list.Truncated)
	}
}

type streamWriter func([]byte)

func (w streamWriter) Write(b []byte) (int, error) { w(b); return len(b), nil }
