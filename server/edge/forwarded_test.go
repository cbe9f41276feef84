package edge_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/policy"
)

// policed puts an endpoint of an account online that has a policy, "" for none. One with a
// name below .internal is internal.
func (s *site) policed(account postern.AccountID, url, text, addr string, change ...func(*member)) *member {
	s.t.Helper()
	m := newMember(addr)
	for _, c := range change {
		c(m)
	}
	r := routeTo(url, &owner{members: []*member{m}})
	r.Account = account
	if r.URL.Host.Internal() {
		r.URL = r.URL.Within(account)
	}
	if text != "" {
		program, err := policy.Compile(text, policy.Target{Scheme: r.URL.Scheme, Internal: r.URL.Internal(),
			Editable: policy.Editable{Request: edge.EditableRequestHeader, Response: edge.EditableResponseHeader}})
		must(s.t, err)
		m.policy, r.Policies = program, []*policy.Program{program}
	}
	s.add(r)
	s.t.Cleanup(m.stop)
	return m
}

// sends is a policy that forwards requests to a URL.
func sends(url string) string {
	return fmt.Sprintf("on_http_request: [{actions: [{type: forward-internal, config: {url: %q}}]}]", url)
}

// seesItself answers with what it was asked.
func (s *site) seesItself(name string) string {
	return s.upstream(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s%s %s by=%s original=%s proto=%s for=%s %s", name, r.Method, r.Host, r.RequestURI, body,
			r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Original-Host"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Rule"))
	})
}

func (s *site) says(t *testing.T, client *http.Client, method, url, body string) (int, string, http.Header) {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	must(t, err)
	response, err := client.Do(request)
	must(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(text), response.Header
}

// What comes to a public endpoint is served by the internal one that its policy names, of
// the same account; its Host is the internal name, and the rest says who has asked.
func TestForwardToAnInternalEndpoint(t *testing.T) {
	for _, protocol := range []string{"http/1.1", "h2"} {
		t.Run(protocol, func(t *testing.T) {
			s := start(t)
			s.policed("a", "https://api.internal", "", s.seesItself("mine"))
			s.policed("b", "https://api.internal", "", s.seesItself("theirs"))
			s.policed("a", "https://*.apps.internal:8443", "", s.seesItself("wild"))
			s.policed("a", "https://app."+domain, `on_http_request:
  - expressions: ["req.url.raw_path.startsWith('/wild')"]
    actions: [{type: forward-internal, config: {url: "https://${req.url.path.split('/')[2]}.apps.internal:8443"}}]
  - actions: [{type: add-headers, config: {headers: {x-rule: seen}}}, {type: forward-internal, config: {url: "https://api.internal"}}]
`, "127.0.0.1:1")
			client := s.client(protocol)
			status, text, _ := s.says(t, client, "POST", "https://app."+domain+"/a%2Fb?c", "body")
			if want := "mine POST api.internal/a%2Fb?c body by=app." + domain + " original=app." + domain + " proto=https for=127.0.0.1 seen"; status != 200 || text != want {
				t.Errorf("%d %s\nwant %s", status, text, want)
			}
			if _, text, _ = s.says(t, client, "GET", "https://app."+domain+"/wild/x", ""); !strings.HasPrefix(text, "wild GET x.apps.internal:8443/wild/x ") {
				t.Error(text)
			}
		})
	}
}

// Policies of internal endpoints hold, requests and answers alike, and may send on.
func TestForwardThroughInternalEndpoints(t *testing.T) {
	s := start(t)
	s.policed("a", "https://app."+domain, sends("https://first.internal")+"\non_http_response: [{actions: [{type: add-headers, config: {headers: {x-way: public}}}]}]", "")
	s.policed("a", "https://first.internal", sends("http://second.internal")+"\non_http_response: [{actions: [{type: add-headers, config: {headers: {x-way: first}}}]}]", "")
	s.policed("a", "http://second.internal", "on_http_request: [{expressions: [\"req.url.raw_path == '/no'\"], actions: [{type: deny}]}, {actions: [{type: add-headers, config: {headers: {x-rule: second}}}]}]", s.seesItself("end"))
	client := s.client()
	status, text, header := s.says(t, client, "GET", "https://app."+domain+"/", "")
	if status != 200 || !strings.HasPrefix(text, "end GET second.internal/ ") || !strings.HasSuffix(text, " second") {
		t.Errorf("%d %s", status, text)
	}
	if way := strings.Join(header.Values("X-Way"), ", "); way != "first, public" {
		t.Errorf("the answer's way is %q", way)
	}
	if status, _, _ := s.says(t, client, "GET", "https://app."+domain+"/no", ""); status != http.StatusForbidden {
		t.Errorf("denied by the internal endpoint: %d", status)
	}
}

// A request that nobody can be sent to is answered with a code, or by the rules behind.
func TestForwardFails(t *testing.T) {
	s := start(t)
	s.policed("a", "https://offline."+domain, sends("https://nobody.internal"), "")
	s.policed("a", "https://foreign."+domain, sends("https://theirs.internal"), "")
	s.policed("b", "https://theirs.internal", "", s.seesItself("theirs"))
	s.policed("a", "https://public."+domain, sends("https://foreign."+domain), "")
	s.policed("a", "https://tcp."+domain, sends("tcp://db.internal:5432"), "")
	s.policed("a", "https://loop."+domain, sends("https://loop.internal"), "")
	s.policed("a", "https://loop.internal", sends("https://loop.internal"), "")
	s.policed("a", "https://refused.internal", "", "", func(m *member) { m.refuse = &postern.Error{Code: postern.CodeLinkLost} })
	s.policed("a", "https://refused."+domain, sends("https://refused.internal"), "")
	s.policed("a", "https://on."+domain, `on_http_request:
  - actions: [{type: forward-internal, config: {url: "https://nobody.internal", on_error: continue}}]
  - actions: [{type: custom-response, config: {status_code: 418, body: "${actions.ngrok.forward_internal.error.code}"}}]
`, "")
	client := s.client()
	for name, want := range map[string]struct {
		status int
		code   postern.Code
	}{
		"offline": {502, postern.CodeInternalOffline},
		"foreign": {502, postern.CodeInternalOffline},
		"public":  {502, postern.CodeForwardInvalid},
		"tcp":     {502, postern.CodeForwardInvalid},
		"loop":    {508, postern.CodeForwardLoop},
		"refused": {postern.CodeLinkLost.Entry().Status, postern.CodeLinkLost},
		"on":      {418, postern.CodeInternalOffline},
	} {
		status, text, _ := s.says(t, client, "GET", "https://"+name+"."+domain+"/", "")
		if status != want.status || !strings.Contains(text, string(want.code)) || strings.Contains(text, "nobody") {
			t.Errorf("%s: %d %s, want %d %s", name, status, text, want.status, want.code)
		}
	}
}

// Nothing that a visitor says leads to an internal endpoint past a policy.
func TestVisitorsDoNotReachInternalEndpoints(t *testing.T) {
	s := start(t)
	s.policed("a", "https://api.internal", "", s.seesItself("inside"))
	s.policed("a", "http://api.internal", "", s.seesItself("inside"))
	s.policed("a", "tls://db.internal", "", s.seesItself("inside"))
	s.serve("https://app."+domain, s.seesItself("public"))
	client := s.client("http/1.1")
	for _, host := range []string{"api.internal", "api.internal.", "API.INTERNAL", "api.internal:443", "api.internal:80", "db.internal"} {
		for _, url := range []string{"http://app." + domain + "/", "https://app." + domain + "/"} {
			request, err := http.NewRequest("GET", url, nil)
			must(t, err)
			request.Host = host
			response, err := client.Do(request)
			must(t, err)
			text, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode < 400 || strings.Contains(string(text), "inside") {
				t.Errorf("%s with Host %s: %d %.100s", url, host, response.StatusCode, text)
			}
		}
	}
	for _, name := range []string{"api.internal", "db.internal"} {
		if conn, err := tlsDial(s, name); err == nil {
			_ = conn.Close()
			t.Errorf("TLS by the name %s works", name)
		}
	}
}

func TestForwardWebSocket(t *testing.T) {
	s := start(t)
	s.policed("a", "https://app."+domain, sends("https://chat.internal"), "")
	s.policed("a", "https://chat.internal", "", s.upstream(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		kind, message, err := conn.Read(r.Context())
		if err == nil {
			_ = conn.Write(r.Context(), kind, append([]byte(r.Host+" "), message...))
		}
	}))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "wss://app."+domain+"/", &websocket.DialOptions{HTTPClient: s.client("http/1.1")})
	must(t, err)
	defer conn.CloseNow()
	must(t, conn.Write(ctx, websocket.MessageText, []byte("hello")))
	if _, got, err := conn.Read(ctx); err != nil || string(got) != "chat.internal hello" {
		t.Errorf("%q, %v", got, err)
	}
}

