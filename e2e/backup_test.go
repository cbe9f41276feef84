package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.ngrok.com/ngrok/v2"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// command runs "postern server …" with the server's configuration, and returns what it
// prints.
func (s *server) command(args ...string) []byte {
	s.t.Helper()
	argv := append([]string{"server"}, args...)
	output, err := exec.Command(posternBinary, append(argv, "--config", s.Config)...).Output()
	if err != nil {
		s.t.Fatalf("postern %s: %v", strings.Join(argv, " "), program.Described(err))
	}
	return output
}

// writing binds one new name after another until the test stops it, so that the
// database is written to all the time.
func (s *server) writing() (stop func() int) {
	ctx, cancel := context.WithCancel(s.t.Context())
	agent, bound := s.sdk(), 0
	var writer sync.WaitGroup
	writer.Go(func() {
		for ctx.Err() == nil {
			listener, err := agent.Listen(sdkContext(s.t), ngrok.WithURL(fmt.Sprintf("https://written%d.%s", bound, domain)))
			if err != nil {
				s.t.Errorf("bind: %v", err)
				return
			}
			bound++
			if err := listener.Close(); err != nil {
				s.t.Error(err)
			}
		}
	})
	return func() int {
		cancel()
		writer.Wait()
		_ = agent.Disconnect()
		return bound
	}
}

// keepCA copies the CA's file to where clients have theirs: not on the server.
func (s *server) keepCA() {
	s.t.Helper()
	text, err := os.ReadFile(s.caFile)
	if err != nil {
		s.t.Fatal(err)
	}
	s.caFile = filepath.Join(s.t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.caFile, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.CAFile = s.caFile
}

func (s *server) caPin() string {
	s.t.Helper()
	var keys struct {
		Pin string `json:"ca_pin"`
	}
	output := s.command("bootstrap", "--format", "json")
	if err := json.Unmarshal(output, &keys); err != nil || keys.Pin == "" {
		s.t.Fatalf("bootstrap printed %q: %v", output, err)
	}
	return keys.Pin
}

// A backup is made while the server runs and is written to. Then the machine is lost.
// Another one, which has nothing but the configuration and the archive, becomes the same
// server: agents come back by themselves and nobody has to be told anything.
func TestBackupIsRestoredOnBareMachine(t *testing.T) {
	s := startServer(t)
	s.keepCA()
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "from the service") }))
	defer service.Close()
	upstream := service.Listener.Addr().String()
	_, assigned := s.agent("http", upstream, "--scheme", "https")
	_, port := s.agent("tcp", upstream)
	pin := s.caPin()

	target := filepath.Join(t.TempDir(), "postern.tar.gz")
	stop := s.writing()
	var report struct {
		Archive  string   `json:"archive"`
		Bytes    int64    `json:"bytes"`
		LeftOut  []string `json:"left_out"`
		Manifest struct {
			Files []struct{ Name string }
		}
	}
	for range 3 { // the second replaces the first
		if err := json.Unmarshal(s.command("backup", target, "--format", "json"), &report); err != nil {
			t.Fatal(err)
		}
	}
	if bound := stop(); bound == 0 {
		t.Error("nothing was written meanwhile")
	}
	info, err := os.Stat(target)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() != report.Bytes || report.Archive != target || len(report.Manifest.Files) < 6 || len(report.LeftOut) != 0 {
		t.Errorf("%v, %v; the report says %+v", info, err, report)
	}
	if out := s.refused("restore", target); !strings.Contains(out, "a server uses data_dir") || !strings.Contains(out, "ERR_POSTERN_505") {
		t.Errorf("restore over the running server: %s", out)
	}

	lost := filepath.Join(filepath.Dir(s.Config), "data")
	s.process.signal(syscall.SIGKILL)
	s.process.wait(5 * time.Second)
	if err := os.RemoveAll(lost); err != nil {
		t.Fatal(err)
	}
	s.Config = filepath.Join(t.TempDir(), "server.yml")
	if err := s.Configure(); err != nil {
		t.Fatal(err)
	}
	if out := s.command("restore", target); !bytes.Contains(out, []byte(filepath.Join(filepath.Dir(s.Config), "data"))) {
		t.Errorf("restore printed %s", out)
	}
	s.start()

	// The agents that were there all the time are back, under their names.
	visitor := s.visitor()
	eventually(t, 20*time.Second, func() error {
		response, body, err := tryFetch(visitor, assigned)
		if err == nil && (response.StatusCode != http.StatusOK || body != "from the service") {
			err = fmt.Errorf("%s %q", response.Status, body)
		}
		return err
	})
	_, number, err := net.SplitHostPort(strings.TrimPrefix(port, "tcp://"))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		response, err := http.Get("http://127.0.0.1:" + number)
		if err != nil {
			return err
		}
		return response.Body.Close()
	})
	if now := s.caPin(); now != pin {
		t.Errorf("the CA's fingerprint was %s and is %s", pin, now)
	}
	someone := newPerson(t)
	if status, _, errors := someone.run("login", fmt.Sprintf("https://127.0.0.1:%d", s.https), "--token", s.authtoken, "--ca-pin", pin); status != 0 {
		t.Errorf("a login with the old token and fingerprint: status %d, %s", status, errors)
	}
	// Who starts anew has the name as well, which the server remembers.
	for _, agent := range s.agents {
		agent.signal(syscall.SIGTERM)
		agent.wait(20 * time.Second)
	}
	eventually(t, 20*time.Second, func() error { // while the name is online, others get another
		response, _, err := tryFetch(visitor, assigned)
		if err == nil && response.StatusCode != http.StatusNotFound {
			err = fmt.Errorf("with no agent: %s", response.Status)
		}
		return err
	})
	if _, again := s.agent("http", upstream, "--scheme", "https"); again != assigned {
		t.Errorf("a new agent has %s, the first had %s", again, assigned)
	}
	if out := s.refused("restore", target); !strings.Contains(out, "ERR_POSTERN_505") {
		t.Errorf("restore again: %s", out)
	}
}

// refused runs "postern server …", which must fail, and returns what it complains of.
func (s *server) refused(args ...string) string {
	s.t.Helper()
	command := exec.Command(posternBinary, append(append([]string{"server"}, args...), "--config", s.Config)...)
	var complaint bytes.Buffer
	command.Stderr = &complaint
	if err := command.Run(); err == nil {
		s.t.Errorf("postern server %s worked", strings.Join(args, " "))
	}
	return complaint.String()
}
