package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// apiAddress reads from the log where an agent's API is, as wrappers do. What it says
// can be connected to at once.
func apiAddress(t *testing.T, p *process) string {
	t.Helper()
	p.waitFor(`msg="starting web service"`, 20*time.Second)
	_, rest, _ := strings.Cut(p.output(), `msg="starting web service" obj=web addr=`)
	address, _, _ := strings.Cut(rest, " ")
	return "http://" + address
}

// api asks an agent's API and decodes what it answers into the answer, if one is given.
func api(t *testing.T, client *http.Client, method, url, body string, headers map[string]string, into any) int {
	t.Helper()
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatalf("%s %s: %d %s", method, url, response.StatusCode, text)
		}
	}
	return response.StatusCode
}

// shownTunnel is what programs read of a tunnel.
type shownTunnel struct {
	Name, URI string
	PublicURL string `json:"public_url"`
	Proto     string
	Config    struct{ Addr string }
	Metrics   struct{ HTTP struct{ Count int } }
}

type tunnelList struct{ Tunnels []shownTunnel }

type requestList struct {
	Requests []struct {
		ID       string
		Request  struct{ Method, URI, Raw string }
		Response *struct {
			StatusCode int `json:"status_code"`
		}
	}
}

// S1-25, S1-26, S1-27, S1-30, S1-40: an agent that starts with nothing is driven by its
// API, captures and replays, and knows after a restart what it was told to keep.
func TestLocalAPI(t *testing.T) {
	var hits atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "hit %d: %s", hits.Add(1), body)
	}))
	defer service.Close()
	s := startServer(t)
	p := s.person().loggedIn(s)
	configuration := p.write("ngrok.yml", "web_addr: 127.0.0.1:0\n")
	start := func() (*process, string) {
		agent := startProcess(t, "agent", p.environment, posternBinary, "start", "--none", "--log=stdout", "--log-format=logfmt", "--config="+configuration)
		agent.waitFor(`msg="tunnel session started"`, 20*time.Second)
		return agent, apiAddress(t, agent)
	}
	agent, base := start()
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()

	var made shownTunnel
	body := fmt.Sprintf(`{"name":"my hook","proto":"http","addr":%q,"persist":true}`, service.URL)
	if status := api(t, client, "POST", base+"/api/tunnels", body, nil, &made); status != 201 || made.Proto != "https" || made.Config.Addr != service.URL {
		t.Fatalf("%d %+v", status, made)
	}
	visitor := s.visitor()
	response, err := visitor.Post(made.PublicURL+"/hook?a=1", "text/plain", bytes.NewReader([]byte("payload")))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if string(text) != "hit 1: payload" {
		t.Fatalf("%d %s", response.StatusCode, text)
	}

	var captured requestList
	eventually(t, 5*time.Second, func() error { // the answer's end reaches the visitor first
		captured = requestList{}
		api(t, client, "GET", base+"/api/requests/http?limit=5", "", nil, &captured)
		if len(captured.Requests) != 1 || captured.Requests[0].Response == nil || captured.Requests[0].Request.URI != "/hook?a=1" {
			return fmt.Errorf("captured: %+v", captured)
		}
		return nil
	})
	if status := api(t, client, "POST", base+"/api/requests/http", `{"id":"`+captured.Requests[0].ID+`"}`, nil, nil); status != 204 || hits.Load() != 2 {
		t.Errorf("the replay: %d, %d hits", status, hits.Load())
	}
	var again shownTunnel
	if api(t, client, "GET", base+made.URI, "", nil, &again); again.Metrics.HTTP.Count != 2 {
		t.Errorf("%+v", again)
	}

	for _, host := range []string{"evil.example", "foo.localhost", "localhost.evil.example", "127.0.0.1.evil.example", "192.168.1.5", "0.0.0.0", "2130706433", "127.1", "[::2]", "localhost@evil.example", "app." + domain, "a"} {
		request, err := http.NewRequest("GET", base+"/api/tunnels", nil)
		if err != nil {
			t.Fatal(err)
		}
		request.Host = host
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != 401 || strings.Contains(string(text), "public_url") {
			t.Errorf("Host %s: %d %s", host, response.StatusCode, text)
		}
	}

	agent.end()
	agent, base = start()
	var list tunnelList
	eventually(t, 10*time.Second, func() error {
		api(t, client, "GET", base+"/api/tunnels", "", nil, &list)
		if len(list.Tunnels) != 2 || list.Tunnels[0].PublicURL != made.PublicURL {
			return fmt.Errorf("after a restart: %+v", list)
		}
		return nil
	})
	for _, tunnel := range list.Tunnels {
		if status := api(t, client, "DELETE", base+tunnel.URI, "{}", nil, nil); status != 204 {
			t.Errorf("DELETE %s: %d", tunnel.URI, status)
		}
	}
	agent.end()
	_, base = start()
	if api(t, client, "GET", base+"/api/tunnels", "", nil, &list); len(list.Tunnels) != 0 {
		t.Errorf("after it was stopped: %+v", list)
	}
}

