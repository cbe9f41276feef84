package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

var (
	https = postern.URLRequest{Scheme: postern.HTTPS}
	both  = []postern.Scheme{postern.HTTP}
)

func parse(t *testing.T, text string) config.Config {
	t.Helper()
	c, err := config.Parse("f.yml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func sameEndpoints(t *testing.T, got, want []config.Endpoint) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(config.Endpoint{}, "Where", "Dir"), cmpopts.EquateEmpty(), cmpopts.EquateComparable(postern.URLRequest{})); diff != "" {
		t.Error(diff)
	}
}

// S0-38: a file of the first generation, without a version.
func TestVersion1(t *testing.T) {
	c := parse(t, `
authtoken: 2id_secret
region: eu
tunnels:
  web:
    proto: http
    addr: myservice.genesys.com
    bind_tls: true
    host_header: rewrite
    subdomain: acme
  open:
    proto: http
    addr: 8080
  secure:
    proto: tls
    addr: localhost:443
    hostname: secureService.genesys.com
  ssh:
    proto: tcp
    addr: 22
    remote_addr: tcp.example.com:20001
    inspect: false
`)
	if c.Authtoken.Reveal() != "2id_secret" || c.Region != "eu" || len(c.Warnings) != 0 {
		t.Errorf("token %q, region %q, warnings %q", c.Authtoken.Reveal(), c.Region, c.Warnings)
	}
	sameEndpoints(t, c.Endpoints, []config.Endpoint{
		{Name: "web", URL: https, Upstream: "myservice.genesys.com", HostHeader: "rewrite", Subdomain: "acme"},
		{Name: "open", URL: https, Also: both, Upstream: "8080"}, // S0-37
		{Name: "secure", URL: postern.URLRequest{Scheme: postern.TLS, Host: "secureservice.genesys.com"}, Upstream: "localhost:443"},
		{Name: "ssh", URL: postern.URLRequest{Scheme: postern.TCP, Host: "tcp.example.com", Port: 20001}, Upstream: "22", NoInspect: true},
	})
	if c.Endpoints[0].Where != "f.yml:5:3" {
		t.Errorf("the first tunnel is at %s", c.Endpoints[0].Where)
	}
}

// S1-35, S1-40, S1-44: the second generation, version as a string.
func TestVersion2(t *testing.T) {
	c := parse(t, `
version: "2"
authtoken: t
server_addr: connect.example.com:443
root_cas: /etc/ca.pem
log: stdout
log_format: json
log_level: debug
metadata: site 1
tunnels:
  agent-api: {proto: http, domain: agent.customer1.example.com, addr: 4040, inspect: false}
  passthrough:
    proto: tls
    terminate_at: agent
    addr: "3000"
    domain: api.customer1.example.com
    crt: server-crt.pem
    key: server-key.pem
  edge: {proto: tls, addr: 1, crt: a, key: b, proxy_proto: "2"}
  plain: {proto: http, addr: 1, schemes: [http, https], pooling_enabled: true, app_protocol: http2, metadata: m}
`)
	if c.Server() != "connect.example.com:443" || c.CAs != "/etc/ca.pem" || c.Log != "stdout" || c.LogFormat != "json" || c.LogLevel != "debug" || c.Metadata != "site 1" {
		t.Errorf("agent's keys: %+v", c)
	}
	sameEndpoints(t, c.Endpoints, []config.Endpoint{
		{Name: "agent-api", URL: postern.URLRequest{Scheme: postern.HTTPS, Host: "agent.customer1.example.com"}, Upstream: "4040", NoInspect: true},
		{Name: "passthrough", URL: postern.URLRequest{Scheme: postern.TLS, Host: "api.customer1.example.com"}, Upstream: "3000",
			Termination: config.AtAgent, Certificate: "server-crt.pem", Key: "server-key.pem"},
		{Name: "edge", URL: postern.URLRequest{Scheme: postern.TLS}, Upstream: "1", Termination: config.AtEdge, Certificate: "a", Key: "b", ProxyProtocol: 2},
		{Name: "plain", URL: https, Also: both, Upstream: "1", Pooling: true, Protocol: postern.HTTP2, Metadata: "m"},
	})
}

