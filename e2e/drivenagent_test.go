package e2e_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// These tests do what the packages of Python and Java do that start an agent, in our
// own words: which lines they wait for, what they ask, what they compare.

// started is an agent that was started with no endpoint, for its API.
type started struct {
	typed
	t      *testing.T
	web    string // host:port of the API
	client *http.Client
}

// startNone starts an agent with a configuration file and waits for its API's line.
func (p *person) startNone(file string) *started {
	p.t.Helper()
	web := fmt.Sprintf("127.0.0.1:%d", freePorts(p.t, 1)[0])
	path := p.write("work/ngrok.yml", file+"\nweb_addr: "+web+"\n")
	a := &started{typed: p.types("ngrok start --none --log=stdout --config=" + path), t: p.t, web: web, client: &http.Client{Timeout: 20 * time.Second}}
	p.t.Cleanup(a.client.CloseIdleConnections)
	a.waitFor("addr="+web, 10*time.Second)
	return a
}

// ask sends a request with a JSON body, where there is one, and decodes the answer's.
func (a *started) ask(method, path, body string, answer any) (status int) {
	a.t.Helper()
	var reader io.Reader
	if body != "" {
		reader = strings.NewReader(body)
	}
	request, err := http.NewRequestWithContext(a.t.Context(), method, "http://"+a.web+path, reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if body != "" {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := a.client.Do(request)
	if err != nil {
		a.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	if answer != nil {
		if err := json.Unmarshal(text, answer); err != nil {
			a.t.Errorf("%s %s: %s %q: %v", method, path, response.Status, text, err)
		}
	}
	return response.StatusCode
}

// apiFailure is how the API says what is wrong.
type apiFailure struct {
	ErrorCode  int    `json:"error_code"`
	StatusCode int    `json:"status_code"`
	Msg        string `json:"msg"`
	Details    struct {
		Err  string `json:"err"`
		Name string `json:"name"`
	} `json:"details"`
}

func TestAgentStartedByAProgram(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.person().startNone("version: '2'\nregion: us\nauthtoken: " + s.authtoken)
	var list apiTunnels
	if status := a.ask("GET", "/api/tunnels", "", &list); status != 200 || list.Tunnels == nil || len(list.Tunnels) != 0 || list.URI != "/api/tunnels" {
		t.Errorf("at once the API answers %d %+v", status, list)
	}
	a.waitFor(`msg="tunnel session started"`, 10*time.Second)
	linesInOrder(t, a.output(), `msg="starting web service" obj=web`, `msg="client session established"`, `msg="tunnel session started"`)

	for _, want := range []struct{ body, url, addr string }{
		{`{"name":"number","proto":"http","addr":5000,"schemes":["https"]}`, "https://", "http://localhost:5000"},
		{`{"name":"text","proto":"http","addr":"5000","bind_tls":true,"inspect":"true"}`, "https://", "http://localhost:5000"},
		{`{"name":"ssh","proto":"tcp","addr":"22"}`, "tcp://", "localhost:22"},
		{`{"name":"secure","proto":"tls","addr":443,"domain":"secure.postern.test"}`, "tls://", "tls://localhost:443"},
		{`{"name":"plain","proto":"tls","addr":80,"domain":"plain.postern.test"}`, "tls://", "localhost:80"},
	} {
		var tunnel apiTunnel
		if status := a.ask("POST", "/api/tunnels", want.body, &tunnel); status != 201 {
			t.Errorf("POST %s: %d", want.body, status)
		}
		if !strings.HasPrefix(tunnel.PublicURL, want.url) || tunnel.Config.Addr != want.addr || tunnel.URI != "/api/tunnels/"+tunnel.Name || len(tunnel.ID) != 32 {
			t.Errorf("POST %s: %+v", want.body, tunnel)
		}
		if status := a.ask("DELETE", tunnel.URI, "{}", nil); status != 204 {
			t.Errorf("DELETE %s: %d", tunnel.URI, status)
		}
	}
	a.bothURLs()
	a.refusals(s)
	if text := a.errors.String(); text != "" {
		t.Errorf("standard error has %q", text)
	}
	a.signal(syscall.SIGTERM)
	if code := a.wait(10 * time.Second); code != 0 {
		t.Errorf("after SIGTERM the exit code is %d", code)
	}
	linesInOrder(t, a.output(), `msg="received stop request" obj=app`, `msg="session closing"`)
}

// bothURLs takes an https and an http URL online with one request, and off one by one.
func (a *started) bothURLs() {
	a.t.Helper()
	var tunnel, twin apiTunnel
	a.ask("POST", "/api/tunnels", `{"name":"my app","proto":"http","addr":"8000","bind_tls":"both","port":1,"configPath":"x"}`, &tunnel)
	if tunnel.Name != "my app" || tunnel.Proto != "https" || tunnel.URI != "/api/tunnels/my%20app" {
		a.t.Errorf("started %+v", tunnel)
	}
	for _, path := range []string{"/api/tunnels/my%20app%20%28http%29", "/api/tunnels/my+app+(http)"} {
		if status := a.ask("GET", path, "", &twin); status != 200 || twin.Name != "my app (http)" || twin.Proto != "http" {
			a.t.Errorf("GET %s: %d %+v", path, status, twin)
		}
	}
	if twin.URI != "/api/tunnels/my%20app%20%28http%29" {
		a.t.Errorf("the http URL's uri is %q", twin.URI)
	}
	for _, uri := range []string{tunnel.URI, twin.URI} {
		if status := a.ask("DELETE", uri, "", nil); status != 204 {
			a.t.Errorf("DELETE %s: %d", uri, status)
		}
	}
	var failure apiFailure
	if status := a.ask("GET", twin.URI, "", &failure); status != 404 || failure.ErrorCode != 100 || failure.Details.Name != "my app (http)" {
		a.t.Errorf("after DELETE: %d %+v", status, failure)
	}
}

// refusals are compared word by word by programs.
func (a *started) refusals(s *server) {
	a.t.Helper()
	for body, want := range map[string]apiFailure{
		`{"name":"a","proto":"foo","addr":80}`:                                 {102, 400, "invalid tunnel configuration", detail("Invalid protocol name 'foo'")},
		`{"name":"a","proto":"http"}`:                                          {102, 400, "invalid tunnel configuration", detail("Tunnel 'a' must specify 'addr' to tunnel to")},
		`{"proto":"http","addr":80}`:                                           {102, 400, "invalid tunnel configuration", detail("Tunnel declaration must contain a 'name'")},
		`{"name":"a","proto":"http","addr":80,"bind_tls":"zzz"}`:               {102, 400, "invalid tunnel configuration", detail("HTTP tunnel 'a' specifies invalid 'bind_tls': zzz")},
		`{"name":"a","proto":"http","addr":80,"hostname":"elsewhere.example"}`: {103, 502, "failed to start tunnel", detail("ERR_NGROK_319")},
		`{"name":"a","proto":"http","addr":80`:                                 {0, 400, "failed to deserialize request parameter", detail("")},
	} {
		var got apiFailure
		if status := a.ask("POST", "/api/tunnels", body, &got); status != want.StatusCode || got.StatusCode != want.StatusCode || got.ErrorCode != want.ErrorCode ||
			got.Msg != want.Msg || !strings.Contains(got.Details.Err, want.Details.Err) {
			a.t.Errorf("POST %s: %d %+v, want %+v", body, status, got, want)
		}
	}
	response, err := a.client.Post("http://"+a.web+"/api/tunnels", "application/x-www-form-urlencoded", strings.NewReader("name=a"))
	if err != nil || response.StatusCode != http.StatusUnsupportedMediaType {
		a.t.Errorf("a form: %v %v", response, err)
	}
}

func detail(text string) (d struct {
	Err  string `json:"err"`
	Name string `json:"name"`
}) {
	d.Err = text
	return d
}

// linesInOrder checks that a log has lines with the parts, one after the other.
func linesInOrder(t *testing.T, log string, parts ...string) {
	t.Helper()
	rest := log
	for _, part := range parts {
		_, after, found := strings.Cut(rest, part)
		if !found {
			t.Errorf("the log lacks %q behind the lines before it:\n%s", part, log)
			return
		}
		rest = after
	}
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "t=") || !strings.Contains(line, " lvl=") || !strings.Contains(line, " msg=") {
			t.Errorf("a line that is no log line: %q", line)
		}
	}
}

// A program of Java counts the header fields, the status line being one of them.
func TestAPIAnswersWithThreeHeaders(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	a := s.person().startNone("authtoken: " + s.authtoken)
	for _, request := range []string{"GET /api/tunnels", "GET /api/status", "GET /api", "GET /api/nothing", "DELETE /api/tunnels/none"} {
		conn, err := net.Dial("tcp", a.web)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: %s\r\n\r\n", request, a.web)
		answer := readHead(t, conn)
		conn.Close()
		var names []string
		for _, line := range answer[1:] {
			name, _, _ := strings.Cut(line, ":")
			names = append(names, name)
		}
		slices.Sort(names)
		if !slices.Equal(names, []string{"Content-Length", "Content-Type", "Date"}) {
			t.Errorf("%s: %q", request, answer)
		}
	}
}

func readHead(t *testing.T, conn net.Conn) (lines []string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	reader := bufio.NewReader(conn)
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			return lines
		}
		lines = append(lines, line)
	}
}

