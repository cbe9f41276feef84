package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"
)

// These tests type what people's guides, scripts and fingers type, by the name that
// they type it under, and look at nothing but what comes out and who can be reached.

// service is an HTTP service on a port of this machine that answers with text.
func service(t *testing.T, handler http.HandlerFunc) (port string) {
	t.Helper()
	upstream := httptest.NewServer(handler)
	t.Cleanup(upstream.Close)
	_, port, err := net.SplitHostPort(upstream.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// contacts is the sample service of the guide whose action is called through the
// tunnel: it finds a contact by name.
func contacts(w http.ResponseWriter, r *http.Request) {
	asked, _ := io.ReadAll(r.Body)
	if r.Method != "POST" || r.URL.Path != "/searchContactsByName" || r.Header.Get("Content-Type") != "application/json" ||
		string(asked) != `{"firstName": "Test"}` {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	io.WriteString(w, `{"FirstName":"Test","LastName":"Account"}`)
}

// S0-6, S0-15, S0-25, S0-27, S0-28, S0-37: one https URL alone, and the same answer
// through it as on this machine.
func TestHTTPSOnlyByFlagBehindTheAddress(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	agent := s.person().loggedIn(s).types("ngrok http " + service(t, contacts) + " -bind-tls=true")
	url := agent.lines(1)[0]
	if !strings.HasPrefix(url, "https://") || !strings.HasSuffix(hostOf(url), "."+domain) {
		t.Fatalf("standard output begins with %q, want the https URL alone", url)
	}
	response, err := s.visitor().Post(url+"/searchContactsByName", "application/json", strings.NewReader(`{"firstName": "Test"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || string(body) != `{"FirstName":"Test","LastName":"Account"}` || response.Header.Get("Content-Type") != "application/json; charset=utf-8" {
		t.Errorf("the contact came as %s %q %v", response.Status, body, err)
	}

	// The name in plain http only leads to https.
	plain, _ := fetch(t, s.visitor(), "http://"+hostOf(url)+"/searchContactsByName?a=b")
	if want := url + "/searchContactsByName?a=b"; plain.StatusCode != http.StatusPermanentRedirect || withoutPort(plain.Header.Get("Location")) != withoutPort(want) {
		t.Errorf("port 80 answers %s to %q, want 308 to %q", plain.Status, plain.Header.Get("Location"), want)
	}

	agent.signal(syscall.SIGINT)
	if code := agent.wait(35 * time.Second); code != 0 {
		t.Errorf("after SIGINT the exit code is %d", code)
	}
	if got := strings.Split(strings.TrimSpace(agent.output()), "\n"); len(got) != 1 {
		t.Errorf("standard output has more than the URL: %q", got)
	}
	if text := agent.errors.String(); text != "" {
		t.Errorf("standard error has %q", text)
	}
}

// S0-37: without the flag both URLs are there, https first.
func TestBothURLsByDefault(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	agent := s.person().loggedIn(s).types("./bin/ngrok http " + service(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "seen over "+r.Header.Get("X-Forwarded-Proto"))
	}))
	urls := agent.lines(2)
	if len(urls) != 2 || !strings.HasPrefix(urls[0], "https://") || withoutPort(urls[1]) != "http://"+hostOf(urls[0])+"/" {
		t.Fatalf("standard output is %q, want the https and the http URL", urls)
	}
	for scheme, url := range map[string]string{"https": urls[0], "http": urls[1]} {
		awaitBody(t, s.visitor(), url, "seen over "+scheme, 5*time.Second)
	}
}

// S2-4, S2-5: a password in both generations' words guards the service; a guard that this
// server does not have is refused with a code, and the service is never open instead.
func TestPasswordIsNeverDropped(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	asked := make(chan string, 10)
	port := service(t, func(w http.ResponseWriter, r *http.Request) { asked <- r.URL.Path })
	for n, flag := range []string{`-auth="user:password"`, `--basic-auth "user:password"`} {
		name := fmt.Sprintf("guarded%d", n)
		agent := s.person().loggedIn(s).types("ngrok http " + port + " -subdomain=" + name + " " + flag)
		agent.lines(1)
		if response, _ := fetch(t, s.visitor(), "https://"+name+"."+domain); response.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: visitors get %s", flag, response.Status)
		}
	}
	code, stdout, stderr := s.person().loggedIn(s).gets("ngrok http " + port + " -subdomain=signed-in --oauth google")
	if code != 1 || strings.Contains(stdout, "://") || !strings.Contains(stderr, "ERROR:  ERR_") || !strings.Contains(stderr, "OAuth") {
		t.Errorf("a guard that is not there: exit code %d, standard output %q, standard error %s", code, stdout, stderr)
	}
	if response, _ := fetch(t, s.visitor(), "https://signed-in."+domain); response.StatusCode != http.StatusNotFound {
		t.Errorf("visitors get %s", response.Status)
	}
	if len(asked) > 0 {
		t.Errorf("the service was asked for %s without a password", <-asked)
	}
}

// A script's mistakes: exit code 1, every line of standard error behind "ERROR:  ",
// the words that people search for, a code, and nothing on standard output.
func TestMistakesOnTheCommandLine(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("m1.yml", "tunnels:\n  a: {proto: http, addr: 80}\n")
	p.write("m2.yml", "version: \"2\"\nauthtoken: t\ntunnels:\n  b: {proto: http, addr: 80}\n")
	p.write("tabs.yml", "tunnels:\n\ta: {proto: http, addr: 80}\n")
	p.write("nothing.yml", "version: 3\nagent: {authtoken: t}\n")
	for line, wants := range map[string][]string{
		"ngrok http":                            {"You must specify a single argument: a port or address to tunnel to.", "You specified 0 arguments: []"},
		"ngrok http 80 81":                      {"You specified 2 arguments: [80 81]"},
		"ngrok start":                           {"You must specify at least one tunnel to start."},
		"ngrok start --all -config nothing.yml": {"Your configuration file must define at least one tunnel when using --all."},
		"ngrok start nosuch -config=m1.yml -config=m2.yml": {"Tunnel 'nosuch' is not defined in the config files.",
			"Tunnels available: a, b", "Config files read: [m1.yml m2.yml]"},
		"ngrok start a –config m1.yml":                                {"–config", "U+2013"},
		"ngrok http 80 -config=absent.yml":                            {"Error reading configuration file 'absent.yml': open absent.yml: no such file or directory"},
		"ngrok http 80 -bind-tsl=true":                                {"bind-tsl", "bind-tls"},
		"ngrok tcp localhost --connect-url 127.0.0.1:9 --authtoken x": {"localhost", "port"},
		"ngrok tls localhost --connect-url 127.0.0.1:9 --authtoken x": {"localhost", "port"},
		"ngrok start a -config tabs.yml":                              {"tabs.yml:2:1", "config contains tab characters, YAML must use spaces for indentation"},
		"ngrok config check --config tabs.yml":                        {"tabs.yml:2:1", "tab characters"},
		"ngrok http 80 --authtoken x":                                 {"No server is configured", "POSTERN_CONNECT_URL"},
		"ngrok config upgrade 2 --config nothing.yml":                 {"nothing.yml", "2"},
	} {
		code, stdout, stderr := p.gets(line)
		if code != 1 {
			t.Errorf("%s: exit code %d, want 1", line, code)
		}
		if stdout != "" {
			t.Errorf("%s: standard output %q", line, stdout)
		}
		for row := range strings.Lines(stderr) {
			if !strings.HasPrefix(row, "ERROR:") {
				t.Errorf("%s: standard error has the line %q", line, row)
			}
		}
		for _, want := range append(wants, "ERROR:  ERR_") {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: standard error lacks %q:\n%s", line, want, stderr)
			}
		}
	}
}

// Wrappers and scripts read these lines and these exit codes.
func TestWordsThatWrappersRead(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("old.yml", "authtoken: abc # mine\ntunnels:\n  a: {proto: http, addr: 80, bind_tls: true, auth: \"demo:secret\"}\n")
	for _, step := range []struct{ line, stdout string }{
		{"ngrok --version", "ngrok version 3."},
		{"ngrok -v", "ngrok version 3."},
		{"ngrok version", "ngrok version 3."},
		{"ngrok authtoken 2abc --config=" + p.home + "/first.yml", "Authtoken saved to configuration file: " + p.home + "/first.yml"},
		{"ngrok config add-authtoken 3abc --log stdout --config " + p.home + "/first.yml", "Authtoken saved to configuration file: "},
		{"ngrok config add-api-key 4abc --config first.yml", "API key saved to configuration file: first.yml"},
		{"ngrok config check --config first.yml", "Valid configuration file at first.yml"},
		{"ngrok config upgrade --dry-run --config=old.yml", "basic_auth"},
		{"ngrok config upgrade --config=old.yml", "old.yml"},
		{"ngrok config check --config old.yml", "Valid configuration file at old.yml"},
		{"ngrok help http", "ngrok http"},
		{"ngrok update", "postern"},
		{"ngrok update --channel stable", "postern"},
		{"ngrok credits", "Apache License"},
	} {
		code, stdout, stderr := p.gets(step.line)
		if code != 0 || stdout == "" || !strings.Contains(stdout, step.stdout) || stderr != "" {
			t.Errorf("%s: exit code %d\nstandard output %q, want %q in it\nstandard error %q", step.line, code, stdout, step.stdout, stderr)
		}
	}
	if text := p.read("first.yml"); !strings.Contains(text, "3abc") || !strings.Contains(text, "4abc") || strings.Contains(text, "2abc") {
		t.Errorf("first.yml holds\n%s", text)
	}
	if text := p.read("old.yml.v1.bak"); !strings.HasPrefix(text, "authtoken: abc # mine\n") {
		t.Errorf("the old file was kept as\n%s", text)
	}
	if text := p.read("old.yml"); !strings.Contains(text, "# mine") || !strings.Contains(text, "schemes") || strings.Contains(text, "bind_tls") {
		t.Errorf("the new file is\n%s", text)
	}
}

// hostOf is the name in a URL, without a port.
func hostOf(address string) string {
	_, host, _ := strings.Cut(address, "://")
	host, _, _ = strings.Cut(host, "/")
	name, _, _ := strings.Cut(host, ":")
	return name
}

// withoutPort takes the port of a test's server out of a URL.
func withoutPort(address string) string {
	scheme, rest, _ := strings.Cut(address, "://")
	_, path, _ := strings.Cut(rest, "/")
	return scheme + "://" + hostOf(address) + "/" + path
}
