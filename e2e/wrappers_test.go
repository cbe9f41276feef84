package e2e_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// These tests run packages of npm that start an agent and talk to its local API,
// unmodified: only the agent that they find is ours.

// wrapper is a Node program that uses one of the packages.
type wrapper struct {
	*person
	name    string
	node    *process
	input   io.WriteCloser
	answers int // lines that were read of what node printed
}

// wrapperPackages are the names in wrappers/package.json.
var wrapperPackages = []string{"ngrok-4", "ngrok-5", "@expo/ngrok"}

// eachWrapper runs a test with every package, at the same time.
func eachWrapper(t *testing.T, test func(*testing.T, *server, *wrapper)) {
	t.Helper()
	t.Parallel()
	installWrappers(t)
	for _, name := range wrapperPackages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			test(t, s, s.wrapper(t, name))
		})
	}
}

// wrappersInstalled lets one test install what all need.
var wrappersInstalled sync.Mutex

// installWrappers gets the packages without the scripts and optional packages that
// would fetch an agent.
func installWrappers(t *testing.T) {
	t.Helper()
	wrappersInstalled.Lock()
	defer wrappersInstalled.Unlock()
	if _, err := os.Stat("wrappers/node_modules/.package-lock.json"); err == nil {
		return
	}
	install := exec.Command("npm", "ci", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund")
	install.Dir = "wrappers"
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
}

// wrapper starts Node with the package in a home directory of its own. The agent that
// the package starts learns from the environment where the server is.
func (s *server) wrapper(t *testing.T, name string) *wrapper {
	t.Helper()
	p := s.person()
	p.t = t
	w := &wrapper{person: p, name: name}
	command := exec.Command("node", "drive.cjs", name)
	command.Dir = "wrappers"
	command.Env = append(append(os.Environ(), p.environment...), w.agentFor()...)
	command.Stderr = &program.Transcript{}
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	node, err := program.Run("node with "+name, command)
	if err != nil {
		t.Fatal(err)
	}
	w.input, w.node = input, adopt(t, node) // whose group has the agent in it, and ends with the test
	t.Cleanup(func() {
		if t.Failed() {
			var log []string
			_ = w.try(&log, "log")
			t.Logf("---- node printed on standard error:\n%s\n---- the agent's log as the package saw it:\n%s", command.Stderr, strings.Join(log, "\n"))
		}
		input.Close()
	})
	return w
}

// agentFor puts the agent where the package looks. Expo's looks for a package whose
// name has the machine's kind in it, in a file, not a link: Node follows links.
func (w *wrapper) agentFor() []string {
	w.t.Helper()
	if w.name != "@expo/ngrok" {
		return []string{"AGENT_FOLDER=" + filepath.Join(w.home, "bin")}
	}
	kind := map[string]string{"amd64": "x64"}[runtime.GOARCH]
	if kind == "" {
		kind = runtime.GOARCH
	}
	modules := filepath.Join(w.home, "modules")
	folder := filepath.Join(modules, "@expo", "ngrok-bin-"+runtime.GOOS+"-"+kind)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Link(posternBinary, filepath.Join(folder, "ngrok")); err != nil {
		w.t.Fatal(err)
	}
	return []string{"NODE_PATH=" + modules}
}

// wrapperError is what a package's function was rejected with.
type wrapperError struct {
	Message string          `json:"message"`
	Status  int             `json:"status"`
	Body    json.RawMessage `json:"body"`
}

func (e *wrapperError) Error() string {
	return fmt.Sprintf("%s (status %d, body %s)", e.Message, e.Status, e.Body)
}

// apiError is the body that the agent's API answers failures with.
func (e *wrapperError) apiError() (code int, text string) {
	var body struct {
		Code    int `json:"error_code"`
		Details struct {
			Err string `json:"err"`
		} `json:"details"`
	}
	_ = json.Unmarshal(e.Body, &body) // a body that is none has no code
	return body.Code, body.Details.Err
}

// try calls a function of the package and decodes what it resolved to.
func (w *wrapper) try(value any, call string, args ...any) error {
	w.t.Helper()
	if args == nil {
		args = []any{}
	}
	line, err := json.Marshal(map[string]any{"call": call, "args": args})
	if err != nil {
		return err
	}
	if _, err := w.input.Write(append(line, '\n')); err != nil {
		return err
	}
	var printed string
	err = program.Eventually(40*time.Second, func() error {
		lines := strings.SplitAfter(w.node.output(), "\n")
		if len(lines) < w.answers+2 { // the last one is empty, or not whole yet
			return fmt.Errorf("%s: neither resolved nor rejected", call)
		}
		printed = lines[w.answers]
		return nil
	})
	if err != nil {
		return err
	}
	w.answers++
	var answer struct {
		Value json.RawMessage `json:"value"`
		Error *wrapperError   `json:"error"`
	}
	if err := json.Unmarshal([]byte(printed), &answer); err != nil {
		return fmt.Errorf("%s: node printed %q: %w", call, printed, err)
	}
	if answer.Error != nil {
		return answer.Error
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, value)
}

// does is try for what has to work.
func (w *wrapper) does(value any, call string, args ...any) {
	w.t.Helper()
	if err := w.try(value, call, args...); err != nil {
		w.t.Fatalf("%s: %s: %v", w.name, call, err)
	}
}

// fails is try for what the agent's API has to refuse.
func (w *wrapper) fails(call string, args ...any) *wrapperError {
	w.t.Helper()
	err := w.try(nil, call, args...)
	refused, ok := errors.AsType[*wrapperError](err)
	if !ok {
		w.t.Fatalf("%s: %s: %v, want it rejected", w.name, call, err)
	}
	return refused
}

// connect takes an endpoint online and returns its URL.
func (w *wrapper) connect(options map[string]any) (url string) {
	w.t.Helper()
	w.does(&url, "connect", options)
	return url
}

// apiTunnel is what the agent's API says of an endpoint.
type apiTunnel struct {
	Name      string `json:"name"`
	ID        string `json:"ID"`
	URI       string `json:"uri"`
	PublicURL string `json:"public_url"`
	Proto     string `json:"proto"`
	Config    struct {
		Addr    string `json:"addr"`
		Inspect bool   `json:"inspect"`
	} `json:"config"`
	Metrics struct {
		Conns struct {
			Count int     `json:"count"`
			P50   float64 `json:"p50"`
		} `json:"conns"`
		HTTP struct {
			Count int     `json:"count"`
			P50   float64 `json:"p50"`
		} `json:"http"`
	} `json:"metrics"`
}

type apiTunnels struct {
	Tunnels []apiTunnel `json:"tunnels"`
	URI     string      `json:"uri"`
}

// The whole of a program's day: version, token, connect, look, disconnect, kill.
func TestWrapperConnects(t *testing.T) {
	eachWrapper(t, func(t *testing.T, s *server, w *wrapper) {
		port := service(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "seen "+r.URL.Path) })
		configPath := w.write("project/ngrok.yml", "web_addr: 127.0.0.1:"+fmt.Sprint(freePorts(t, 1)[0])+"\ntunnels:\n  web:\n    proto: http\n    addr: "+port+"\n    subdomain: from-the-file\n    bind_tls: true\n")

		var version string
		w.does(&version, "getVersion", map[string]any{})
		if !regexp.MustCompile(`^3\.\d+\.\d+$`).MatchString(version) {
			t.Errorf("getVersion resolves to %q", version)
		}
		w.does(nil, "authtoken", map[string]any{"authtoken": s.authtoken, "configPath": configPath})
		if text := w.read("project/ngrok.yml"); !strings.Contains(text, "authtoken: "+s.authtoken) || !strings.Contains(text, "subdomain: from-the-file") {
			t.Fatalf("after authtoken the file is\n%s", text)
		}

		url := w.connect(map[string]any{"proto": "http", "addr": port, "authtoken": s.authtoken, "configPath": configPath, "region": "eu",
			"subdomain": "by-options", "bind_tls": true, "schemes": []string{"https"}, "host_header": "rewrite", "inspect": true, "port": 1})
		if withoutPort(url) != "https://by-options."+domain+"/" {
			t.Errorf("connect resolves to %q", url)
		}
		awaitBody(t, s.visitor(), url+"/a", "seen /a", 5*time.Second)
		named := w.connect(map[string]any{"name": "web", "configPath": configPath})
		if withoutPort(named) != "https://from-the-file."+domain+"/" {
			t.Errorf("connect by name resolves to %q", named)
		}
		awaitBody(t, s.visitor(), named+"/b", "seen /b", 5*time.Second)
		w.looks(url, named, port)

		var api string
		w.does(&api, "getUrl")
		w.does(nil, "disconnect", named)
		if response, _ := fetch(t, s.visitor(), named); response.StatusCode != http.StatusNotFound {
			t.Errorf("after disconnect visitors get %s", response.Status)
		}
		awaitBody(t, s.visitor(), url+"/c", "seen /c", 5*time.Second)
		w.does(nil, "disconnect")
		var rest apiTunnels
		w.does(&rest, "api.listTunnels")
		if len(rest.Tunnels) != 0 {
			t.Errorf("after disconnect of all there are %+v", rest.Tunnels)
		}
		w.does(nil, "kill")
		if _, err := http.Get(api + "/api/tunnels"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after kill the agent's API answers: %v", err)
		}
	})
}