// S1-26: what visitors asked is there, newest first, ids in the order of time, whole
// messages; a replay reaches the service.
func TestCapturedRequestsAndReplay(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	seen := make(chan string, 10)
	port := service(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- r.Method + " " + r.RequestURI + " " + string(body)
		w.WriteHeader(http.StatusCreated)
		io.WriteString(w, "made")
	})
	a := s.person().startNone("authtoken: " + s.authtoken)
	a.waitFor(`msg="tunnel session started"`, 10*time.Second)
	var tunnel apiTunnel
	a.ask("POST", "/api/tunnels", `{"name":"app","proto":"http","addr":"`+port+`","bind_tls":true}`, &tunnel)
	visitor := s.visitor()
	for n := range 3 {
		response, err := visitor.Post(fmt.Sprintf("%s/order/%d?x=y", tunnel.PublicURL, n), "text/plain", strings.NewReader("body"))
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, response.Body) //nolint:errcheck // its arrival is what counts
		response.Body.Close()
		<-seen
	}
	requests := a.captured("?limit=3", 3)
	for n, r := range requests {
		if r.TunnelName != "app" || r.Request.URI != fmt.Sprintf("/order/%d?x=y", 2-n) || r.Request.Method != "POST" || r.Duration <= 0 ||
			r.Response == nil || r.Response.StatusCode != 201 || !bytes.HasSuffix(r.Request.Raw, []byte("\r\n\r\nbody")) || !bytes.HasSuffix(r.Response.Raw, []byte("\r\n\r\nmade")) {
			t.Errorf("request %d is %+v", n, r)
		}
		if n > 0 && r.ID >= requests[n-1].ID {
			t.Errorf("ids do not sort by time: %s is older than %s", r.ID, requests[n-1].ID)
		}
	}
	if status := a.ask("POST", "/api/requests/http", `{"id":"`+requests[2].ID+`","tunnel_name":"app","tunnelName":"x"}`, nil); status != 204 {
		t.Errorf("a replay answers %d", status)
	}
	select {
	case got := <-seen:
		if got != "POST /order/0?x=y body" {
			t.Errorf("the replay came as %s", got)
		}
	case <-time.After(5 * time.Second):
		t.Error("the replay did not come")
	}
	var failure apiFailure
	if status := a.ask("POST", "/api/requests/http", `{"id":"none"}`, &failure); status != 404 || failure.ErrorCode != 106 {
		t.Errorf("a replay of nothing: %d %+v", status, failure)
	}
	if status := a.ask("GET", "/api/requests/http?limit=many", "", nil); status != 400 {
		t.Errorf("a limit that is no number: %d", status)
	}
	if status := a.ask("DELETE", "/api/requests/http", "", nil); status != 204 {
		t.Errorf("clearing answers %d", status)
	}
	a.captured("", 0)
}