// S1-28, S1-29, S1-36: the API through an endpoint of its own, with the token and not
// without; a raw endpoint does not let strangers pass for local programs.
func TestLocalAPIThroughAnEndpoint(t *testing.T) {
	s := startServer(t)
	p := s.person().loggedIn(s)
	port := freePorts(t, 1)[0]
	const token = "a-token-that-nobody-guesses"
	configuration := p.write("ngrok.yml", fmt.Sprintf("version: \"2\"\nweb_addr: 127.0.0.1:%d\nweb_token: %s\ntunnels:\n  agent-api: {proto: http, domain: agent.%s, addr: %d, inspect: false}\n", port, token, domain, port))
	agent := startProcess(t, "agent", p.environment, posternBinary, "start", "agent-api", "--log=stdout", "--log-format=logfmt", "--config="+configuration)
	agent.waitFor(`msg="started tunnel"`, 20*time.Second)
	local, visitor := apiAddress(t, agent), s.visitor()
	public := fmt.Sprintf("https://agent.%s:%d", domain, s.https)

	response, text := fetch(t, visitor, public+"/api/tunnels")
	if response.StatusCode != 401 || !strings.Contains(text, "Authorization: Bearer TOKEN") {
		t.Errorf("without the token: %d %s", response.StatusCode, text)
	}
	allowed := map[string]string{"Authorization": "Bearer " + token}
	var list tunnelList
	if status := api(t, visitor, "GET", public+"/api/tunnels", "", allowed, &list); status != 200 || len(list.Tunnels) != 1 {
		t.Errorf("with the token: %d %+v", status, list)
	}
	client := &http.Client{Timeout: 30 * time.Second}
	defer client.CloseIdleConnections()
	if status := api(t, client, "GET", local+"/api/tunnels", "", nil, &list); status != 200 {
		t.Errorf("from this machine: %d", status)
	}
	body := fmt.Sprintf(`{"name":"passthrough","proto":"tcp","addr":"%d"}`, port)
	var raw shownTunnel
	if status := api(t, visitor, "POST", public+"/api/tunnels", body, allowed, &raw); status != 201 || raw.Proto != "tcp" {
		t.Fatalf("a tunnel from outside: %d %+v", status, raw)
	}
	_, address, _ := strings.Cut(raw.PublicURL, "://")
	request, err := http.NewRequest("GET", "http://127.0.0.1"+address[strings.LastIndexByte(address, ':'):]+"/api/tunnels", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "localhost"
	refused, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = refused.Body.Close()
	if refused.StatusCode != 401 {
		t.Errorf("a stranger who says that he is local: %d", refused.StatusCode)
	}
	if status := api(t, client, "GET", local+"/api/tunnels", "", nil, nil); status != 401 {
		t.Errorf("while nobody can tell who is local: %d", status)
	}
	if status := api(t, client, "DELETE", local+raw.URI, "", allowed, nil); status != 204 {
		t.Errorf("%d", status)
	}
	if status := api(t, client, "GET", local+"/api/tunnels", "", nil, nil); status != 200 {
		t.Errorf("once it is gone: %d", status)
	}
}

// S3-5: an address that was asked for and is taken ends the agent, in words that
// wrappers look for.
func TestLocalAPIAddressTaken(t *testing.T) {
	taken := httptest.NewServer(http.NotFoundHandler())
	defer taken.Close()
	p := newPerson(t)
	address := taken.Listener.Addr().String()
	configuration := p.write("ngrok.yml", "authtoken: tok_secret\nconnect_url: 127.0.0.1:1\nweb_addr: "+address+"\n")
	agent := startProcess(t, "agent", p.environment, posternBinary, "start", "--none", "--log=stdout", "--log-format=logfmt", "--config="+configuration)
	if status := agent.wait(10 * time.Second); status != 1 {
		t.Errorf("exit status %d", status)
	}
	if !strings.Contains(agent.output(), "lvl=crit msg=\"command failed\" err=\"listen tcp "+address+": bind: address already in use") {
		t.Error(agent.output())
	}
}