func TestVersion3(t *testing.T) {
	c := parse(t, "\ufeffversion: 3\n"+`
agent:
  authtoken: t
  connect_url: connect.example.com
  connect_cas: trusted
endpoints:
  - name: web
    url: https://app.example.com
    description: the app
    upstream:
      url: 8080
      protocol: http2
  - name: db
    url: tcp://
    pooling_enabled: true
    upstream: {url: "db:5432", proxy_protocol: 1}
  - name: own-tls
    url: tls://own.example.com
    upstream: {url: https://unused}
    agent_tls_termination: {server_certificate: c.pem, server_private_key: k.pem}
  - name: verified
    host_header: intranet
    bindings: [public]
    upstream: {url: https://intranet, tls_verify: true, tls_verify_cas: ca.pem}
tunnels:
  old: {proto: http, addr: 1}
`)
	if c.Server() != "connect.example.com" || c.CAs != "trusted" {
		t.Errorf("agent's keys: %+v", c)
	}
	sameEndpoints(t, c.Endpoints, []config.Endpoint{
		{Name: "web", URL: postern.URLRequest{Scheme: postern.HTTPS, Host: "app.example.com"}, Description: "the app", Upstream: "8080", Protocol: postern.HTTP2},
		{Name: "db", URL: postern.URLRequest{Scheme: postern.TCP}, Upstream: "db:5432", ProxyProtocol: 1, Pooling: true},
		{Name: "own-tls", URL: postern.URLRequest{Scheme: postern.TLS, Host: "own.example.com"}, Upstream: "https://unused",
			Termination: config.AtAgent, Certificate: "c.pem", Key: "k.pem"},
		{Name: "verified", URL: https, HostHeader: "intranet", Bindings: []string{"public"}, Upstream: "https://intranet", VerifyTLS: true, VerifyCAs: "ca.pem"},
		{Name: "old", URL: https, Upstream: "1"},
	})
}

// problem is what keeps the file, or the first endpoint that cannot work, from being
// used.
func problem(text []byte) error {
	c, err := config.Parse("f.yml", text)
	if err != nil {
		return err
	}
	_, err = c.All()
	return err
}

