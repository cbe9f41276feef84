package program

import (
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// StartAgent runs "postern <args>" against the server, with its log on standard
// output. environment and stderr are as for Start.
func (s *Server) StartAgent(connect string, environment []string, stderr io.Writer, args ...string) (*Process, error) {
	argv := append([]string{s.Binary}, args...)
	argv = append(argv, "--connect-url", connect, "--connect-cas", s.CAFile, "--authtoken", s.Authtoken,
		"--log", "stdout", "--log-format", "logfmt")
	// The files of whoever runs the tests are none of theirs.
	environment = append([]string{"HOME=" + filepath.Dir(s.Config), "XDG_CONFIG_HOME="}, environment...)
	process, err := Start("agent "+strings.Join(args, " "), environment, stderr, argv...)
	if err != nil {
		return nil, err
	}
	return process, process.keepLog(s.Logs)
}

var startedTunnel = regexp.MustCompile(`msg="started tunnel".* url=(\S+)`)

// Online waits until the agent says that n endpoints are online and returns their
// URLs in that order.
func (p *Process) Online(n int) (urls []string, err error) {
	err = Eventually(10*time.Second, func() error {
		found := startedTunnel.FindAllStringSubmatch(p.Output(), -1)
		if len(found) < n {
			if p.Exited() {
				return fmt.Errorf("%s ended: %s", p.Name, p.Output())
			}
			return fmt.Errorf("%s has %d of %d endpoints online", p.Name, len(found), n)
		}
		urls = urls[:0]
		for _, match := range found {
			urls = append(urls, match[1])
		}
		return nil
	})
	return urls, err
}