// Connections go on as requests do, also over several internal endpoints.
func TestForwardConnections(t *testing.T) {
	s := start(t)
	at := func(url string) string {
		return fmt.Sprintf("on_tcp_connect: [{actions: [{type: forward-internal, config: {url: %q}}]}]", url)
	}
	inside := s.policed("a", "tcp://db.internal:5432", "", rawUpstream(t, echo))
	s.policed("a", "tls://on.internal", at("tcp://db.internal:5432"), "")
	for i, url := range []string{"tcp://db.internal:5432", "tls://on.internal"} {
		number := ports.For(t, 1).First
		must(t, s.edge.OpenPort(postern.TCP, uint16(number)))
		s.policed("a", fmt.Sprintf("tcp://tcp.%s:%d", domain, number), at(url), "127.0.0.1:1")
		conn := s.dial(fmt.Sprintf("127.0.0.1:%d", number))
		_, err := io.WriteString(conn, "hello")
		must(t, err)
		must(t, conn.CloseWrite())
		if all, err := io.ReadAll(conn); err != nil || string(all) != "hello" {
			t.Errorf("%s: %q, %v", url, all, err)
		}
		if h := inside.header(i); h.Scheme != postern.TCP || h.ClientAddr.String() != conn.LocalAddr().String() || h.PassthroughTLS {
			t.Errorf("%s: header %+v", url, h)
		}
	}
}

func tlsDial(s *site, name string) (*tls.Conn, error) {
	return tls.Dial("tcp", s.https, &tls.Config{InsecureSkipVerify: true, ServerName: name}) //nolint:gosec // whatever certificate there is
}
