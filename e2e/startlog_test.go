//go:build linux

package e2e_test

import (
	"flag"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var updateLogs = flag.Bool("update-logs", false, "write the golden files of the agent's log")

// masks take out of a log what differs from run to run.
var masks = []struct{ find, with string }{
	{`t=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}`, "t=TIME"},
	{`"t":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(Z|[+-]\d\d:\d\d)"`, `"t":"TIME"`},
	{`\[\d\d-\d\d\|\d\d:\d\d:\d\d\]`, "[TIME]"},
	{`(\bid=|"id":")[0-9a-f]{12}\b`, "${1}ID"},
	{`127\.0\.0\.1:\d+`, "127.0.0.1:PORT"},
	{`(https://golden\.[a-z.]+):\d+`, "$1:PORT"},
	{`(path=|"path":")[^" ]*/`, "${1}DIR/"},
}

func masked(log string) string {
	for _, m := range masks {
		log = regexp.MustCompile(m.find).ReplaceAllString(log, m.with)
	}
	return strings.ReplaceAll(log, "\r\n", "\n")
}

// The log from the first line to the last, as programs read it that wait for lines and
// cut fields by number: both generations, in every format. S3-5, S3-13.
func TestStartLog(t *testing.T) {
	s := startServer(t)
	service := httptest.NewServer(http.NotFoundHandler())
	defer service.Close()
	address := strings.TrimPrefix(service.URL, "http://")
	for name, c := range map[string]struct {
		file     string
		args     []string
		terminal bool
	}{
		"3_logfmt": {"version: 3\nagent: {web_addr: 127.0.0.1:0}\n", []string{"--log=stdout", "--log-format=logfmt"}, false},
		"3_json":   {"version: 3\nagent: {web_addr: 127.0.0.1:0}\n", []string{"--log", "stdout", "--log-format", "json"}, false},
		"3_term":   {"version: 3\nagent: {web_addr: 127.0.0.1:0}\n", []string{"--log=stdout"}, true},
		"2_logfmt": {"web_addr: 127.0.0.1:0\n", []string{"-log=stdout", "-log-format=logfmt", "-log-level=info"}, false},
		"2_json":   {"version: 1\nweb_addr: 127.0.0.1:0\n", []string{"-log=stdout", "-log-format=json", "-log-level=info"}, false},
		"2_term":   {"web_addr: 127.0.0.1:0\n", []string{"-log=stdout"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "ngrok.yml")
			if err := os.WriteFile(file, []byte(c.file), 0o600); err != nil {
				t.Fatal(err)
			}
			args := append([]string{"http", address, "--bind-tls", "true", "--subdomain", "golden", "--config", file}, c.args...)
			log := s.startLog(t, args, c.terminal)
			path := filepath.Join("testdata", "startlog", name+".txt")
			if *updateLogs {
				if err := os.WriteFile(path, []byte(log), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if log != string(want) {
				t.Errorf("the log is\n%s\nand was\n%s", log, want)
			}
		})
	}
}

// startLog runs an agent until its tunnel is there, stops it, and gives its log.
func (s *server) startLog(t *testing.T, args []string, terminal bool) string {
	t.Helper()
	argv := append([]string{posternBinary}, args...)
	argv = append(argv, "--connect-url", s.connectURL(), "--connect-cas", s.caFile, "--authtoken", s.authtoken)
	environment := []string{"HOME=" + t.TempDir(), "XDG_CONFIG_HOME=", "TERM=xterm"}
	if terminal {
		p := onTerminal(t, environment, argv...)
		p.await("started tunnel")
		if err := p.command.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if code := p.end(); code != 0 {
			t.Errorf("exit status %d", code)
		}
		p.await("session closing")
		return masked(p.Output())
	}
	p := startProcess(t, "agent", environment, argv...)
	p.waitFor("started tunnel", 15*time.Second)
	p.signal(syscall.SIGTERM)
	if code := p.wait(15 * time.Second); code != 0 {
		t.Errorf("exit status %d", code)
	}
	return masked(p.output())
}

// What wrappers of old do with a log at the level debug, and what all do with one that
// ends before it has begun.
func TestLogsThatWrappersSearch(t *testing.T) {
	s := startServer(t)
	p := s.agentProcess("http", "80", "--subdomain", "searched", "--log-level", "debug")
	p.onlineURL()
	found := regexp.MustCompile(`URL:(\S+)\sProto:(http|https)\s`).FindStringSubmatch(p.output())
	if found == nil || !strings.HasPrefix(found[1], "https://searched."+domain) || found[2] != "https" {
		t.Errorf("found %q in %s", found, p.output())
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "ngrok.yml")
	if err := os.WriteFile(file, []byte("version: 2\nweb_addr: "+taken.Addr().String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p = s.agentProcess("start", "--none", "--config", file)
	if code := p.wait(15 * time.Second); code != 1 {
		t.Errorf("exit status %d", code)
	}
	want := regexp.MustCompile(`lvl=crit msg="command failed" err="[^"]*` + regexp.QuoteMeta(taken.Addr().String()) + `: bind: address already in use`)
	if !want.MatchString(p.output()) {
		t.Errorf("no %s in %s", want, p.output())
	}

	s.Authtoken += "x"
	p = s.agentProcess("start", "--none")
	if code := p.wait(15 * time.Second); code != 1 {
		t.Errorf("exit status %d", code)
	}
	want = regexp.MustCompile(`lvl=eror msg="failed to auth" obj=tunnels.session err="[^"]*ERR_NGROK_10[57]`)
	if !want.MatchString(p.output()) {
		t.Errorf("no %s in %s", want, p.output())
	}
}