type apiRequest struct {
	ID         string `json:"id"`
	TunnelName string `json:"tunnel_name"`
	Duration   int64  `json:"duration"`
	Request    struct {
		Method string `json:"method"`
		URI    string `json:"uri"`
		Raw    []byte `json:"raw"`
	} `json:"request"`
	Response *struct {
		StatusCode int    `json:"status_code"`
		Raw        []byte `json:"raw"`
	} `json:"response"`
}

// captured waits until the API lists n requests.
func (a *started) captured(query string, n int) []apiRequest {
	a.t.Helper()
	var list struct {
		URI      string       `json:"uri"`
		Requests []apiRequest `json:"requests"`
	}
	eventually(a.t, 5*time.Second, func() error {
		list.Requests = nil
		a.ask("GET", "/api/requests/http"+query, "", &list)
		if len(list.Requests) != n {
			return fmt.Errorf("%d requests are listed, want %d", len(list.Requests), n)
		}
		return nil
	})
	return list.Requests
}

// Before the first session: shape errors first, then the text that programs wait out.
func TestAPIBeforeTheFirstSession(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.environment = append(p.environment, fmt.Sprintf("POSTERN_CONNECT_URL=127.0.0.1:%d", freePorts(t, 1)[0]))
	a := p.startNone("authtoken: some_token")
	var failure apiFailure
	if status := a.ask("POST", "/api/tunnels", `{"name":"a","proto":"http","addr":80}`, &failure); status != 503 || failure.ErrorCode != 104 ||
		failure.Msg != "ngrok is not yet ready to start tunnels" || failure.Details.Err != "a successful ngrok tunnel session has not yet been established" {
		t.Errorf("%d %+v", status, failure)
	}
	if status := a.ask("POST", "/api/tunnels", `{"name":"a","proto":"nonsense","addr":80}`, &failure); status != 400 || failure.ErrorCode != 102 {
		t.Errorf("%d %+v", status, failure)
	}
	var status struct {
		Status string `json:"status"`
	}
	if a.ask("GET", "/api/status", "", &status); status.Status == "online" || status.Status == "" {
		t.Errorf("the status is %q", status.Status)
	}
}