// Every refusal names file, line and column, and what to do.
func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"syntax":          {"a: [", "f.yml:1:"},
		"not a mapping":   {"- a", "f.yml:1:1: the file must be a mapping"},
		"tabs":            {"tunnels:\n\tweb: 1", "config contains tab characters, YAML must use spaces"},
		"not indented":    {"tunnels:\nagent-api:\n  proto: http\n  addr: 4040\n", "f.yml:2:1: agent-api looks like a tunnel that is not below"}, // S1-35
		"no name above":   {"tunnels:\n  agent-api:\n  proto: http\n  addr: 4040\n", "f.yml:3:3: tunnels.proto is a key of a tunnel"},            // S1-35
		"typed guard":     {"tunnels: {a: {proto: http, addr: 1, basic_atuh: 'u:password'}}", "did you mean basic_auth? What may be meant to guard"},
		"typed deeper":    {"tunnels: {a: {proto: http, addr: 1, ip_restriction: {alow_cidrs: [10.0.0.0/8]}}}", "did you mean allow_cidrs?"},
		"pasted pair":     {"tunnels: {a: {proto: http, addr: 1, auth: '{username}:{password}'}}", "the credential is a placeholder"}, // S2-5
		"no password":     {"tunnels: {a: {proto: http, addr: 1, auth: 'demo'}}", "a credential is user:password"},
		"pasted token":    {"authtoken: xxx", "f.yml:1:12: authtoken is a placeholder"},
		"pasted server":   {"server_addr: <your server>", "a placeholder; write the address of your server"},
		"pasted addr":     {"tunnels: {a: {proto: http, addr: <port>}}", "addr is a placeholder"},
		"labels":          {"tunnels: {a: {labels: [edge=x], addr: 1}}", "labelled tunnels belong to edges"},
		"1.x":             {"auth_token: x", `auth_token is a key of ngrok 1.x, today's is authtoken; "postern config upgrade"`},
		"log level":       {"log_level: loud", `log_level: "loud" is not one of debug`},
		"duration":        {"connect_timeout: soon", `connect_timeout: "soon" is not a duration`},
		"resolver":        {"dns_resolver_ips: [one]", `dns_resolver_ips: "one" is not an IP address`},
		"inspect size":    {"inspect_db_size: -2", "is not a number of bytes"},
		"breaker":         {"tunnels: {a: {proto: http, addr: 1, circuit_breaker: 2}}", "a share between 0 and 1"},
		"range":           {"tunnels: {a: {proto: tcp, addr: 1, ip_restriction: {allow_cidrs: [office]}}}", `"office" is not an address or a range`},
		"mtls of tcp":     {"tunnels: {a: {proto: tcp, addr: 1, mutual_tls_cas: ca.pem}}", "mutual_tls_cas is for https and tls"},
		"mtls of http":    {"tunnels: {a: {proto: http, addr: 1, schemes: [http, https], mutual_tls_cas: ca.pem}}", "set schemes: [https]"},
		"mtls no mode":    {"tunnels: {a: {proto: http, addr: 1, mutual_tls_cas: ca.pem, mutual_tls_mode: x}}", "mutual_tls_mode"},
		"mtls nowhere":    {"tunnels: {a: {proto: tls, addr: 1, mutual_tls_cas: ca.pem}}", "mutual_tls_cas needs terminate_at"},
		"two policies":    {"tunnels: {a: {proto: http, addr: 1, traffic_policy: 'x', traffic_policy_file: y}}", "not both"},
		"two documents":   {"version: 2\n---\nversion: 2", "f.yml:3:"},
		"version":         {"version: 4", `f.yml:1:10: version "4" is not one of 1, 2, 3`},
		"endpoints early": {"version: 2\nendpoints: []", "f.yml:2:1: endpoints needs version: 3"},
		"twice":           {"authtoken: a\nauthtoken: b", "f.yml:2:1: "},
		"no addr":         {"tunnels: {a: {proto: tls, region: us}}", "Tunnel 'a' must specify 'addr' to tunnel to"}, // S0-50
		"no proto":        {"tunnels: {a: {addr: 1}}", "tunnel 'a': proto is missing"},
		"bad proto":       {"tunnels: {a: {proto: foo, addr: 1}}", "Invalid protocol name 'foo'"},
		"bind_tls":        {"tunnels: {a: {proto: http, addr: 1, bind_tls: zzz}}", "HTTP tunnel 'a' specifies invalid 'bind_tls': zzz"},
		"bind_tls of tcp": {"tunnels: {a: {proto: tcp, addr: 1, bind_tls: both}}", "are for http tunnels"},
		"schemes":         {"tunnels: {a: {proto: http, addr: 1, schemes: [ftp]}}", `the scheme "ftp"`},
		"schemes empty":   {"tunnels: {a: {proto: http, addr: 1, schemes: []}}", "is empty"},
		"names":           {"tunnels: {a: {proto: http, addr: 1, hostname: a.b, subdomain: c}}", "Tunnel 'a' must not specify both hostname and subdomain."},
		"two names":       {"tunnels: {a: {proto: http, addr: 1, hostname: a.b, url: c.d}}", "only one of url"},
		"crt alone":       {"tunnels: {a: {proto: tls, addr: 1, crt: x}}", "must supply both 'crt' and 'key' or neither"},
		"passphrase for":  {"tunnels: {a: {proto: tls, addr: 1, terminate_at: agent, key_passphrase_file: x}}", "key_passphrase_file is for a key"},
		"list for nobody": {"tunnels: {a: {proto: tls, addr: 1, terminate_at: agent, mutual_tls_crl: x}}", "mutual_tls_crl needs mutual_tls_cas"},
		"crt for nothing": {"tunnels: {a: {proto: tls, addr: 1, terminate_at: upstream, crt: x, key: y}}", "have no use"},
		"crt of http":     {"version: 3\nendpoints: [{name: a, upstream: {url: 1}, agent_tls_termination: {server_certificate: x, server_private_key: y}}]", "only tls endpoints"},
		"terminate":       {"tunnels: {a: {proto: tls, addr: 1, terminate_at: moon}}", `terminate_at "moon"`},
		"proxy":           {"tunnels: {a: {proto: tcp, addr: 1, proxy_proto: 3}}", `version "3" is not 1 or 2`},
		"protocol":        {"tunnels: {a: {proto: http, addr: 1, app_protocol: http3}}", `the protocol "http3"`},
		"host of tcp":     {"tunnels: {a: {proto: tcp, addr: 1, host_header: x}}", "are for http endpoints"},
		"url":             {"tunnels: {a: {proto: http, addr: 1, url: 'https://a/b'}}", "tunnel 'a': URL"},
		"list for value":  {"tunnels: {a: {proto: [http], addr: 1}}", "tunnels.a.proto must be a single value"},
		"map in list":     {"tunnels: {a: {proto: http, addr: 1, schemes: [{a: b}]}}", "an item of tunnels.a.schemes"},
		"flag":            {"tunnels: {a: {proto: http, addr: 1, pooling_enabled: maybe}}", "must be true or false"},
		"no name":         {"version: 3\nendpoints: [{upstream: {url: 1}}]", "the endpoint has no name"},
		"same name":       {"version: 3\nendpoints: [{name: a, upstream: {url: 1}}, {name: a, upstream: {url: 2}}]", `the name "a" is used twice`},
		"endpoints map":   {"version: 3\nendpoints: {a: b}", "endpoints must be a list"},
		"endpoint url":    {"version: 3\nendpoints: [{name: a, url: 'ftp://x', upstream: {url: 1}}]", "endpoint 'a': scheme"},
		"placeholder":     {"authtoken: { YOUR_TOKEN }", "write the authtoken itself there, without braces"}, // S1-35
		"key":             {"!!str a: 1", "a key must be a plain word"},
	} {
		t.Run(name, func(t *testing.T) {
			err := problem([]byte(c.text))
			if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.HasPrefix(err.Error(), "f.yml:") || !strings.Contains(err.Error(), c.want) {
				t.Errorf("Parse = %v\nwant f.yml:… %s", err, c.want)
			}
		})
	}
}

