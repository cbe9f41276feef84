package e2e_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.ngrok.com/ngrok/v2"
)

// These tests run golang.ngrok.com/ngrok/v2 as it is published: only the address
// and the CA that it is given are ours.

func (s *server) sdk(options ...ngrok.AgentOption) ngrok.Agent {
	s.t.Helper()
	agent, err := ngrok.NewAgent(append([]ngrok.AgentOption{
		ngrok.WithAgentConnectURL(s.connectURL()),
		ngrok.WithAgentConnectCAs(s.pool()),
		ngrok.WithAuthtoken(s.authtoken),
	}, options...)...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = agent.Disconnect() })
	return agent
}

func sdkContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func listen(t *testing.T, agent ngrok.Agent, options ...ngrok.EndpointOption) ngrok.EndpointListener {
	t.Helper()
	listener, err := agent.Listen(sdkContext(t), options...)
	if err != nil {
		t.Fatalf("listen: %v", err)
	}
	return listener
}

// serveText answers every request on the listener with text and the headers that
// the edge is asked about.
func serveText(listener net.Listener, text string) {
	go http.Serve(listener, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:errcheck // ends with the listener
		w.Header().Set("Seen-Host", r.Host)
		w.Header().Set("Seen-For", r.Header.Get("X-Forwarded-For"))
		w.Header().Set("Seen-Proto", r.Header.Get("X-Forwarded-Proto"))
		w.Header().Set("Seen-Authorization", r.Header.Get("Authorization"))
		io.WriteString(w, text)
	}))
}

func TestSDKServesAPage(t *testing.T) {
	s := startServer(t)
	listener := listen(t, s.sdk())
	serveText(listener, "from behind the firewall")
	address := listener.URL()
	if address.Scheme != "https" || !strings.HasSuffix(address.Hostname(), "."+domain) {
		t.Fatalf("assigned URL %s, want https://<name>.%s", address, domain)
	}

	request, _ := http.NewRequest("GET", address.String()+"/x", nil)
	request.Header.Set("X-Forwarded-For", "6.6.6.6")
	request.Header.Set("Authorization", "Bearer theirs")
	response, err := s.visitor().Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if string(body) != "from behind the firewall" {
		t.Fatalf("%s %q", response.Status, body)
	}
	for name, want := range map[string]string{"Seen-Host": address.Host, "Seen-For": "127.0.0.1",
		"Seen-Proto": "https", "Seen-Authorization": "Bearer theirs"} {
		if got := response.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestSDKNamesOfOnesOwn(t *testing.T) {
	s := startServer(t)
	agent := s.sdk()
	for _, address := range []string{"https://site." + domain, "http://plain." + domain} {
		serveText(listen(t, agent, ngrok.WithURL(address)), address)
		visited := fmt.Sprintf("%s:%d", address, s.https)
		if strings.HasPrefix(address, "http:") {
			visited = fmt.Sprintf("%s:%d", address, s.http)
		}
		if _, body := fetch(t, s.visitor(), visited); body != address {
			t.Errorf("%s answered %q", visited, body)
		}
	}
}

func TestSDKTCP(t *testing.T) {
	s := startServer(t)
	listener := listen(t, s.sdk(), ngrok.WithURL("tcp://"))
	go echoAll(listener)
	conn, err := net.Dial("tcp", "127.0.0.1:"+listener.URL().Port())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "ping\n"); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "ping\n" {
		t.Fatalf("echo %q %v", line, err)
	}
}

func echoAll(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			io.Copy(conn, conn) //nolint:errcheck // the visitor judges
		}()
	}
}

func TestSDKTLSEndsAtTheAgent(t *testing.T) {
	s := startServer(t)
	certificate, pool := selfSigned(t, "vault."+domain)
	listener := listen(t, s.sdk(), ngrok.WithURL("tls://vault."+domain),
		ngrok.WithAgentTLSTermination(&tls.Config{Certificates: []tls.Certificate{certificate}}))
	go echoAll(listener)
	conn, err := tls.Dial("tcp", s.connectURL(), &tls.Config{ServerName: "vault." + domain, RootCAs: pool})
	if err != nil {
		t.Fatalf("the visitor must see the agent's certificate: %v", err)
	}
	defer conn.Close()
	io.WriteString(conn, "secret\n")
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "secret\n" {
		t.Fatalf("echo %q %v", line, err)
	}
}

