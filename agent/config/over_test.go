package config_test

import (
	"testing"

	"github.com/postern-dev/postern/agent/config"
)

// S1-33, S1-38: what the default file counts for beside one that was named.
func TestOver(t *testing.T) {
	const beneath = `version: 3
agent: {connect_url: own:443, connect_cas: own.pem, authtoken: own, transport: tls, proxy_url: http://proxy, dns_resolver_ips: [10.0.0.1], connect_interface: eth0,
  log: own.log, log_format: json, web_addr: "false", web_token: own, metadata: own, region: own, remote_management: false, console_ui: false}
endpoints:
  - {name: both, url: tcp://, upstream: {url: 1}}
  - {name: mine, url: tcp://, upstream: {url: 2}}
`
	over := func(named string) config.Config {
		c := parse(t, named)
		c.Over(parse(t, beneath))
		return c
	}
	c := over("tunnels: {both: {proto: tcp, addr: 3}, theirs: {proto: http, addr: 4}}")
	chosen, err := c.Select([]string{"mine", "both", "theirs"})
	if err != nil || len(chosen) != 3 || chosen[0].Upstream != "2" || chosen[1].Upstream != "3" || chosen[2].Upstream != "4" {
		t.Errorf("Select = %+v, %v", chosen, err)
	}
	if all, err := c.All(); err != nil || len(all) != 2 {
		t.Errorf("All = %+v, %v", all, err)
	}
	if c.Server() != "own:443" || c.CAs != "own.pem" || c.Authtoken != "own" || c.Transport != "tls" || c.Proxy != "http://proxy" ||
		len(c.DNSResolvers) != 1 || c.ConnectInterface != "eth0" {
		t.Errorf("the way to the server: %+v", c)
	}
	if !c.FirstGeneration() || c.Log != "" || c.LogFormat != "" || c.WebAddr != "" || c.WebToken != "" || c.Metadata != "" || c.Region != "" ||
		c.RemoteManagement != nil || c.ConsoleUI != "" {
		t.Errorf("more than the way to the server: %+v", c)
	}
	for named, token := range map[string]string{
		"server_addr: vendor:443":                    "",
		"server_addr: own:443":                       "own",
		"server_addr: own:443\nauthtoken: theirs":    "theirs",
		"authtoken: theirs":                          "theirs",
		"server_addr: vendor:443\nauthtoken: theirs": "theirs",
	} {
		if c := over(named); c.Authtoken.Reveal() != token {
			t.Errorf("%s: the token is %q", named, c.Authtoken.Reveal())
		}
	}
	if c := over("server_addr: vendor:443"); c.CAs != "" || c.Proxy != "http://proxy" {
		t.Errorf("another server: %+v", c)
	}
}