func TestLoadMerges(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	one := write("1.yml", "authtoken: a\nserver_addr: one\ntunnels:\n  x: {proto: tcp, addr: 1}\n  y: {proto: tcp, addr: 2}\n")
	two := write("2.yml", "version: 3\nagent: {connect_url: two, log: false}\nendpoints: [{name: y, url: 'tcp://', upstream: {url: 3}}]\n")
	c, err := config.Load(one, two)
	if err != nil {
		t.Fatal(err)
	}
	if c.Authtoken.Reveal() != "a" || c.Server() != "two" || c.Log != "false" {
		t.Errorf("merged %+v", c)
	}
	sameEndpoints(t, c.Endpoints, []config.Endpoint{
		{Name: "x", URL: postern.URLRequest{Scheme: postern.TCP}, Upstream: "1"},
		{Name: "y", URL: postern.URLRequest{Scheme: postern.TCP}, Upstream: "3"},
	})
	chosen, err := c.Select([]string{"y"})
	if err != nil || len(chosen) != 1 || chosen[0].Upstream != "3" {
		t.Errorf("Select = %+v, %v", chosen, err)
	}
	if _, err := c.Select([]string{"nosuch"}); !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), "Tunnels available: x, y") {
		t.Errorf("Select of what is not there = %v", err)
	}
	if _, err := config.Load(filepath.Join(dir, "nosuch.yml")); err == nil || !strings.Contains(err.Error(), "Error reading configuration file") {
		t.Errorf("Load of no file = %v", err)
	}
}

