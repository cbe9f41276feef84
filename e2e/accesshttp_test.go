package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// homeDomain is one below localhost, which every program finds by itself.
const homeDomain = "postern.localhost"

// accessHTTP runs "postern access http" for a gated endpoint, and gives where it listens.
// How the password is given is the caller's.
func (g *gated) accessHTTP(environment []string, args ...string) (*process, string) {
	g.t.Helper()
	argv := append([]string{posternBinary, "access", "http", g.url, "--ca", g.server.caFile}, args...)
	p := startProcess(g.t, "access http", append([]string{"HOME=" + g.t.TempDir(), "XDG_CONFIG_HOME="}, environment...), argv...)
	p.waitFor(" -> "+g.url+"\n", 20*time.Second)
	return p, regexp.MustCompile(`(?m)^(http://127\.0\.0\.1:[0-9]+) -> `).FindStringSubmatch(p.output())[1]
}

// A colleague's programs reach an endpoint behind a password through an address of their
// own machine, with the token that is the service's and nothing of the gate's.
func TestAccessHTTP(t *testing.T) {
	t.Parallel()
	s := newServerOf(t, homeDomain)
	s.start()
	s.bootstrap()
	g := s.gate(newJWTService(t), gateCredentials)
	file := filepath.Join(t.TempDir(), "auth")
	if err := os.WriteFile(file, []byte("ann:correct horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	bearer := "Authorization: Bearer " + jwt("ann")
	for name, given := range map[string]struct{ environment, args []string }{
		"environment": {environment: []string{"POSTERN_ENDPOINT_AUTH=ann:correct horse"}},
		"file":        {args: []string{"--auth-file", file, "--log", "stderr", "--log-level", "debug"}},
		"flag":        {args: []string{"--auth", "ann:correct horse", "--log", "stderr", "--log-level", "debug"}},
	} {
		p, local := g.accessHTTP(given.environment, given.args...)
		out, ok := curl(t, "-i", "-H", bearer, local+"/")
		if !ok || !strings.Contains(out, "hello ann, host "+strings.TrimPrefix(g.url, "https://")) || strings.Contains(out, "__Host-postern") {
			t.Errorf("%s: %s", name, out)
		}
		got := g.service.last()
		if got.Get("Authorization") != "Bearer "+jwt("ann") || got.Get("Postern-Authorization") != "" {
			t.Errorf("%s: the service got %v", name, got)
		}
		if out, _ := curl(t, local+"/"); !strings.Contains(out, "401") { // the service's own
			t.Errorf("%s, without a token: %s", name, out)
		}
		if out, ok := curl(t, "-H", bearer, "-H", "Host: rebound.example", local+"/"); ok || !strings.Contains(out, "403") {
			t.Errorf("%s, by a foreign name: %s", name, out)
		}
		if log := p.output(); strings.Contains(log, "correct horse") || strings.Contains(log, basicOf("ann:correct horse")[6:]) {
			t.Errorf("%s: the password is in %s", name, log)
		}
	}
	g.service.gotNothingOf("correct horse", "ann:")

	p, local := g.accessHTTP([]string{"POSTERN_ENDPOINT_AUTH=ann:wrong horse"})
	if out, ok := curl(t, "-H", bearer, local+"/"); ok || !strings.Contains(out, "502") {
		t.Errorf("with a wrong password: %s", out)
	}
	p.waitFor("does not take this name or password ("+passwordWanted+")", 10*time.Second)
	if strings.Contains(p.output(), "wrong horse") {
		t.Errorf("the password is in %s", p.output())
	}
}
