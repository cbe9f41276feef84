package program

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern/internal/testkit/ports"
)

// Server is "postern server" with a data directory of its own. Its ports stay the
// same over restarts.
type Server struct {
	Binary, Domain string
	Config         string // the configuration file
	Address        string // where visitors and agents come; "" is 127.0.0.1
	HTTPS, HTTP    int    // ports there
	Admin          int    // port of 127.0.0.1
	TCPFirst       int    // ten ports from here are for TCP endpoints, and ten for UDP endpoints
	Authtoken      string
	APIKey         string
	CAFile         string
	Wrapper        []string // argv put before the server's, e.g. prlimit
	Logs           string   // a directory for all that it and its agents print; "" is none
	Process        *Process // of the last Start

	claim *ports.Claim // of the ports, while nobody listens there too
}

// NewServer writes the configuration of a server below dir, with extra lines at its
// end. It starts nothing.
func NewServer(binary, domain, dir string, extra ...string) (*Server, error) {
	claim, err := ports.Take(13)
	if err != nil {
		return nil, err
	}
	ports := claim.All()
	s := &Server{Binary: binary, Domain: domain, Config: filepath.Join(dir, "server.yml"),
		HTTPS: ports[0], HTTP: ports[1], Admin: ports[2], TCPFirst: ports[3], claim: claim}
	return s, s.Configure(extra...)
}

// Configure writes the configuration again with other extra lines.
func (s *Server) Configure(extra ...string) error {
	address := cmp.Or(s.Address, "127.0.0.1")
	text := fmt.Sprintf(`domain: %s
data_dir: %s
listen:
  https: "%s:%d"
  http: "%s:%d"
  admin: 127.0.0.1:%d
  tcp_ports: %d-%d
  udp_ports: %d-%d
%s
`, s.Domain, filepath.Join(filepath.Dir(s.Config), "data"), address, s.HTTPS, address, s.HTTP, s.Admin, s.TCPFirst, s.TCPFirst+9, s.TCPFirst, s.TCPFirst+9, strings.Join(extra, "\n"))
	return replace(s.Config, text)
}

// replace writes a file so that who reads it meanwhile finds the old or the new text.
func replace(path, text string) error {
	beside := path + ".new"
	if err := os.WriteFile(beside, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

// Start runs the process and returns once /readyz says so. The caller ends Process.
func (s *Server) Start() error {
	argv := append(slices.Clone(s.Wrapper), s.Binary, "server", "--config", s.Config)
	process, err := Start("server", nil, nil, argv...)
	if err != nil {
		return err
	}
	s.Process = process
	if err := process.keepLog(s.Logs); err != nil {
		return err
	}
	return Eventually(10*time.Second, func() error {
		if process.Exited() {
			return fmt.Errorf("the server ended: %s", process.Output())
		}
		response, err := http.Get(s.AdminURL("/readyz"))
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", response.Status)
		}
		return nil
	})
}

// Bootstrap makes the first account and keeps its keys and the CA's file.
func (s *Server) Bootstrap() error {
	output, err := exec.Command(s.Binary, "server", "bootstrap", "--config", s.Config, "--format", "json").Output()
	if err != nil {
		return fmt.Errorf("bootstrap: %w", Described(err))
	}
	var keys struct {
		AccountID string `json:"account_id"`
		UserID    string `json:"user_id"`
		APIKey    string `json:"api_key"`
		Authtoken string `json:"authtoken"`
		CAFile    string `json:"ca_file"`
	}
	if err := json.Unmarshal(output, &keys); err != nil {
		return fmt.Errorf("bootstrap printed %q: %w", output, err)
	}
	if keys.AccountID == "" || keys.UserID == "" || keys.APIKey == "" || keys.Authtoken == "" || keys.CAFile == "" {
		return fmt.Errorf("bootstrap left something out: %s", output)
	}
	s.Authtoken, s.APIKey, s.CAFile = keys.Authtoken, keys.APIKey, keys.CAFile
	return nil
}

// AdminURL is a path of the operator's listener.
func (s *Server) AdminURL(path string) string {
	return fmt.Sprintf("http://127.0.0.1:%d%s", s.Admin, path)
}

// ConnectURL is where agents dial.
func (s *Server) ConnectURL() string { return fmt.Sprintf("127.0.0.1:%d", s.HTTPS) }

// Pool trusts the server's own CA and nobody else.
func (s *Server) Pool() (*x509.CertPool, error) {
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", s.CAFile)
	}
	return pool, nil
}

// DialContext reaches any name of the domain, which resolves nowhere, at the
// server's loopback address.
func (s *Server) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	_, number, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	switch number {
	case "443":
		number = fmt.Sprint(s.HTTPS)
	case "80":
		number = fmt.Sprint(s.HTTP)
	}
	return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+number)
}