func TestSDKProxyProtocol(t *testing.T) {
	for _, version := range []ngrok.ProxyProtoVersion{ngrok.ProxyProtoV1, ngrok.ProxyProtoV2} {
		t.Run(string(version), func(t *testing.T) {
			s := startServer(t)
			upstream, lines := proxyHeaders(t)
			forwarder, err := s.sdk().Forward(sdkContext(t), ngrok.WithUpstream("tcp://"+upstream,
				ngrok.WithUpstreamProxyProto(version)), ngrok.WithURL("tcp://"))
			if err != nil {
				t.Fatal(err)
			}
			conn, err := net.Dial("tcp", "127.0.0.1:"+forwarder.URL().Port())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			io.WriteString(conn, "x")
			select {
			case got := <-lines:
				if got != conn.LocalAddr().String() {
					t.Fatalf("the upstream was told %s, the visitor is %s", got, conn.LocalAddr())
				}
			case <-time.After(10 * time.Second):
				t.Fatal("no PROXY header arrived")
			}
		})
	}
}

func TestSDKWebSocket(t *testing.T) {
	s := startServer(t)
	listener := listen(t, s.sdk(), ngrok.WithURL("https://ws."+domain))
	go http.Serve(listener, webSocketEcho()) //nolint:errcheck // ends with the listener
	echoOverWebSocket(t, s, fmt.Sprintf("https://ws.%s:%d/", domain, s.https))
}

func webSocketEcho() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		conn.SetReadLimit(1 << 20)
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			if conn.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
}

func echoOverWebSocket(t *testing.T, s *server, address string) {
	t.Helper()
	transport := s.transport()
	transport.ForceAttemptHTTP2 = false
	defer transport.CloseIdleConnections()
	conn, _, err := websocket.Dial(t.Context(), address, &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	for _, message := range []string{"hello", strings.Repeat("long ", 20000)} {
		if err := conn.Write(t.Context(), websocket.MessageText, []byte(message)); err != nil {
			t.Fatal(err)
		}
		_, got, err := conn.Read(t.Context())
		if err != nil || string(got) != message {
			t.Fatalf("echo of %d bytes: %d bytes, %v", len(message), len(got), err)
		}
	}
	if err := conn.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Fatalf("close handshake: %v", err)
	}
}

func TestSDKPooling(t *testing.T) {
	s := startServer(t)
	address := "https://pool." + domain
	for _, name := range []string{"one", "two"} {
		serveText(listen(t, s.sdk(), ngrok.WithURL(address), ngrok.WithPoolingEnabled(true)), name)
	}
	seen := map[string]bool{}
	for range 20 {
		_, body := fetch(t, s.visitor(), fmt.Sprintf("%s:%d", address, s.https))
		seen[body] = true
	}
	if !seen["one"] || !seen["two"] {
		t.Errorf("answers came from %v, want both agents", seen)
	}
	_, err := s.sdk().Listen(sdkContext(t), ngrok.WithURL(address))
	wantCode(t, err, "ERR_NGROK_334")
}

func TestSDKForwarders(t *testing.T) {
	s := startServer(t)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Header.Get("X-Forwarded-Proto"), r.URL.Path)
	})
	plain, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	defer plain.Close()
	defer secure.Close()
	for target, options := range map[string][]ngrok.UpstreamOption{
		plain.URL: nil,
		secure.URL: {ngrok.WithUpstreamProtocol("http2"),
			ngrok.WithUpstreamTLSClientConfig(secure.Client().Transport.(*http.Transport).TLSClientConfig)},
	} {
		events := make(chan ngrok.Event, 100)
		agent := s.sdk(ngrok.WithEventHandler(func(e ngrok.Event) {
			select {
			case events <- e:
			default:
			}
		}))
		forwarder, err := agent.Forward(sdkContext(t), ngrok.WithUpstream(target, options...))
		if err != nil {
			t.Fatal(err)
		}
		if response, body := fetch(t, s.visitor(), forwarder.URL().String()+"/path"); body != "https /path" {
			t.Errorf("%s: %s %q", target, response.Status, body)
		}
		wantEvents(t, events, ngrok.EventTypeAgentConnectSucceeded, ngrok.EventTypeConnectionOpened, ngrok.EventTypeHTTPRequestComplete)
	}
}

