package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// nodeAgent runs node/serve.mjs with @ngrok/ngrok from npm.
type nodeAgent struct {
	URL   string `json:"url"`
	Error string `json:"error"`
	Code  string `json:"code"`
}

func (s *server) nodeAgent(token, options string) nodeAgent {
	s.t.Helper()
	installNodeModules(s.t)
	command := exec.Command("node", "serve.mjs")
	command.Dir = "node"
	command.Env = append(os.Environ(), "NGROK_AUTHTOKEN="+token, "SERVER_ADDR="+s.connectURL(), "ROOT_CAS="+s.caFile, "OPTIONS="+options)
	complaints := &program.Transcript{}
	command.Stderr = complaints
	input, err := command.StdinPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	started, err := program.Run("node", command)
	if err != nil {
		s.t.Fatal(err)
	}
	p := adopt(s.t, started)
	s.t.Cleanup(func() { input.Close(); p.wait(15 * time.Second) })
	var line string
	eventually(s.t, 20*time.Second, func() error {
		ended, whole := p.exited(), false
		if line, _, whole = strings.Cut(p.output(), "\n"); !whole && !ended {
			return fmt.Errorf("node said nothing: %s", complaints)
		}
		return nil
	})
	var agent nodeAgent
	if err := json.Unmarshal([]byte(line), &agent); err != nil {
		s.t.Fatalf("node printed %q: %v; %s", line, err, complaints)
	}
	return agent
}

func installNodeModules(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("node/node_modules/@ngrok/ngrok"); err == nil {
		return
	}
	install := exec.Command("npm", "ci", "--no-audit", "--no-fund")
	install.Dir = "node"
	if output, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, output)
	}
}

func TestNodeSDK(t *testing.T) {
	s := startServer(t)
	agent := s.nodeAgent(s.authtoken, `{}`)
	if !strings.HasPrefix(agent.URL, "https://") {
		t.Fatalf("the SDK got %+v", agent)
	}
	if _, body := fetch(t, s.visitor(), agent.URL+"/a?b=c"); body != "node saw GET /a?b=c over https" {
		t.Errorf("answer %q", body)
	}
	named := s.nodeAgent(s.authtoken, `{"domain":"node.`+domain+`"}`)
	if !strings.HasPrefix(named.URL, "https://node."+domain) {
		t.Fatalf("asked for a name, got %+v", named)
	}
	fetch(t, s.visitor(), named.URL)
}

// Windows that the Rust core clamps, and more visitors at once than its cap of 512
// streams leaves room for: everything arrives, some of it after a wait.
func TestNodeSDKUnderLoad(t *testing.T) {
	s := startServer(t)
	agent := s.nodeAgent(s.authtoken, `{}`)
	visitor := s.visitor()
	sent := random(t, 8<<20)
	response, err := visitor.Post(agent.URL, "application/octet-stream", bytes.NewReader(sent))
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(response.Body)
	response.Body.Close()
	if err != nil || !bytes.Equal(got, sent) {
		t.Fatalf("echo of %d bytes: %d bytes, %v", len(sent), len(got), err)
	}

	crowd := s.transport()
	crowd.ForceAttemptHTTP2 = false
	crowd.DisableKeepAlives = true
	defer crowd.CloseIdleConnections()
	client := &http.Client{Transport: crowd, Timeout: time.Minute}
	const visitors = 600
	failures := make(chan error, visitors)
	var all sync.WaitGroup
	for n := range visitors {
		all.Go(func() {
			url := fmt.Sprintf("%s/%d", agent.URL, n)
			if _, body, err := tryFetch(client, url); err != nil || body != fmt.Sprintf("node saw GET /%d over https", n) {
				failures <- fmt.Errorf("%s: %q %v", url, tail(body, 200), err)
			}
		})
	}
	all.Wait()
	close(failures)
	for failure := range failures {
		t.Error(failure)
	}
}

func TestNodeSDKSeesCodes(t *testing.T) {
	s := startServer(t)
	if agent := s.nodeAgent("nonsense", `{}`); agent.Code != "ERR_NGROK_105" {
		t.Errorf("a bad token gave %+v", agent)
	}
	if agent := s.nodeAgent(s.authtoken, `{"domain":"elsewhere.example"}`); agent.Code != "ERR_NGROK_319" {
		t.Errorf("a foreign domain gave %+v", agent)
	}
	guarded := s.nodeAgent(s.authtoken, `{"basic_auth":["user:password"]}`)
	if guarded.Error != "" {
		t.Fatalf("a password gave %+v", guarded)
	}
	if response, _ := fetch(t, s.visitor(), guarded.URL); response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without the password: %s", response.Status)
	}
	if agent := s.nodeAgent(s.authtoken, `{"oauth_provider":"google"}`); agent.Error == "" {
		t.Errorf("an option that is not enforced was accepted: %+v", agent)
	}
}
