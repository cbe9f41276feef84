package config_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// A key that nobody understands is passed over with its line and the nearest that
// there is: files that worked for years must not stop an agent.
func TestUnknownKeysWarn(t *testing.T) {
	for text, want := range map[string]string{
		"versionn: 2":                                  "f.yml:1:1: versionn is not understood and has no effect; did you mean version?",
		"frobnicate: [1, 2]":                           "f.yml:1:1: frobnicate is not understood and has no effect",
		"compress_conn: true":                          "f.yml:1:1: compress_conn has no effect here: the link does not compress",
		"version: 3\nagent: {authtokn: a}":             "f.yml:2:9: agent.authtokn is not understood and has no effect; did you mean authtoken?",
		"tunnels: {a: {proto: http, addr: 1, adr: 2}}": "did you mean addr?",
		"version: 3\nendpoints: [{name: a, upstream: {url: 1, frotocol: http2}}]": "did you mean protocol?",
	} {
		c := parse(t, text)
		if len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], want) {
			t.Errorf("%s: warnings %q, want %q", text, c.Warnings, want)
		}
		if _, err := c.All(); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// S0-50: what is wrong with one tunnel stops whoever wants that one, and nobody else.
func TestOneBadTunnelHarmsNoOther(t *testing.T) {
	c := parse(t, "tunnels:\n  good: {proto: http, addr: 80}\n  bad: {proto: tls, region: us, hostname: secureService.genesys.com}\n")
	if chosen, err := c.Select([]string{"good"}); err != nil || len(chosen) != 1 {
		t.Errorf("the good one: %v", err)
	}
	if _, err := c.Select([]string{"bad"}); err == nil || err.Error() != "f.yml:3:3: Tunnel 'bad' must specify 'addr' to tunnel to (ERR_POSTERN_401)" {
		t.Errorf("the bad one: %v", err)
	}
	if _, err := c.All(); err == nil {
		t.Error("all of them, one of which is bad")
	}
}

func TestSelectNamesTheNearest(t *testing.T) {
	c := parse(t, "tunnels: {agent-api: {proto: http, addr: 4040}}")
	_, err := c.Select([]string{"agentapi"})
	if err == nil || !strings.Contains(err.Error(), "Config files read: [f.yml]\nDid you mean agent-api?") {
		t.Errorf("Select = %v", err)
	}
}

// Each key of the agent, in the words of every generation.
func TestAgentKeys(t *testing.T) {
	c := parse(t, `
version: 3
agent:
  connect_url: [one.example.com, two.example.com:8443]
  connect_cas: host
  api_key: k
  api_url: https://api.example.com
  proxy_url: http://proxy:3128
  connect_timeout: 5
  connect_interface: eth1
  dns_resolver_ips: [1.1.1.1, "2606:4700::1111"]
  heartbeat_interval: 10s
  heartbeat_tolerance: 1m
  remote_management: false
  console_ui: IFTTY
  console_ui_color: black
  web_addr: false
  web_allow_hosts: [.example.com]
  web_token: secret
  inspect_db_size: -1
  update_check: false
  update_channel: beta
`)
	if len(c.Warnings) > 0 || strings.Join(c.Servers, " ") != "one.example.com two.example.com:8443" || c.CAs != "host" ||
		c.APIKey.Reveal() != "k" || c.APIURL != "https://api.example.com" || c.Proxy.Reveal() != "http://proxy:3128" ||
		c.ConnectTimeout.Seconds() != 5 || c.ConnectInterface != "eth1" || len(c.DNSResolvers) != 2 || c.Heartbeat.Seconds() != 10 ||
		c.Tolerance.Minutes() != 1 || c.RemoteManagement == nil || *c.RemoteManagement || c.ConsoleUI != "iftty" || c.ConsoleColor != "black" ||
		c.WebAddr != "false" || c.WebAllowHosts[0] != ".example.com" || c.WebToken.Reveal() != "secret" || c.InspectSize != -1 ||
		c.UpdateCheck == nil || *c.UpdateCheck || c.UpdateChannel != "beta" {
		t.Errorf("%+v", c)
	}
	if c := parse(t, "socks5_proxy: localhost:1080\nhttp_proxy: ''"); c.Proxy != "" {
		t.Errorf("the last one counts: %q", c.Proxy.Reveal())
	}
	if c := parse(t, "socks5_proxy: localhost:1080"); c.Proxy.Reveal() != "socks5://localhost:1080" || !c.FirstGeneration() {
		t.Errorf("socks5_proxy: %q", c.Proxy.Reveal())
	}
}

// S1-31: the places where agents keep their file, ours counting most.
func TestDefaultPaths(t *testing.T) {
	for _, c := range []struct {
		os, home, xdg, local string
		want                 []string
	}{
		{"linux", "/h", "", "", []string{"/h/.ngrok2/ngrok.yml", "/h/.config/ngrok/ngrok.yml", "/h/.config/postern/postern.yml"}},
		{"linux", "/h", "/x", "", []string{"/h/.ngrok2/ngrok.yml", "/x/ngrok/ngrok.yml", "/x/postern/postern.yml"}},
		{"linux", "/h", "relative", "", []string{"/h/.ngrok2/ngrok.yml", "/h/.config/ngrok/ngrok.yml", "/h/.config/postern/postern.yml"}},
		{"darwin", "/h", "/x", "", []string{"/h/.ngrok2/ngrok.yml", "/h/Library/Application Support/ngrok/ngrok.yml", "/h/Library/Application Support/postern/postern.yml"}},
		{"windows", "/h", "", "/l", []string{"/h/.ngrok2/ngrok.yml", "/l/ngrok/ngrok.yml", "/l/postern/postern.yml"}},
		{"windows", "/h", "", "", []string{"/h/.ngrok2/ngrok.yml", "/h/AppData/Local/ngrok/ngrok.yml", "/h/AppData/Local/postern/postern.yml"}},
		{"linux", "", "", "", nil},
	} {
		env := func(name string) string {
			return map[string]string{"XDG_CONFIG_HOME": c.xdg, "LOCALAPPDATA": c.local}[name]
		}
		got := config.DefaultPaths(c.os, c.home, env)
		for i := range got {
			got[i] = filepath.ToSlash(got[i])
		}
		if strings.Join(got, "\n") != strings.Join(c.want, "\n") {
			t.Errorf("%s: %q, want %q", c.os, got, c.want)
		}
	}
	if c, err := config.LoadFound(filepath.Join(t.TempDir(), "none.yml")); err != nil || len(c.Files) != 0 {
		t.Errorf("a default file that is not there: %v", err)
	}
	if _, err := config.Load("/nosuch"); !postern.HasCode(err, postern.CodeConfigInvalid) {
		t.Errorf("an explicit one: %v", err)
	}
}