func wantEvents(t *testing.T, events <-chan ngrok.Event, wanted ...ngrok.EventType) {
	t.Helper()
	missing := map[ngrok.EventType]bool{}
	for _, kind := range wanted {
		missing[kind] = true
	}
	limit := time.After(10 * time.Second)
	for len(missing) > 0 {
		select {
		case event := <-events:
			delete(missing, event.EventType())
		case <-limit:
			t.Fatalf("events that did not come: %v", missing)
		}
	}
}

func TestSDKErrorsHaveCodes(t *testing.T) {
	s := startServer(t)
	for address, code := range map[string]string{
		"https://bad!name." + domain:    "ERR_NGROK_326",
		"https://a." + domain + "/path": "ERR_NGROK_9037",
		"https://elsewhere.example":     "ERR_NGROK_319",
		"https://a." + domain + "?q=1":  "ERR_NGROK_9037",
	} {
		_, err := s.sdk().Listen(sdkContext(t), ngrok.WithURL(address))
		wantCode(t, err, code)
	}
	_, err := s.sdk().Listen(sdkContext(t), ngrok.WithTrafficPolicy(`{"on_http_request":[{"actions":[{"type":"oauth"}]}]}`))
	wantCode(t, err, "ERR_NGROK_2201") // an action that nobody does is not passed over
}

func TestSDKBadTokenIsRefused(t *testing.T) {
	s := startServer(t)
	for token, code := range map[string]string{
		"nonsense": "ERR_NGROK_105",
		"2abcdefghijklmnopqrstuvwxyz_1234567890123456789ab": "ERR_NGROK_107",
	} {
		s.refusesSDK(token, code)
		if s.process.exited() {
			t.Fatal("the server ended")
		}
	}
}

// refusesSDK wants that an agent with the token is refused. The SDK retries for ever; its
// events say why.
func (s *server) refusesSDK(token, code string) {
	s.t.Helper()
	ctx, cancel := context.WithCancelCause(sdkContext(s.t))
	defer cancel(nil)
	agent := s.sdk(ngrok.WithAuthtoken(token), ngrok.WithEventHandler(func(e ngrok.Event) {
		if gone, ok := e.(*ngrok.EventAgentDisconnected); ok && gone.Error != nil {
			cancel(gone.Error)
		}
	}))
	if err := agent.Connect(ctx); err == nil {
		s.t.Fatalf("token %q was admitted", token)
	}
	if why := context.Cause(ctx); why == nil || !strings.Contains(why.Error(), code) {
		s.t.Errorf("token %q: %v, want %s", token, why, code)
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var coded ngrok.Error
	if !errors.As(err, &coded) || coded.Code() != code {
		t.Errorf("error %v, want %s", err, code)
	}
}

// B5-3: the names come back within a second of the restart.
func TestSDKKeepsItsNamesOverAServerCrash(t *testing.T) {
	s := startServer(t)
	agent := s.sdk()
	assigned := listen(t, agent)
	serveText(assigned, "assigned")
	given := listen(t, agent, ngrok.WithURL("https://given."+domain))
	serveText(given, "given")
	tcp := listen(t, agent, ngrok.WithURL("tcp://"))
	go echoAll(tcp)
	fetch(t, s.visitor(), assigned.URL().String())

	s.restart()
	within := time.Second
	awaitBody(t, s.visitor(), assigned.URL().String(), "assigned", within)
	awaitBody(t, s.visitor(), given.URL().String(), "given", within)
	eventually(t, within, func() error { return pingTCP(tcp.URL()) })
}

func pingTCP(address *url.URL) error {
	conn, err := net.Dial("tcp", "127.0.0.1:"+address.Port())
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	if _, err := io.WriteString(conn, "!"); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}