// looks checks what the API says of the two endpoints and of what visitors asked.
func (w *wrapper) looks(byOptions, named, port string) {
	w.t.Helper()
	var list apiTunnels
	w.does(&list, "api.listTunnels")
	if len(list.Tunnels) != 2 || list.URI != "/api/tunnels" {
		w.t.Fatalf("listTunnels resolves to %+v", list)
	}
	for _, tunnel := range list.Tunnels {
		if tunnel.PublicURL != byOptions && tunnel.PublicURL != named {
			w.t.Errorf("an endpoint nobody asked for: %+v", tunnel)
		}
		if tunnel.Proto != "https" || tunnel.Config.Addr != "http://localhost:"+port || tunnel.URI != "/api/tunnels/"+tunnel.Name {
			w.t.Errorf("listTunnels tells %+v", tunnel)
		}
		var detail apiTunnel
		w.does(&detail, "api.tunnelDetail", tunnel.Name)
		if detail.PublicURL != tunnel.PublicURL || detail.Metrics.HTTP.Count != 1 || detail.Metrics.HTTP.P50 <= 0 {
			w.t.Errorf("tunnelDetail tells %+v", detail)
		}
	}
	var captured struct {
		Requests []struct {
			ID         string `json:"id"`
			TunnelName string `json:"tunnel_name"`
			Request    struct {
				Method string `json:"method"`
				URI    string `json:"uri"`
			} `json:"request"`
		} `json:"requests"`
	}
	w.does(&captured, "api.listRequests", map[string]any{"limit": 10})
	if len(captured.Requests) != 2 || captured.Requests[0].Request.URI != "/b" || captured.Requests[1].Request.URI != "/a" ||
		captured.Requests[0].ID <= captured.Requests[1].ID {
		w.t.Fatalf("listRequests resolves to %+v, want /b then /a, their ids in the order of time", captured.Requests)
	}
	first := captured.Requests[0]
	w.does(nil, "api.requestDetail", first.ID)
	w.does(nil, "api.replayRequest", first.ID, first.TunnelName)
	eventually(w.t, 5*time.Second, func() error {
		w.does(&captured, "api.listRequests", map[string]any{"tunnel_name": first.TunnelName})
		if len(captured.Requests) != 2 || captured.Requests[0].Request.URI != "/b" {
			return fmt.Errorf("after a replay there are %+v", captured.Requests)
		}
		return nil
	})
	w.does(nil, "api.deleteAllRequests")
	w.does(&captured, "api.listRequests")
	if len(captured.Requests) != 0 {
		w.t.Errorf("after deleteAllRequests there are %+v", captured.Requests)
	}
	if refused := w.fails("api.requestDetail", "airt_none"); refused.Status != http.StatusNotFound {
		w.t.Errorf("a request that nobody made: %v", refused)
	}
}

