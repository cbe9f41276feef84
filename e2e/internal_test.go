package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// withinASecond is how long a change through the API may take to hold for visitors, with
// room for a machine that is busy.
const withinASecond = 2 * time.Second

func (s *server) cloudEndpoints() client.Resources[resource.Endpoint, resource.EndpointCreate, resource.EndpointUpdate] {
	return client.For(s.api(), resource.Endpoints())
}

// cloud makes a cloud endpoint.
func (s *server) cloud(url, policy string) resource.Endpoint {
	s.t.Helper()
	made, err := s.cloudEndpoints().Create(s.t.Context(), resource.EndpointCreate{URL: url, Type: "cloud", TrafficPolicy: policy})
	if err != nil {
		s.t.Fatal(err)
	}
	return made
}

// forwards is a policy that sends all on to an internal endpoint.
func forwards(phase, url string) string {
	return fmt.Sprintf("%s:\n- actions:\n  - type: forward-internal\n    config: {url: %q}\n", phase, url)
}

// insideService answers with what it was asked, and echoes over WebSockets.
func insideService(t *testing.T) string {
	t.Helper()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/socket" {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s%s %s by %s %s", r.Method, r.Host, r.RequestURI, body, r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Forwarded-Proto"))
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for kind, text, err := conn.Read(r.Context()); err == nil; kind, text, err = conn.Read(r.Context()) {
			_ = conn.Write(r.Context(), kind, text)
		}
	}))
	t.Cleanup(service.Close)
	return service.URL
}

// A cloud endpoint, made through the API, sends what comes on to the internal endpoints of
// agents, which nobody else reaches; and is gone with its deletion.
func TestCloudEndpointForwardsToInternalEndpoints(t *testing.T) {
	s := startServer(t)
	if _, err := client.For(s.api(), resource.ReservedDomains()).Create(t.Context(), resource.ReservedDomainCreate{Domain: "cloud." + domain}); err != nil {
		t.Fatal(err)
	}
	if _, url := s.agent("http", insideService(t), "--url", "https://api.internal"); url != "https://api.internal" {
		t.Fatalf("the agent is online at %s", url)
	}
	s.sdkInternal()
	made := s.cloud("https://cloud."+domain, `on_http_request:
- expressions: ["req.url.path.startsWith('/sdk')"]
  actions: [{type: forward-internal, config: {url: "https://sdk.internal"}}]
`+strings.TrimPrefix(forwards("on_http_request", "https://api.internal"), "on_http_request:\n"))
	url := fmt.Sprintf("https://cloud.%s:%d", domain, s.https)
	eventually(t, withinASecond, func() error {
		if response, _, err := tryFetch(s.visitor(), url+"/"); err != nil || response.StatusCode != 200 {
			return fmt.Errorf("not served: %v, %v", response, err)
		}
		return nil
	})
	for _, http2 := range []bool{false, true} {
		visitor := s.policyVisitor(t, http2)
		response, err := visitor.Post(url+"/a?b", "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		want := fmt.Sprintf("POST api.internal/a?b body by cloud.%s:%d https", domain, s.https)
		if string(text) != want || (response.ProtoMajor == 2) != http2 {
			t.Errorf("%s %s, want %s", response.Proto, text, want)
		}
		if _, text, err := tryFetch(visitor, url+"/sdk"); err != nil || text != "the sdk at sdk.internal" {
			t.Errorf("of the SDK: %q, %v", text, err)
		}
	}
	s.socketEchoes("wss" + strings.TrimPrefix(url, "https") + "/socket")
	s.nobodyReaches("api.internal")
	s.listsInternal(made.ID)
	s.restart() // by heart
	eventually(t, 20*time.Second, func() error {
		if response, _, err := tryFetch(s.visitor(), url+"/"); err != nil || response.StatusCode != 200 {
			return fmt.Errorf("after a restart: %v, %v", response, err)
		}
		return nil
	})
	if err := s.cloudEndpoints().Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, withinASecond, func() error {
		if response, _, err := tryFetch(s.visitor(), url+"/"); err != nil || response.StatusCode != 404 {
			return fmt.Errorf("still there: %v, %v", response, err)
		}
		return nil
	})
}

