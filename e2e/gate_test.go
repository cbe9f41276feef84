package e2e_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// jwtService is a back end that lets in who has a token in Authorization, and nobody else,
// as people's services do: they know nothing of a gate.
type jwtService struct {
	*httptest.Server
	t *testing.T

	mu   sync.Mutex
	seen []http.Header
}

// Its answers.
const (
	tokenEmpty   = "Authorization Token Empty"
	tokenInvalid = "Authorization Token Invalid"
)

func newJWTService(t *testing.T) *jwtService {
	t.Helper()
	s := &jwtService{t: t}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *jwtService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen = append(s.seen, r.Header.Clone())
	s.mu.Unlock()
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
	}
	if r.Method == http.MethodOptions {
		w.Header().Set("Access-Control-Allow-Headers", "authorization")
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if r.URL.Path == "/ws" {
		webSocketEcho().ServeHTTP(w, r)
		return
	}
	name := "Authorization"
	if r.URL.Path == "/renamed" { // where a proxy in front has put it
		name = "X-Added"
	}
	switch token := r.Header.Get(name); {
	case token == "":
		http.Error(w, tokenEmpty, http.StatusUnauthorized)
	case token != "Bearer "+jwt("ann"):
		http.Error(w, tokenInvalid, http.StatusUnauthorized)
	default:
		fmt.Fprintf(w, "hello ann, host %s, for %s", r.Host, r.Header.Get("X-Forwarded-Host"))
	}
}

// last is the header of the last request.
func (s *jwtService) last() http.Header {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) == 0 {
		return nil
	}
	return s.seen[len(s.seen)-1]
}

// jwt is a token for somebody (RFC 7519, HS256).
func jwt(subject string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + encode([]byte(`{"sub":"`+subject+`"}`))
	mac := hmac.New(sha256.New, []byte("the service's own key"))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

// gated is an endpoint behind a password, and who comes to it with curl.
type gated struct {
	t       *testing.T
	server  *server
	service *jwtService
	agent   *process
	url     string
	jar     string
}

// gate starts an agent whose endpoint has the action basic-auth with this configuration.
func (s *server) gate(service *jwtService, config string, args ...string) *gated {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "policy.yml")
	text := "on_http_request:\n- actions:\n  - type: basic-auth\n    config: " + config + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	agent, url := s.agent(append([]string{"http", service.URL, "--traffic-policy-file", file}, args...)...)
	return &gated{t: s.t, server: s, service: service, agent: agent, url: url, jar: filepath.Join(s.t.TempDir(), "jar")}
}

// seen is an answer as curl has it.
type seen struct {
	status string
	header http.Header
	body   string
}

// curl asks for the endpoint.
func (g *gated) curl(args ...string) seen {
	g.t.Helper()
	url := g.url + "/"
	host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(url, "https://"), "http://"), "/")
	if !strings.Contains(host, ":") {
		g.t.Fatalf("the URL %s has no port", url)
	}
	all := slices.Concat([]string{"-sS", "-i", "--max-time", "20", "--resolve", host + ":127.0.0.1", "--cacert", g.server.caFile}, args, []string{url})
	out, err := exec.CommandContext(g.t.Context(), "curl", all...).Output()
	if err != nil {
		g.t.Fatalf("curl %q: %v", all, err)
	}
	head, body, _ := strings.Cut(string(out), "\r\n\r\n")
	lines := strings.Split(head, "\r\n")
	answer := seen{status: strings.Fields(lines[0])[1], header: http.Header{}, body: body}
	for _, line := range lines[1:] {
		name, value, _ := strings.Cut(line, ": ")
		answer.header.Add(name, value)
	}
	return answer
}

// want asks, and judges the answer.
func (g *gated) want(what, status, body string, args ...string) seen {
	g.t.Helper()
	answer := g.curl(args...)
	if answer.status != status || !strings.Contains(answer.body, body) {
		g.t.Errorf("%s: %s %v %q, want %s %q", what, answer.status, answer.header, tail(answer.body, 300), status, body)
	}
	return answer
}

const (
	gateCredentials = `{credentials: ["ann:correct horse"]}`
	passwordWanted  = "ERR_POSTERN_320"
)

func header(name, value string) []string { return []string{"-H", name + ": " + value} }