// What begins like a placeholder and is none.
func TestNotPlaceholders(t *testing.T) {
	for _, text := range []string{
		"server_addr: '[::1]:443'",
		"tunnels: {a: {proto: http, addr: '[::1]:80'}}",
		"tunnels: {a: {proto: tcp, addr: '[fe80::1]:80', remote_addr: '[::1]:2000'}}",
		"tunnels: {a: {proto: http, addr: 1, auth: 'demo:$ecret'}}",
		"tunnels: {a: {proto: http, addr: 1, auth: 'demo:[secret'}}",
		"authtoken: $2abc_d",
	} {
		c, err := config.Parse("f.yml", []byte(text))
		if err == nil {
			err = c.Check()
		}
		if err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{"authtoken: $NGROK_AUTHTOKEN", "authtoken: ${TOKEN}", "authtoken: '[YOUR TOKEN]'", "server_addr: '[host]:443'"} {
		if _, err := config.Parse("f.yml", []byte(text)); err == nil || !strings.Contains(err.Error(), "placeholder") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestEmptyFiles(t *testing.T) {
	for _, text := range []string{"", "\n", "# nothing\n", "tunnels:\n", "version: 3\nendpoints:\nagent:\n", "\ufeff"} {
		c, err := config.Parse("f.yml", []byte(text))
		if err != nil || len(c.Endpoints) != 0 {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
}

// Whatever the text, Parse answers with endpoints that are whole or a coded error
// that says where.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"tunnels: {a: {proto: http, addr: 1}}", "version: 3\nendpoints:\n  - name: a\n    upstream:\n      url: 80\n",
		"a: &x 1\nb: *x", "<<: {a: 1}", "\t", "? a", "tunnels: {a: }", "- ", "version: [3]", "log: |\n  x", "a: !!binary x",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := config.Parse("f.yml", text)
		if err != nil {
			if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.HasPrefix(err.Error(), "f.yml") {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, e := range c.Endpoints {
			if e.Problem == nil {
				err = e.Validate()
			} else if !strings.HasPrefix(e.Problem.Error(), "f.yml") {
				err = e.Problem
			}
			if err != nil {
				t.Fatalf("an endpoint that is not valid: %v", err)
			}
		}
	})
}

func TestTheWayToTheServer(t *testing.T) {
	for text, want := range map[string]config.Config{
		"version: 3\nagent: {proxy_url: 'http://u:p@proxy:3128', transport: websocket}": {Proxy: "http://u:p@proxy:3128", Transport: "websocket"},
		"http_proxy: proxy:3128":           {Proxy: "proxy:3128"},
		"socks5_proxy: 'localhost:1080'":   {Proxy: "socks5://localhost:1080"},
		"version: 2\ntransport: tls":       {Transport: "tls"},
		"socks5_proxy: 'socks5h://p:1080'": {Proxy: "socks5h://p:1080"},
	} {
		if got := parse(t, text); got.Proxy != want.Proxy || got.Transport != want.Transport {
			t.Errorf("%s: %q %q", text, got.Proxy.Reveal(), got.Transport)
		}
	}
	_, err := config.Parse("f.yml", []byte("transport: carrier-pigeon"))
	if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.HasPrefix(err.Error(), "f.yml:1:12: ") {
		t.Errorf("an odd transport gives %v", err)
	}
}

// udp endpoints, in both forms; what does not go with datagrams is a problem.
func TestUDPEndpoints(t *testing.T) {
	c := parse(t, `
version: 3
endpoints:
  - {name: dns, url: "udp://", upstream: {url: 5353}}
  - {name: game, url: "udp://udp.example.com:20001", upstream: {url: "udp://10.0.0.1:7777"}}
  - {name: proxied, url: "udp://", upstream: {url: 53, proxy_protocol: 2}}
tunnels:
  old: {proto: udp, addr: "5354", remote_addr: "udp.example.com:20002"}
`)
	byName := map[string]config.Endpoint{}
	for _, e := range c.Endpoints {
		byName[e.Name] = e
	}
	for name, want := range map[string]postern.URLRequest{
		"dns": {Scheme: postern.UDP}, "game": {Scheme: postern.UDP, Host: "udp.example.com", Port: 20001},
		"old": {Scheme: postern.UDP, Host: "udp.example.com", Port: 20002},
	} {
		if got := byName[name]; got.URL != want || got.Problem != nil {
			t.Errorf("%s: %+v, %v", name, got.URL, got.Problem)
		}
	}
	if byName["proxied"].Problem == nil {
		t.Error("a PROXY header in front of datagrams is no problem")
	}
}
