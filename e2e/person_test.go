package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
)

// person is somebody's home directory, in which the agent is installed as "postern"
// and, through a link, as "ngrok". What is typed runs in a shell, letter by letter.
type person struct {
	t           *testing.T
	home        string
	environment []string
}

// person gives a home directory whose environment says where the server is; the
// authtoken is up to the test.
func (s *server) person() *person {
	s.t.Helper()
	p := newPerson(s.t)
	p.environment = append(p.environment, "POSTERN_CONNECT_URL="+s.connectURL(), "POSTERN_CONNECT_CAS="+s.caFile)
	return p
}

// newPerson is somebody who has no server.
func newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{t: t, home: t.TempDir()}
	bin := filepath.Join(p.home, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postern", "ngrok"} {
		if err := os.Symlink(posternBinary, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	// What the person who runs the tests has configured is none of the tests' business.
	p.environment = []string{"HOME=" + p.home, "PATH=" + bin + string(os.PathListSeparator) + os.Getenv("PATH"), "XDG_CONFIG_HOME=",
		"NGROK_AUTHTOKEN=", "NGROK_API_KEY=", "POSTERN_AUTHTOKEN=", "POSTERN_API_KEY=", "POSTERN_CONNECT_URL=", "POSTERN_CONNECT_CAS="}
	return p
}

// loggedIn puts the server's authtoken into the environment.
func (p *person) loggedIn(s *server) *person {
	p.environment = append(p.environment, "NGROK_AUTHTOKEN="+s.authtoken)
	return p
}

// write stores a file below the home directory and returns its path.
func (p *person) write(name, text string) string {
	p.t.Helper()
	path := filepath.Join(p.home, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
	return path
}

// read returns a file below the home directory.
func (p *person) read(name string) string {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.home, name))
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

// typed is a command line that runs: process.output() is its standard output alone.
type typed struct {
	*process
	errors *program.Transcript
}

// types starts what a person types into a shell in the home directory.
func (p *person) types(line string) typed {
	p.t.Helper()
	errors := &program.Transcript{}
	started, err := program.Start(line, p.environment, errors, "sh", "-c", "cd && exec "+line)
	if err != nil {
		p.t.Fatal(err)
	}
	command := typed{adopt(p.t, started), errors}
	p.t.Cleanup(func() {
		if p.t.Failed() {
			p.t.Logf("---- %s: standard error:\n%s", line, errors)
		}
	})
	return command
}

// gets runs what a person types to its end and returns exit code and both outputs.
func (p *person) gets(line string) (code int, stdout, stderr string) {
	p.t.Helper()
	return p.runs("sh", "-c", "cd && exec "+line)
}

// run is gets for arguments that no shell has to take apart, under our own name.
func (p *person) run(args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	return p.runs(posternBinary, args...)
}

func (p *person) runs(name string, args ...string) (code int, stdout, stderr string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 30*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, name, args...)
	var out, errors bytes.Buffer
	command.Env, command.Stdout, command.Stderr = append(os.Environ(), p.environment...), &out, &errors
	if err := command.Run(); err != nil && (command.ProcessState == nil || command.ProcessState.ExitCode() < 0) {
		p.t.Fatalf("%s %q: %v\nstandard output %s\nstandard error %s", name, args, err, &out, &errors)
	}
	return command.ProcessState.ExitCode(), out.String(), errors.String()
}

// start runs a command until the test ends; its standard error is kept apart.
func (p *person) start(stderr *program.Transcript, environment []string, args ...string) *process {
	p.t.Helper()
	started, err := program.Start("agent "+strings.Join(args, " "), append(slices.Clone(p.environment), environment...), stderr, append([]string{posternBinary}, args...)...)
	if err != nil {
		p.t.Fatal(err)
	}
	return adopt(p.t, started)
}

// lines waits until n whole lines are on standard output and returns all there are.
func (c typed) lines(n int) []string {
	c.t.Helper()
	var text string
	eventually(c.t, 10*time.Second, func() error {
		if text = c.output(); strings.Count(text, "\n") >= n {
			return nil
		}
		if c.exited() {
			return fmt.Errorf("%s ended", c.Name)
		}
		return fmt.Errorf("%s has not printed %d lines", c.Name, n)
	})
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
