//go:build linux

package e2e_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
)

// terminal is a pseudo-terminal with a program on it.
type terminal struct {
	*testkit.Terminal
	t       *testing.T
	command *exec.Cmd
	ended   chan error
}

// onTerminal runs a program that sits alone on a terminal of 100 by 30.
func onTerminal(t *testing.T, environment []string, argv ...string) *terminal {
	t.Helper()
	p := &terminal{Terminal: testkit.OpenTerminal(t, 100, 30), t: t, ended: make(chan error, 1)}
	p.command = exec.Command(argv[0], argv[1:]...)
	p.command.Env = append(os.Environ(), environment...)
	p.command.Stdin, p.command.Stdout, p.command.Stderr = p.Program, p.Program, p.Program
	p.command.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	_ = p.Program.Close() // the program has it, and the terminal's end shall be the program's
	p.Record()
	go func() { p.ended <- p.command.Wait() }()
	t.Cleanup(func() { _ = p.command.Process.Kill() })
	return p
}

func (p *terminal) await(part string) {
	p.t.Helper()
	eventually(p.t, 15*time.Second, func() error {
		if text := p.Output(); !strings.Contains(text, part) {
			return fmt.Errorf("the terminal does not show %q: %q", part, tail(text, 4000))
		}
		return nil
	})
}

// end is the program's exit status.
func (p *terminal) end() int {
	p.t.Helper()
	select {
	case <-p.ended:
		return p.command.ProcessState.ExitCode()
	case <-time.After(15 * time.Second):
		p.t.Fatalf("the program does not end: %q", tail(p.Output(), 4000))
	}
	return -1
}

// onTerminal runs an agent of this server on a terminal.
func (s *server) onTerminal(environment []string, args ...string) *terminal {
	s.t.Helper()
	argv := append([]string{posternBinary}, args...)
	argv = append(argv, "--connect-url", s.connectURL(), "--connect-cas", s.caFile, "--authtoken", s.authtoken)
	environment = append([]string{"HOME=" + s.t.TempDir(), "XDG_CONFIG_HOME=", "TERM=xterm-256color", "NO_COLOR="}, environment...)
	return onTerminal(s.t, environment, argv...)
}

// S0-26: session status, version, region, web interface, forwarding rows, numbers and
// requests, on a real terminal; Ctrl+C drains and gives the terminal back.
func TestScreenOfTheAgent(t *testing.T) {
	s := startServer(t)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) }))
	defer service.Close()
	url := "https://screen." + domain
	p := s.onTerminal(nil, "http", service.URL, "--url", url)
	for _, row := range []string{"\x1b[?1049h", "Session Status", "online", "Version", "Region", "Web Interface", "http://127.0.0.1:",
		"Forwarding", " -> " + service.URL, "Connections", "Ctrl+C to quit"} {
		p.await(row)
	}
	response, _ := fetch(t, s.visitor(), url+"/searchContactsByName?key=secret")
	if response.StatusCode != http.StatusAccepted {
		t.Fatalf("the visitor got %s", response.Status)
	}
	p.await("HTTP Requests")
	p.await("/searchContactsByName")
	p.await("202 Accepted")
	if strings.Contains(p.Output(), "secret") {
		t.Error("the query is on the screen")
	}
	service.Close()
	if response, _ = fetch(t, s.visitor(), url+"/gone"); response.StatusCode != http.StatusBadGateway {
		t.Fatalf("without a service the visitor got %s", response.Status)
	}
	p.await("Last Failure")
	p.await("Start the service") // the next step, of the catalogue
	before := len(p.Output())
	p.Resize(40, 10)
	eventually(t, 10*time.Second, func() error {
		if drawn := p.Output()[before:]; !strings.Contains(drawn, "Session Status") {
			return fmt.Errorf("not drawn for another size: %q", drawn)
		}
		return nil
	})
	p.Press("\x03")
	if code := p.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	p.await("\x1b[?1049l")
}

// Terminals that cannot move their cursor get rows, and so does whoever sits at one
// whose agent cannot start.
func TestRowsOfTheAgent(t *testing.T) {
	s := startServer(t)
	p := s.onTerminal([]string{"TERM=dumb"}, "http", "8080", "--url", "https://rows."+domain)
	p.await("Session Status                online")
	p.await(" -> http://localhost:8080")
	if text := p.Output(); strings.Contains(text, "\x1b") {
		t.Errorf("a sequence on a dumb terminal: %q", text)
	}
	p.Press("\x03") // a signal here: the terminal makes it one
	if code := p.end(); code != 0 {
		t.Errorf("exit status %d", code)
	}

	file := filepath.Join(t.TempDir(), "ngrok.yml")
	if err := os.WriteFile(file, []byte("version: 3\nagent: {console_ui: sometimes}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p = s.onTerminal(nil, "http", "8080", "--config", file)
	p.await("console_ui")
	if code := p.end(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	p = onTerminal(t, []string{"TERM=xterm"}, posternBinary, "http", "8080", "--connect-url", s.connectURL(), "--connect-cas", s.caFile, "--authtoken", "wrong")
	p.await("ERROR:")
	if code := p.end(); code != 1 {
		t.Errorf("exit status %d", code)
	}
	if text := p.Output(); strings.LastIndex(text, "\x1b[?1049l") > strings.Index(text, "ERROR:") {
		t.Errorf("the error went away with the screen: %q", text)
	}
}
