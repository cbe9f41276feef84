package e2e_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// Nobody's token is shown to a server that nobody vouches for; with the fingerprint the
// login works, and so does what comes after it without another word.
func TestLogin(t *testing.T) {
	s := startServer(t)
	someone := newPerson(t)
	address := fmt.Sprintf("https://127.0.0.1:%d", s.https)
	status, out, errors := someone.run("login", address, "--token", s.authtoken)
	if status != 1 || out != "" || !strings.Contains(errors, "Nothing was sent.") || strings.Contains(errors, s.authtoken) {
		t.Fatalf("status %d, out %q, err %s", status, out, errors)
	}
	if strings.Contains(s.process.output(), "token") {
		t.Errorf("the server saw a token: %s", s.process.output())
	}
	_, pin, found := strings.Cut(errors, "--ca-pin ")
	pin, _, _ = strings.Cut(pin, "\n")
	if !found || !strings.HasPrefix(pin, "sha256:") {
		t.Fatalf("no fingerprint in %s", errors)
	}
	if _, bootstrap, _ := someone.run("server", "bootstrap", "--config", s.Config); !strings.Contains(bootstrap, pin) {
		t.Errorf("%s is not what the server's operator reads: %s", pin, bootstrap)
	}
	wrong := "sha256:" + strings.Repeat("0", 64)
	if status, _, errors := someone.run("login", address, "--token", s.authtoken, "--ca-pin", wrong); status != 1 || !strings.Contains(errors, "none of its certificates has the fingerprint") {
		t.Errorf("status %d, err %s", status, errors)
	}
	if status, _, errors := someone.run("login", address, "--token", "wrong_token", "--ca-pin", pin); status != 1 || !strings.Contains(errors, "ERR_NGROK_105") {
		t.Errorf("status %d, err %s", status, errors)
	}
	if _, err := os.Stat(filepath.Join(someone.home, ".config")); err == nil {
		t.Error("a login that failed saved something")
	}
	status, out, errors = someone.run("login", address, "--token", s.authtoken, "--ca-pin", strings.ToUpper(pin[len("sha256:"):]))
	if status != 0 || !strings.Contains(out, "saved to configuration file: "+someone.home) || errors != "" {
		t.Fatalf("status %d, out %s, err %s", status, out, errors)
	}
	if status, out, _ := someone.run("diagnose"); status != 0 || !strings.Contains(out, "accepted") {
		t.Errorf("status %d, %s", status, out)
	}
	// A file that names no server, as wrappers write it, works after a login.
	given := someone.write("wrapper.yml", "version: 3\nendpoints: [{name: web, upstream: {url: 8080}}]\n")
	var quiet program.Transcript
	agent := someone.start(&quiet, nil, "start", "web", "--config", given, "--log", "stdout", "--log-format", "logfmt")
	agent.onlineURL()

	other := newPerson(t)
	if status, _, errors := other.run("login", address, "--token", s.authtoken, "--ca", s.caFile); status != 0 {
		t.Errorf("with the CA's file: status %d, %s", status, errors)
	}
}

// What the server lacks it refuses: a guarded endpoint is never an open one.
func TestGuardIsRefusedAndNotDropped(t *testing.T) {
	s := startServer(t)
	for _, args := range [][]string{
		{"--oauth", "google"},
		{"--verify-webhook", "github", "--verify-webhook-secret", "x"},
	} {
		agent := s.agentProcess(append([]string{"http", "8080"}, args...)...)
		status := agent.wait(20 * time.Second)
		if output := agent.Output(); status != 1 || !strings.Contains(output, "command failed") || !strings.Contains(output, "ERR_") || strings.Contains(output, "started tunnel") {
			t.Errorf("%s: %s", args, output)
		}
	}
}