// What is wrong at the start is on standard output for long enough to be read by a
// program that looks at the exit first.
func TestStartErrorsCanBeRead(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	taken := echoListener(t)
	for what, test := range map[string]struct{ file, want string }{
		"a bad token":   {"authtoken: nonsense", "ERR_NGROK_105"},
		"a taken port":  {"authtoken: " + s.authtoken + "\nweb_addr: " + taken, taken + ": bind: address already in use"},
		"a broken file": {"authtoken: [", "ngrok.yml"},
	} {
		p := s.person()
		path := p.write("ngrok.yml", test.file+"\n")
		agent := p.types("ngrok start --none --log=stdout --config=" + path)
		var crit string
		eventually(t, 10*time.Second, func() error {
			for line := range strings.Lines(agent.output()) {
				if strings.Contains(line, "lvl=crit") {
					crit = line
				}
			}
			if crit == "" {
				return fmt.Errorf("%s: no line with lvl=crit in %q", what, agent.output())
			}
			return nil
		})
		if agent.exited() {
			t.Errorf("%s: the agent ended with the line that says why", what)
		}
		if !strings.Contains(crit, `msg="command failed" err=`) || !strings.Contains(crit, test.want) {
			t.Errorf("%s: %s lacks %q", what, crit, test.want)
		}
		if code := agent.wait(10 * time.Second); code != 1 {
			t.Errorf("%s: exit code %d", what, code)
		}
	}
}