// sdkInternal is an unmodified SDK with an internal endpoint.
func (s *server) sdkInternal() {
	s.t.Helper()
	listener := listen(s.t, s.sdk(), ngrok.WithURL("https://sdk.internal"), ngrok.WithBindings("internal"))
	service := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "the sdk at %s", r.Host) })}
	go func() { _ = service.Serve(listener) }()
	s.t.Cleanup(func() { _ = service.Close() })
}

func (s *server) socketEchoes(url string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: s.policyVisitor(s.t, false)})
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.CloseNow()
	if err := conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		s.t.Fatal(err)
	}
	if _, text, err := conn.Read(ctx); err != nil || string(text) != "hello" {
		s.t.Errorf("%q, %v", text, err)
	}
}

// nobodyReaches an internal name by its Host, or by its TLS name.
func (s *server) nobodyReaches(name string) {
	s.t.Helper()
	for _, url := range []string{fmt.Sprintf("https://%s:%d/", name, s.https), fmt.Sprintf("http://%s:%d/", name, s.http)} {
		if response, text, err := tryFetch(s.visitor(), url); err == nil && response.StatusCode < 400 {
			s.t.Errorf("%s answers: %s", url, text)
		}
	}
	request, _ := http.NewRequest("GET", fmt.Sprintf("https://cloud.%s:%d/", domain, s.https), nil)
	request.Host = name
	response, err := s.visitor().Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusMisdirectedRequest {
		s.t.Errorf("by its Host: %s", response.Status)
	}
}

// listsInternal wants endpoints in the API with their bindings.
func (s *server) listsInternal(cloud string) {
	s.t.Helper()
	bindings := map[string]string{}
	for one, err := range s.cloudEndpoints().List(s.t.Context()) {
		if err != nil {
			s.t.Fatal(err)
		}
		bindings[one.URL+" "+one.Type] = strings.Join(one.Bindings, ",")
		if one.ID == cloud && !slices.Equal(one.Bindings, []string{"public"}) {
			s.t.Errorf("the cloud endpoint's bindings: %v", one.Bindings)
		}
	}
	for _, name := range []string{"api", "sdk"} {
		if bindings["https://"+name+".internal ephemeral"] != "internal" {
			s.t.Errorf("listed: %v", bindings)
		}
	}
}

// A tcp cloud endpoint sends connections on to an agent's internal endpoint: what is
// listed, what conflicts, and what remains of a port that is given up.
func TestCloudEndpointForwardsConnections(t *testing.T) {
	s := startServer(t)
	s.agent("tcp", echoListener(t), "--url", "tcp://db.internal:5432", "--binding", "internal")
	reserved, err := client.For(s.api(), resource.ReservedAddrs()).Create(t.Context(), resource.ReservedAddrCreate{})
	if err != nil {
		t.Fatal(err)
	}
	made := s.cloud("tcp://"+reserved.Addr, forwards("on_tcp_connect", "tcp://db.internal:5432"))
	_, text, _ := net.SplitHostPort(reserved.Addr)
	port, _ := strconv.Atoi(text)
	eventually(t, withinASecond, func() error { return echoes("tcp", port, "hello") })

	s.upgrade() // which hands the port over
	eventually(t, 20*time.Second, func() error { return echoes("tcp", port, "hello") })

	_, err = s.cloudEndpoints().Create(t.Context(), resource.EndpointCreate{URL: "tcp://db.internal:5432", Type: "cloud", TrafficPolicy: forwards("on_tcp_connect", "tcp://x.internal:1")})
	if err == nil || !strings.Contains(err.Error(), "ERR_NGROK_18009") {
		t.Errorf("a cloud endpoint where an agent is: %v", err)
	}
	if err := s.cloudEndpoints().Delete(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, withinASecond, func() error {
		if conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			_ = conn.Close()
			return errors.New("the port is still open")
		}
		return nil
	})
}