// For scripts: the URLs alone on stdout, https first, the same in a file that is gone
// afterwards, word to the service manager, and not a byte on stderr.
func TestAgentForScripts(t *testing.T) {
	// Whoever runs the tests under nohup ignores SIGHUP, which children inherit; a signal
	// that is awaited they do not.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	s := startServer(t)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }))
	defer upstream.Close()
	someone := newPerson(t)
	urls, socketPath := filepath.Join(someone.home, "urls"), filepath.Join(someone.home, "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socketPath, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	var stderr program.Transcript
	// The way of the first generation: no file at all, so both URLs.
	agent := someone.start(&stderr, []string{"NOTIFY_SOCKET=" + socketPath}, "--connect-url", s.connectURL(), "http", strings.TrimPrefix(upstream.URL, "http://"),
		"-connect-cas", s.caFile, "-authtoken="+s.authtoken, "-region=eu", "--url-file="+urls)
	var file string
	eventually(t, 10*time.Second, func() error {
		text, err := os.ReadFile(urls)
		file = string(text)
		return err
	})
	lines := strings.Split(strings.TrimSuffix(file, "\n"), "\n")
	if len(lines) != 2 || !strings.HasPrefix(lines[0], "https://") || !strings.HasPrefix(lines[1], "http://") {
		t.Errorf("the file holds %q", file)
	}
	if out := agent.Output(); out != file {
		t.Errorf("stdout is %q, the file holds %q", out, file)
	}
	for _, url := range lines {
		awaitBody(t, s.visitor(), url, "hello", 5*time.Second)
	}
	agent.signal(syscall.SIGHUP) // there is no file to read again: it ends as its terminal does
	if status := agent.wait(10 * time.Second); status != 0 || stderr.String() != "" {
		t.Errorf("status %d, stderr %q", status, stderr.String())
	}
	if _, err := os.Stat(urls); err == nil {
		t.Error("the file outlived the agent")
	}
	if told := drain(t, socket); !strings.Contains(told, "READY=1") || !strings.Contains(told, "STATUS=online: "+lines[0]) || !strings.Contains(told, "STOPPING=1") {
		t.Errorf("the service manager heard %q", told)
	}
}

// Whoever starts an agent with nohup wants it to outlive the terminal.
func TestAgentUnderNohup(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	agent := startProcess(t, "agent", nil, "nohup", posternBinary, "http", "8080", "--connect-url", s.connectURL(),
		"--connect-cas", s.caFile, "--authtoken", s.authtoken, "--log", "stdout", "--log-format", "logfmt")
	agent.onlineURL()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", agent.PID()))
	if err != nil {
		t.Fatal(err)
	}
	var ignored uint64
	_, rest, _ := strings.Cut(string(status), "SigIgn:")
	if _, err := fmt.Sscanf(strings.TrimSpace(rest), "%x", &ignored); err != nil || ignored>>(syscall.SIGHUP-1)&1 == 0 {
		t.Errorf("SIGHUP is not ignored: %s (%v)", status, err)
	}
}

// drain reads the datagrams that have come.
func drain(t *testing.T, socket *net.UnixConn) string {
	t.Helper()
	var all strings.Builder
	buffer := make([]byte, 4096)
	for {
		if err := socket.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := socket.Read(buffer)
		if err != nil {
			return all.String()
		}
		all.Write(append(buffer[:n], '\n'))
	}
}

// SIGHUP and, where it was asked for, a change of the files: what stays is not touched,
// what is wrong is refused.
func TestReload(t *testing.T) {
	s := startServer(t)
	someone := newPerson(t)
	const head = "version: 3\nendpoints:\n"
	item := func(name string) string {
		return fmt.Sprintf("  - {name: %s, url: https://%s.%s, upstream: {url: 8080}}\n", name, name, domain)
	}
	path := someone.write("a.yml", head+item("one")+item("two"))
	agent := s.agentProcess("start", "--all", "--config", path, "--watch-config")
	if _, err := agent.Online(2); err != nil {
		t.Fatal(err)
	}
	expect := func(parts ...string) {
		t.Helper()
		eventually(t, 10*time.Second, func() error {
			for _, part := range parts {
				if !strings.Contains(agent.Output(), part) {
					return fmt.Errorf("%q is not in %s", part, agent.Output())
				}
			}
			return nil
		})
	}
	someone.write("a.yml", head+item("two")+item("three"))
	expect("configuration reloaded", "url=https://three."+domain)
	someone.write("a.yml", head+"  - {name: broken}\n")
	expect("the configuration was not reloaded", "broken")
	mistaken := strings.Replace(item("three"), "url:", "traffic_policy: {on_http_request: [{actions: [{type: denny}]}]}, url:", 1)
	someone.write("a.yml", head+item("two")+mistaken)
	expect("stays as it was: the traffic policy cannot be used")
	eventually(t, 10*time.Second, func() error {
		response, err := s.visitor().Get("https://three." + domain)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if code := response.Header.Get("Ngrok-Error-Code"); code == "ERR_NGROK_3200" {
			return fmt.Errorf("a mistake in its policy has taken it offline: %s", code)
		}
		return nil
	})
	other := newPerson(t)
	path = other.write("b.yml", head+item("four"))
	second := s.agentProcess("start", "--all", "--config", path)
	second.onlineURL()
	other.write("b.yml", head+item("four")+item("five"))
	second.signal(syscall.SIGHUP)
	if urls, err := second.Online(2); err != nil || !strings.HasPrefix(urls[1], "https://five."+domain) {
		t.Errorf("%q, %v", urls, err)
	}
	if count := strings.Count(agent.Output(), "url=https://two."); count != 1 {
		t.Errorf("two was bound %d times", count)
	}
}

// What wrappers start: no endpoint, the local API there before its line, the session's
// lines after it; then "status" says what became of it, and what was asked to be kept is
// there again after a restart (S1-30).
func TestLocalAPIOfTheAgent(t *testing.T) {
	s := startServer(t)
	someone := newPerson(t)
	address := fmt.Sprintf("127.0.0.1:%d", freePorts(t, 1)[0])
	path := someone.write("ngrok.yml", fmt.Sprintf("version: 2\nweb_addr: %s\nserver_addr: %s\nroot_cas: %s\nauthtoken: %s\n", address, s.connectURL(), s.caFile, s.authtoken))
	if status, _, errors := someone.run("status", "--config", path); status != 1 || !strings.Contains(errors, "no agent answers at "+address) {
		t.Errorf("status %d, %s", status, errors)
	}
	var stderr program.Transcript
	agent := someone.start(&stderr, nil, "start", "--none", "--log=stdout", "--config="+path)
	agent.waitFor("tunnel session started", 10*time.Second)
	first, last := strings.Index(agent.Output(), `msg="starting web service" obj=web addr=`+address), strings.Index(agent.Output(), "tunnel session started")
	if first < 0 || last < first {
		t.Errorf("the order of lines: %s", agent.Output())
	}
	response, err := http.Post("http://"+address+"/api/tunnels", "application/json", strings.NewReader(`{"name":"kept","proto":"http","addr":"8080","bind_tls":true,"persist":true}`))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	status, out, errors := someone.run("status", "--config", path)
	if response.StatusCode != http.StatusCreated || status != 0 || !strings.Contains(out, "Forwarding") || !strings.Contains(out, "-> http://localhost:8080") {
		t.Errorf("%s; status %d, %s%s", response.Status, status, out, errors)
	}
	if status, out, _ := someone.run("status", "--json", "--web-addr", address); status != 0 || !strings.Contains(out, `"status": "online"`) || !strings.Contains(out, `"name": "kept"`) {
		t.Errorf("status %d, %s", status, out)
	}
	// The address is taken: what wrappers look for is the last line, and on stdout.
	second := someone.start(&stderr, nil, "start", "--none", "--log=stdout", "--config="+path)
	if status := second.wait(10 * time.Second); status != 1 || !strings.Contains(second.Output(), `lvl=crit msg="command failed" err="listen tcp `+address+`: bind: address already in use`) {
		t.Errorf("status %d, %s", status, second.Output())
	}
	agent.signal(syscall.SIGTERM)
	agent.wait(10 * time.Second)
	again := someone.start(&stderr, nil, "start", "--none", "--log=stdout", "--config="+path)
	again.waitFor("name=kept", 10*time.Second)
}

// A region that the server is not in has no effect, and the log says so once of each; the
// server's own is not worth a word.
func TestRegionThatTheServerLacks(t *testing.T) {
	t.Parallel()
	s := startServer(t, "regions: [eu]")
	p := s.person()
	p.write("old.yml", "authtoken: "+s.authtoken+"\nregion: us\ntunnels:\n  a: {proto: tcp, addr: 1, region: us}\n  b: {proto: tcp, addr: 2, region: ap}\n  c: {proto: tcp, addr: 3, region: EU}\n")
	agent := p.types("ngrok start --all -config old.yml -log=stdout")
	if _, err := agent.Online(3); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error {
		text := agent.output()
		for _, region := range []string{"region=us server_region=eu", "region=ap server_region=eu"} {
			if strings.Count(text, region) != 1 {
				return fmt.Errorf("%s is not there once:\n%s", region, text)
			}
		}
		if strings.Count(text, "no such region") != 2 {
			return fmt.Errorf("warnings of other regions:\n%s", text)
		}
		return nil
	})
	if text := agent.errors.String(); text != "" {
		t.Errorf("standard error has %q", text)
	}
}
