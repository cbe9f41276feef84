package config_test

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

const old = `# my file
authtoken: t # secret
tunnels:
  # the site
  web:
    proto: http
    addr: 8080
    bind_tls: true
    auth: "demo:secret"
    hostname: Site.example.com
  both: {proto: http, addr: 1}
  ssh: {proto: tcp, addr: 22}
`

func TestUpgradeTo2(t *testing.T) {
	u, err := config.Upgrade("f.yml", []byte(old), "2")
	if err != nil {
		t.Fatal(err)
	}
	text := string(u.Text)
	for _, want := range []string{`version: "2"`, "region: us", "authtoken: t", "schemes:", "- https", "basic_auth:", "- demo:secret", "domain: Site.example.com", "# secret", "# the site"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if strings.Contains(text, "bind_tls") || u.From != "none" || u.To != "2" || len(u.Notes) < 5 {
		t.Errorf("from %s to %s, notes %q\n%s", u.From, u.To, u.Notes, text)
	}
	same(t, old, text)
}

func TestUpgradeTo3(t *testing.T) {
	u, err := config.Upgrade("f.yml", []byte("server_addr: connect.example.com\nroot_cas: trusted\nweb_addr: false\n"+old), "3")
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, string(u.Text))
	if c.Version != "3" || c.Server() != "connect.example.com" || c.CAs != "trusted" || c.Authtoken.Reveal() != "t" || c.WebAddr != "false" || len(c.Warnings) > 0 {
		t.Errorf("%+v\n%s", c, u.Text)
	}
	same(t, old, string(u.Text))
}

// same checks that visitors find after an upgrade what they found before.
func same(t *testing.T, before, after string) {
	t.Helper()
	sameEndpoints(t, parse(t, after).Endpoints, parse(t, before).Endpoints)
}

func TestUpgradeOfNgrok1(t *testing.T) {
	u, err := config.Upgrade("f.yml", []byte(`
server_addr: example.com:4443
auth_token: t
inspect_addr: disabled
trust_host_root_certs: true
tunnels:
  client:
    auth: "user:pass"
    proto: {http: 80, https: "localhost:81"}
  ssh:
    remote_port: 2222
    proto: {tcp: 22}
  named:
    hostname: a.example.com
    proto: {https: 443}
`), "3")
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, string(u.Text))
	if c.Authtoken.Reveal() != "t" || c.WebAddr != "false" || c.CAs != "host" || len(c.Warnings) > 0 {
		t.Errorf("%+v\n%s", c, u.Text)
	}
	pass := config.Middleware{BasicAuth: []string{"user:pass"}}
	sameEndpoints(t, c.Endpoints, []config.Endpoint{
		{Name: "client-http", URL: postern.URLRequest{Scheme: postern.HTTP}, Upstream: "80", Subdomain: "client", Middleware: pass},
		{Name: "client-https", URL: https, Upstream: "localhost:81", Subdomain: "client", Middleware: pass},
		{Name: "ssh", URL: postern.URLRequest{Scheme: postern.TCP, Port: 2222}, Upstream: "22"},
		{Name: "named", URL: postern.URLRequest{Scheme: postern.HTTPS, Host: "a.example.com"}, Upstream: "443"},
	})
	if u, err := config.Upgrade("f", []byte("abcTOKEN123\n"), "3"); err != nil || parse(t, string(u.Text)).Authtoken.Reveal() != "abcTOKEN123" {
		t.Errorf("a file that is one token: %s, %v", u.Text, err)
	}
}

func TestUpgradeRefuses(t *testing.T) {
	for _, c := range []struct{ text, to, want string }{
		{"version: 3", "2", "it cannot go back to 2"},
		{"version: 2", "4", `version "4" is not one of 2, 3`},
		{"a: [", "3", "not YAML"},
		{"tunnels: [1]", "3", "must be a mapping"},
	} {
		if _, err := config.Upgrade("f.yml", []byte(c.text), c.to); !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s to %s: %v, want %s", c.text, c.to, err, c.want)
		}
	}
	u, err := config.Upgrade("f.yml", []byte("version: '3'\nagent: {authtoken: t}\n"), "3")
	if err != nil || len(u.Notes) != 0 || parse(t, string(u.Text)).Authtoken.Reveal() != "t" {
		t.Errorf("a file that is of the version already: %+v, %v", u, err)
	}
}