func basicOf(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }

// S2-4, S2-7 to S2-9, S2-14 to S2-16: a back end that reads a token from Authorization is
// behind a password; neither it nor what calls it is changed. On both paths of HTTP/1.1,
// and with HTTP/2.
func TestGateLeavesAuthorizationAlone(t *testing.T) {
	t.Parallel()
	for name, extra := range map[string]string{"relay": "", "standard": "http1: standard"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, extra)
			for _, protocol := range []string{"--http1.1", "--http2"} {
				g := s.gate(newJWTService(t), gateCredentials)
				g.leavesAuthorizationAlone(protocol)
				g.service.gotNothingOf("correct horse", "ann:")
				if log := s.process.output() + g.agent.output(); strings.Contains(log, "correct horse") || strings.Contains(log, basicOf("ann:correct horse")[6:]) {
					t.Errorf("a log has the password: %s", log)
				}
			}
		})
	}
}

func (g *gated) leavesAuthorizationAlone(protocol string) {
	t := g.t
	bearer, own := header("Authorization", "Bearer "+jwt("ann")), header("Postern-Authorization", basicOf("ann:correct horse"))
	curl := func(what, status, body string, args ...[]string) seen {
		t.Helper()
		return g.want(protocol+", "+what, status, body, slices.Concat(append([][]string{{protocol}}, args...)...)...)
	}

	answer := curl("nobody", "401", passwordWanted)
	if got := answer.header.Get("WWW-Authenticate"); got != `Basic realm="ngrok", charset="UTF-8"` {
		t.Errorf("the challenge is %s", got)
	}
	curl("the service's token alone", "401", passwordWanted, bearer)
	curl("a wrong password", "401", passwordWanted, []string{"-u", "ann:wrong"})
	curl("two credentials", "400", "ERR_POSTERN_301", header("Authorization", basicOf("ann:correct horse")), bearer)
	if g.service.last() != nil {
		t.Errorf("something reached the service: %v", g.service.last())
	}

	curl("the gate's own", "401", tokenEmpty, []string{"-u", "ann:correct horse"})
	curl("the gate's own header", "401", tokenEmpty, own)
	curl("with the service's token", "200", "hello ann", own, bearer, header("Cookie", "a=1;b=\"2\""), header("postern_authorization", "x"))
	if got := g.service.last(); got.Get("Authorization") != "Bearer "+jwt("ann") || got.Get("Cookie") != "a=1;b=\"2\"" || got.Get("Postern-Authorization") != "" {
		t.Errorf("the service got %v", got)
	}
	for _, odd := range []string{"bearer  x , y", "Digest username=\"a,b\", uri=\"/\"", "Basic cm9vdDp0b29y", "AWS4-HMAC-SHA256 Credential=a/b, Signature=c", "ä"} {
		curl("a value of the service's", "401", tokenInvalid, own, header("Authorization", odd))
		if got := g.service.last()["Authorization"]; !slices.Equal(got, []string{odd}) {
			t.Errorf("the service got %q for %q", got, odd)
		}
	}

	// A browser signs in once, and its scripts are let in by the cookie.
	answer = curl("signing in", "401", tokenEmpty, []string{"-u", "ann:correct horse", "-c", g.jar})
	cookie := answer.header.Get("Set-Cookie")
	if !strings.HasPrefix(cookie, "__Host-postern-gate-") || !strings.HasSuffix(cookie, "; Path=/; Secure; HttpOnly; SameSite=Lax") {
		t.Errorf("the cookie is %q", cookie)
	}
	cookie, _, _ = strings.Cut(cookie, ";")
	answer = curl("with the cookie", "200", "hello ann", []string{"-b", g.jar}, bearer)
	if got := g.service.last(); got.Get("Cookie") != "" || answer.header.Get("Set-Cookie") != "" {
		t.Errorf("the service got %v, the visitor %v", got, answer.header)
	}
	curl("a forged cookie", "401", passwordWanted, []string{"-b", cookie[:len(cookie)-1] + "!"}, bearer)

	// A front end of another origin.
	origin := header("Origin", "https://front.example.org")
	curl("preflight", "204", "", []string{"-X", "OPTIONS"}, origin, header("Access-Control-Request-Method", "POST"),
		header("X-HTTP-Method-Override", "DELETE"), header("Cookie", "a=1"), bearer)
	if got := g.service.last(); got.Get("X-HTTP-Method-Override")+got.Get("Cookie")+got.Get("Authorization") != "" || got.Get("Access-Control-Request-Method") != "POST" {
		t.Errorf("the service got %v", got)
	}
	answer = curl("its request", "401", passwordWanted, origin, bearer)
	if h := answer.header; h.Get("Access-Control-Allow-Origin") != "https://front.example.org" || !slices.Contains(h["Vary"], "Origin") {
		t.Errorf("its answer has %v", h)
	}
}

