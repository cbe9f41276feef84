package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// cloud stands in for a service that calls registered webhooks and sends browsers back
// to a registered redirect URL. It reaches bots by their public URLs alone.
type cloud struct {
	*httptest.Server
	t        *testing.T
	outside  *http.Client
	hooks    chan string // targets as they are registered
	redirect string      // of the integration's registration
}

func newCloud(t *testing.T, s *server) *cloud {
	c := &cloud{t: t, outside: s.visitor(), hooks: make(chan string, 10)}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /webhooks", c.register)
	routes.HandleFunc("GET /authorize", c.authorize)
	c.Server = httptest.NewServer(routes)
	t.Cleanup(c.Close)
	return c
}

// register takes absolute https URLs only, as such services do.
func (c *cloud) register(w http.ResponseWriter, r *http.Request) {
	var hook struct {
		TargetURL string `json:"targetUrl"`
	}
	err := json.NewDecoder(r.Body).Decode(&hook)
	target, parseErr := url.Parse(hook.TargetURL)
	if err != nil || parseErr != nil || target.Scheme != "https" || target.Host == "" {
		http.Error(w, "targetUrl must be an absolute https URL", http.StatusBadRequest)
		return
	}
	c.hooks <- hook.TargetURL
	fmt.Fprintf(w, `{"id":"hook-%d"}`, time.Now().UnixNano())
}

// authorize is the page on which a person says yes, and which sends the browser on.
func (c *cloud) authorize(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, c.redirect+"/oauth?code=secret-code&state="+r.FormValue("state"), http.StatusFound)
}

// nextHook is what the bot registered.
func (c *cloud) nextHook() string {
	c.t.Helper()
	select {
	case target := <-c.hooks:
		return target
	case <-time.After(20 * time.Second):
		c.t.Fatal("no webhook was registered")
		return ""
	}
}

// event calls the webhook and returns the parts of the answer.
func (c *cloud) event(target, command string) map[string][]byte {
	c.t.Helper()
	body, _ := json.Marshal(map[string]string{"text": command, "person": "Zoë"})
	response, err := c.outside.Post(target, "application/json", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	kind, parameters, err := mime.ParseMediaType(response.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || response.StatusCode != http.StatusOK {
		c.t.Fatalf("the webhook answered %s %q", response.Status, response.Header.Get("Content-Type"))
	}
	parts := map[string][]byte{}
	for reader := multipart.NewReader(response.Body, parameters["boundary"]); ; {
		part, err := reader.NextPart()
		if err == io.EOF {
			return parts
		}
		if err != nil {
			c.t.Fatal(err)
		}
		if parts[part.FormName()], err = io.ReadAll(part); err != nil {
			c.t.Fatal(err)
		}
	}
}

// signIn is a person's browser that the cloud sends back to the bot.
func (c *cloud) signIn(state string) error {
	browser := &http.Client{Transport: c.outside.Transport, Timeout: 10 * time.Second}
	response, body, err := tryFetch(browser, c.URL+"/authorize?state="+state)
	if err != nil {
		return err
	}
	if want := "signed in with secret-code for " + state; body != want {
		return fmt.Errorf("the browser ended at %s with %s %q", response.Request.URL, response.Status, tail(body, 200))
	}
	return nil
}

// startBot runs bot.py as a person who has the agent on the PATH and its file at home.
func (p *person) startBot(c *cloud, arguments ...string) *process {
	p.t.Helper()
	script, err := filepath.Abs("bot/bot.py")
	if err != nil {
		p.t.Fatal(err)
	}
	command := exec.Command("python3", append([]string{script}, arguments...)...)
	command.Env = append(append(os.Environ(), p.environment...), "CLOUD="+c.URL)
	input, err := command.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { input.Close() })
	bot, err := program.Run("bot", command)
	if err != nil {
		p.t.Fatal(err)
	}
	return adopt(p.t, bot)
}

// agentOf is the process id that the bot told last.
func agentOf(t *testing.T, bot *process) (pid int) {
	t.Helper()
	for line := range strings.Lines(bot.output()) {
		var said struct {
			Agent int `json:"agent"`
		}
		if json.Unmarshal([]byte(line), &said) == nil && said.Agent != 0 {
			pid = said.Agent
		}
	}
	if pid == 0 {
		t.Fatalf("the bot told of no agent: %s", bot.output())
	}
	return pid
}

// S3-2…S3-5, S3-12, S3-13: from nothing to an event that is heard, by programs alone.
func TestBotHearsOfEvents(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := newCloud(t, s)
	p := s.person()
	p.write(".ngrok2/ngrok.yml", "authtoken: "+s.authtoken+"\n")
	p.startBot(c)
	target := c.nextHook()
	if !strings.HasSuffix(hostOf(target), "."+domain) {
		t.Errorf("the webhook leads to %s", target)
	}
	report := bytes.Repeat(everyByte(), 1024)
	for command, want := range map[string]string{"/status": "all is well", "/hello": "hello Zoë"} {
		parts := c.event(target, command)
		if string(parts["text"]) != want || !bytes.Equal(parts["report.bin"], report) {
			t.Errorf("%s was answered with %q and a report of %d bytes", command, parts["text"], len(parts["report.bin"]))
		}
	}
}

func everyByte() []byte {
	all := make([]byte, 256)
	for n := range all {
		all[n] = byte(n)
	}
	return all
}

// S3-6, S3-7: a redirect URL that is part of a registration stays, over restarts of the
// agent, which the bot watches, and of the server.
func TestBotsRedirectURLStays(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := newCloud(t, s)
	p := s.person()
	p.write(".ngrok2/ngrok.yml", "authtoken: "+s.authtoken+"\n")
	bot := p.startBot(c, "-subdomain=standup-bot", "-bind-tls=true")
	target := c.nextHook()
	c.redirect = target
	if withoutPort(target) != "https://standup-bot."+domain+"/" {
		t.Errorf("the bot is at %s", target)
	}
	if err := c.signIn("before"); err != nil {
		t.Error(err)
	}

	agent, err := os.FindProcess(agentOf(t, bot))
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.Kill(); err != nil {
		t.Fatal(err)
	}
	if again := c.nextHook(); again != target {
		t.Errorf("after the agent's end the bot registered %s, was %s", again, target)
	}
	if err := c.signIn("after-the-agent"); err != nil {
		t.Error(err)
	}

	s.restart()
	eventually(t, 20*time.Second, func() error { return c.signIn("after-the-server") })
	if parts := c.event(target, "/status"); string(parts["text"]) != "all is well" {
		t.Errorf("the event was answered with %q", parts["text"])
	}
}
