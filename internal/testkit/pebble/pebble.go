// Package pebble runs pebble, Let's Encrypt's ACME server for tests, as a process of its
// own. The process is the test's own program: a package that uses it calls Become first in
// its TestMain. What it looks up a nameserver.Local answers.
package pebble

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

// variable has a test's program be pebble.
const variable = "POSTERN_TEST_PEBBLE"

// Config says how pebble behaves.
type Config struct {
	// HTTPPort and TLSPort are where it looks for answers to http-01 and tls-alpn-01; 0: nowhere.
	HTTPPort, TLSPort int
	// DNS is the host:port of the only name server that it asks.
	DNS string
	// EAB has accounts need an external one: base64url keys by their ids; nil: they do not.
	EAB map[string]string
	// Blocked are names that it refuses.
	Blocked []string
	// Validity is how long its certificates are good for; 0: 90 days.
	Validity time.Duration
	// Listen is the host:port of its directory; "": a port of its own.
	Listen string
	// Wrapper is put before the process's command line, such as what runs it in another
	// network.
	Wrapper []string `json:"-"`
}

// Server is a pebble that runs until the test ends.
type Server struct {
	// Directory and Management are the URLs of the ACME directory and of what is for tests.
	Directory, Management string
	// CAFile is the root, in PEM, of the certificate that the directory itself shows.
	CAFile string
	// Roots are those of the certificates that it issues.
	Roots *x509.CertPool
	// RootPEM is the same as text.
	RootPEM string

	process *exec.Cmd
	input   interface{ Close() error }
}

// told is what the process says when it serves.
type told struct{ Directory, Management, CA, Root string }

// Start runs pebble. It fails the test if that does not serve within a minute.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	orders, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	argv := append(slices.Clone(c.Wrapper), os.Args[0])
	process := exec.Command(argv[0], argv[1:]...)
	process.Env = append(os.Environ(), variable+"="+string(orders), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_AUTHZREUSE=0", "PEBBLE_WFE_NONCEREJECT=20")
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := process.StdinPipe() // its end is the process's
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	s := &Server{process: process, input: in}
	t.Cleanup(s.Stop)
	lines := make(chan []byte, 1)
	go func() {
		defer close(lines)
		if scanner := bufio.NewScanner(out); scanner.Scan() {
			lines <- scanner.Bytes()
		}
	}()
	select {
	case line := <-lines:
		s.read(t, line)
	case <-time.After(time.Minute):
		t.Fatal("pebble does not serve after a minute")
	}
	return s
}

func (s *Server) read(t testing.TB, line []byte) {
	t.Helper()
	var said told
	if err := json.Unmarshal(line, &said); err != nil {
		t.Fatalf("pebble says %q: %v", line, err)
	}
	s.Directory, s.Management = said.Directory, said.Management
	s.CAFile = t.TempDir() + "/pebble-ca.pem"
	if err := os.WriteFile(s.CAFile, []byte(said.CA), 0o600); err != nil {
		t.Fatal(err)
	}
	s.RootPEM, s.Roots = said.Root, x509.NewCertPool()
	if !s.Roots.AppendCertsFromPEM([]byte(said.Root)) {
		t.Fatal("pebble's root cannot be read")
	}
}

// Stop ends the process; the end of the test does so, too.
func (s *Server) Stop() {
	_ = s.input.Close()
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}