// gotNothingOf tells whether any header that the service got has one of the texts.
func (s *jwtService) gotNothingOf(texts ...string) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.seen {
		for name, values := range h {
			for _, value := range values {
				decoded, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(value, "Basic "))
				for _, text := range texts {
					if strings.Contains(value+string(decoded), text) || strings.Contains(value, "__Host-postern") {
						s.t.Errorf("the service got %s: %s", name, value)
					}
				}
			}
		}
	}
}

// What the agent's inspector keeps has nothing of the gate's, and all of the service's.
func TestInspectorHasNoCredentials(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	configuration := filepath.Join(t.TempDir(), "ngrok.yml")
	if err := os.WriteFile(configuration, []byte("web_addr: 127.0.0.1:0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g := s.gate(newJWTService(t), gateCredentials, "--config="+configuration)
	answer := g.want("signing in", "401", tokenEmpty, "-u", "ann:correct horse")
	cookie, _, _ := strings.Cut(answer.header.Get("Set-Cookie"), ";")
	g.want("with all of it", "200", "hello ann", "-b", cookie, "-H", "Postern-Authorization: "+basicOf("ann:correct horse"), "-H", "Authorization: Bearer "+jwt("ann"))
	client := &http.Client{Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	var kept string
	eventually(t, 10*time.Second, func() error {
		var list struct {
			Requests []struct {
				Request struct{ Raw string } `json:"request"`
			} `json:"requests"`
		}
		api(t, client, "GET", apiAddress(t, g.agent)+"/api/requests/http", "", nil, &list)
		if len(list.Requests) != 2 {
			return fmt.Errorf("the inspector has %d requests", len(list.Requests))
		}
		kept = ""
		for _, r := range list.Requests {
			raw, err := base64.StdEncoding.DecodeString(r.Request.Raw)
			if err != nil {
				return err
			}
			kept += string(raw)
		}
		return nil
	})
	if !strings.Contains(kept, jwt("ann")) {
		t.Errorf("the service's token is not in %s", kept)
	}
	for _, secret := range []string{"Postern-Authorization", basicOf("ann:correct horse")[6:], strings.SplitN(cookie, "=", 2)[1]} {
		if strings.Contains(kept, secret) {
			t.Errorf("the inspector has %q: %s", secret, kept)
		}
	}
}

// A WebSocket, whose browser can set no header, is let in by the cookie; and a password
// that was changed lets nobody in who signed in with the old one. A restart of the server
// changes nothing.
func TestCookieOutlivesTheServerAndNotThePassword(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	service := newJWTService(t)
	g := s.gate(service, gateCredentials, "--url", "https://gate."+domain)
	answer := g.want("signing in", "401", tokenEmpty, "-u", "ann:correct horse")
	cookie, _, _ := strings.Cut(answer.header.Get("Set-Cookie"), ";")
	dial := func(header http.Header) (int, error) {
		transport := s.transport()
		transport.ForceAttemptHTTP2 = false
		t.Cleanup(transport.CloseIdleConnections)
		conn, response, err := websocket.Dial(t.Context(), g.url+"/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}, HTTPHeader: header})
		if err == nil {
			conn.CloseNow()
		}
		if response == nil {
			return 0, err
		}
		return response.StatusCode, nil
	}
	if status, err := dial(nil); status != 401 || err != nil {
		t.Errorf("a WebSocket without the cookie: %d, %v", status, err)
	}
	if status, err := dial(http.Header{"Cookie": {cookie}}); status != 101 || err != nil {
		t.Errorf("a WebSocket with the cookie: %d, %v", status, err)
	}
	if got := service.last().Get("Cookie"); got != "" {
		t.Errorf("the service got the cookie %q", got)
	}

	s.restart()
	eventually(t, 30*time.Second, func() error {
		if answer := g.curl("-b", cookie, "-H", "Authorization: Bearer "+jwt("ann")); answer.status != "200" {
			return fmt.Errorf("after a restart of the server: %s %s", answer.status, tail(answer.body, 200))
		}
		return nil
	})
	g.agent.end()
	g = s.gate(service, `{credentials: ["ann:another horse"]}`, "--url", "https://gate."+domain)
	g.want("after the password was changed", "401", passwordWanted, "-b", cookie)
	g.want("with the new one", "401", tokenEmpty, "-u", "ann:another horse")
}

// grant_address: who can send nothing of the gate's passes after somebody has signed in
// from the same address; without it nobody does.
func TestGrantedAddress(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	bearer := []string{"-H", "Authorization: Bearer " + jwt("ann")}
	for config, after := range map[string]string{
		`{credentials: ["ann:correct horse"]}`:                    "401",
		`{credentials: ["ann:correct horse"], grant_address: 8h}`: "200",
	} {
		g := s.gate(newJWTService(t), config)
		g.want("before", "401", passwordWanted, bearer...)
		g.want("signing in", "401", tokenEmpty, "-u", "ann:correct horse")
		if got := g.curl(bearer...); got.status != after {
			t.Errorf("%s: %s after a sign-in, want %s", config, got.status, after)
		}
	}
}

// Over plain http there is no cookie; everything else is as over https. And somebody who
// guesses is stopped.
func TestPlainGateAndGuesses(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	g := s.gate(newJWTService(t), gateCredentials, "--url", "http://plain."+domain)
	if answer := g.want("the gate's own", "401", tokenEmpty, "-u", "ann:correct horse"); answer.header.Get("Set-Cookie") != "" {
		t.Errorf("a cookie over http: %v", answer.header)
	}
	g.want("with the service's token", "200", "hello ann", "-H", "Postern-Authorization: "+basicOf("ann:correct horse"), "-H", "Authorization: Bearer "+jwt("ann"))
	refused := false
	for i := range 25 {
		answer := g.curl("-u", fmt.Sprint("ann:guess ", i))
		if refused = answer.status == "429"; refused {
			if i < 20 || answer.header.Get("Retry-After") == "" {
				t.Errorf("guess %d: %v", i, answer.header)
			}
			break
		}
	}
	if !refused {
		t.Error("25 guesses are heard")
	}
	g.want("who was right before", "401", tokenEmpty, "-u", "ann:correct horse")
}

// installProxy gets the packages of proxy/.
func installProxy(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("proxy/node_modules/.package-lock.json"); err == nil {
		return
	}
	install := exec.Command("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
	install.Dir = "proxy"
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
}

// S2-10 to S2-13: what people did before keeps working: a proxy over plain http that adds
// the password, takes the URL's Host for its own, says whom it forwards for, and puts the
// token where the service looks.
func TestOldWorkaround(t *testing.T) {
	t.Parallel()
	installProxy(t)
	s := startServer(t)
	g := s.gate(newJWTService(t), gateCredentials, "--url", "http://workaround."+domain)
	proxy := startProcess(t, "node", []string{"PATH=" + os.Getenv("PATH"), "TARGET=" + g.url, "CREDENTIAL=ann:correct horse"}, "node", "proxy/rename.cjs")
	proxy.waitFor("listening on ", 30*time.Second)
	_, port, _ := strings.Cut(strings.TrimSpace(proxy.output()), "listening on ")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:"+port+"/renamed", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("AAAuthorization", "Bearer "+jwt("ann"))
	client := &http.Client{Timeout: 20 * time.Second}
	defer client.CloseIdleConnections()
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	host := strings.TrimPrefix(g.url, "http://")
	if want := fmt.Sprintf("hello ann, host %s, for %s", host, host); response.StatusCode != http.StatusOK || string(body) != want {
		t.Errorf("%s %q, want %q", response.Status, body, want)
	}
	got := g.service.last()
	if got.Get("Authorization") != "" || got.Get("X-Forwarded-For") != "127.0.0.1" || got.Get("X-Forwarded-Proto") != "http" {
		t.Errorf("the service got %v", got)
	}
}