// What the server refuses leaves the name free, so that the next try with it works;
// error 103 is what makes Expo's tools draw another name.
func TestWrapperTriesAgain(t *testing.T) {
	eachWrapper(t, func(t *testing.T, s *server, w *wrapper) {
		port := service(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "here") })
		configPath := w.write("ngrok.yml", "authtoken: "+s.authtoken+"\nweb_addr: 127.0.0.1:"+fmt.Sprint(freePorts(t, 1)[0])+"\ntunnels: {}\n")
		options := func(more map[string]any) map[string]any {
			all := map[string]any{"proto": "http", "addr": port, "configPath": configPath, "bind_tls": true, "schemes": []string{"https"}}
			for key, value := range more {
				all[key] = value
			}
			return all
		}
		s.agent("http", port, "--url", "https://taken."+domain)
		// ngrok 5 knows no "name" that is in no file, so its names are drawn at random.
		for what, more := range map[string]map[string]any{
			"a taken name":     {"subdomain": "taken"},
			"a foreign domain": {"hostname": "elsewhere.example"},
		} {
			more["name"] = "app"
			refused := w.fails("connect", options(more))
			if code, text := refused.apiError(); code != 103 || refused.Status != http.StatusBadGateway || !strings.Contains(text, "ERR_") {
				t.Errorf("%s: %v", what, refused)
			}
		}
		url := w.connect(options(map[string]any{"name": "app", "subdomain": "second-choice"}))
		awaitBody(t, s.visitor(), url, "here", 5*time.Second)
		guarded := w.connect(options(map[string]any{"name": "guarded", "auth": "user:password", "basic_auth": []string{"user:password"}}))
		if response, _ := fetch(t, s.visitor(), guarded); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("without the password: %s", response.Status)
		}
		if refused := w.fails("connect", options(map[string]any{"proto": "gopher"})); refused.Status != http.StatusBadRequest {
			t.Errorf("a protocol that nobody has: %v", refused)
		} else if code, text := refused.apiError(); code != 102 || !strings.Contains(text, "protocol name") {
			t.Errorf("a protocol that nobody has: %v", refused)
		}
		w.does(nil, "kill")
	})
}

// A server that is away: connect waits for the first session, the program is told when
// the session ends and comes back, and the URL stays.
func TestWrapperOutlivesAnOutage(t *testing.T) {
	eachWrapper(t, func(t *testing.T, s *server, w *wrapper) {
		address, web := echoListener(t), fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
		configPath := w.write("ngrok.yml", "authtoken: "+s.authtoken+"\nweb_addr: "+web+"\n")
		s.process.signal(syscall.SIGKILL)
		s.process.wait(5 * time.Second)
		back := make(chan error, 1)
		go func() { // the server comes back once the agent is there and has nobody to talk to
			back <- errors.Join(program.Eventually(10*time.Second, func() error {
				response, err := http.Get("http://" + web + "/api/tunnels")
				if err == nil {
					response.Body.Close()
				}
				return err
			}), s.Start())
		}()
		url := w.connect(map[string]any{"proto": "tcp", "addr": address, "configPath": configPath})
		if err := <-back; err != nil {
			t.Fatal(err)
		}
		s.process = adopt(t, s.Process)
		if !strings.HasPrefix(url, "tcp://") {
			t.Fatalf("connect resolves to %q", url)
		}
		echoOverTCP(t, url)
		s.restart()
		eventually(t, 20*time.Second, func() error {
			var statuses []string
			w.does(&statuses, "statuses")
			if got := strings.Join(statuses, " "); got != "connected closed connected" {
				return fmt.Errorf("the program was told %q", got)
			}
			return nil
		})
		var list apiTunnels
		w.does(&list, "api.listTunnels")
		if len(list.Tunnels) != 1 || list.Tunnels[0].PublicURL != url {
			t.Errorf("after the outage the URL is %+v, was %s", list.Tunnels, url)
		}
		w.does(nil, "kill")
	})
}

// echoOverTCP visits a TCP endpoint. Its host resolves nowhere, so the port counts.
func echoOverTCP(t *testing.T, url string) {
	t.Helper()
	conn, err := net.Dial("tcp", "127.0.0.1:"+url[strings.LastIndexByte(url, ':')+1:])
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "to %s\n", url)
	if line, err := bufio.NewReader(conn).ReadString('\n'); line != "to "+url+"\n" {
		t.Errorf("%s: %q %v", url, line, err)
	}
}
