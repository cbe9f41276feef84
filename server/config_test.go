package server_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"net/netip"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/server"
)

var update = flag.Bool("update", false, "write goldens and the documentation anew")

// The example of the design, every key of it, is valid as it stands.
const example = `domain: example.com            # connect., api., dashboard., gateway. live under it
endpoints_domain: ""
data_dir: /var/lib/postern
listen:
  https: :443
  http: :80
  agent: ""
  tcp_ports: 20000-29999
  udp_ports: 20000-29999
  ssh: ""
  dns: ""
  admin: 127.0.0.1:9090
trusted_proxies: []
regions: [{name: local}]
database: ""
cluster: {}
tls: {mode: local_ca}
`

func TestExample(t *testing.T) {
	// Editors on Windows write a byte-order mark.
	for _, mark := range []string{"", "\ufeff"} {
		c, err := server.Parse("postern.yml", []byte(mark+example))
		if err != nil {
			t.Fatal(err)
		}
		want := server.Default()
		want.Domain = "example.com"
		ignore := cmp.Options{cmpopts.IgnoreFields(server.Config{}, "Notes"), cmpopts.IgnoreUnexported(server.Config{})}
		if diff := cmp.Diff(want, c, ignore, cmpopts.EquateEmpty(), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b allow.Place) bool { return a == b })); diff != "" {
			t.Errorf("the example is not the default:\n%s", diff)
		}
		if len(c.Notes) != 0 {
			t.Errorf("notes %q", c.Notes)
		}
	}
}

// The goldens are pairs of files: NAME.yml and what is wrong with it, NAME.txt.
func TestConfigErrors(t *testing.T) {
	files, err := filepath.Glob("testdata/config/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases (%v)", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			_, err = server.Parse(filepath.Base(file), text)
			if !postern.HasCode(err, postern.CodeConfigInvalid) {
				t.Fatalf("got %v", err)
			}
			compare(t, strings.TrimSuffix(file, ".yml")+".txt", []byte(err.Error()+"\n"))
		})
	}
}

func compare(t *testing.T, golden string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil { //nolint:gosec // a file of the repository
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", golden, diff)
	}
}

// chosen holds a value other than the default for each key, as flags take it.
func chosen() map[string]string {
	return map[string]string{
		"domain": "tunnels.example.org", "endpoints_domain": "apps.example.net", "data_dir": "/srv/postern", "database": "postgres://postern@db.example.org:5433/tunnels?sslmode=disable", "regions": "eu=203.0.113.7+2001:db8::7,us=198.51.100.7", "listen.dns": ":5353", "dns.name_servers": "ns1.example.org,ns2.example.org", "dns.resolvers": "192.0.2.53:53,[2001:db8::53]:5353", "dns.caa": "letsencrypt.org,;", "dns.answers_per_second": "10",
		"domains.require_proof": "true", "api.allowed_origins": "https://console.example.org",
		"listen.https": "127.0.0.1:8443", "listen.http": "[::1]:8880", "listen.agent": ":4443", "listen.ssh": ":2222", "ssh.host_certificates": "/etc/postern/host-cert.pub", "listen.tcp": "10.0.0.1",
		"listen.tcp_ports": "30000-30100", "listen.udp_ports": "31000-31100", "listen.admin": "127.0.0.1:9191",
		"proxy_protocol": "https,http", "trusted_proxies": "10.0.0.0/8,2001:db8::/32",
		"public.https_port": "443", "public.http_port": "80", "gateways.listen_allow": "127.0.0.0/8,10.0.0.0/8:8000-8999,[fd00::/8]:*", "gateways.probe_every": "5m0s",
		"geo.file": "/etc/postern/GeoLite2-City.mmdb", "geo.as_file": "/etc/postern/GeoLite2-ASN.mmdb", "outcalls.allow": "10.1.2.0/24,fd00:1::/64",
		"tls.mode": "files", "tls.certificates": "a.pem=a.key,b.pem=b.key",
		"tls.directory": "https://ca.example.org/acme/directory,https://acme-v02.api.letsencrypt.org/directory", "tls.email": "operator@example.org",
		"tls.eab.key_id": "kid-1", "tls.eab.mac_key": "c2VjcmV0", "tls.ca_root": "/etc/postern/ca.pem", "tls.key_type": "rsa",
		"acme.dns.exec": "/usr/local/bin/record", "acme.dns.rfc2136.server": "ns.example.org:53", "acme.dns.rfc2136.zone": "example.org",
		"acme.dns.rfc2136.key_name": "postern", "acme.dns.rfc2136.key_secret": "c2VjcmV0", "acme.dns.rfc2136.key_algorithm": "hmac-sha512", "acme.dns.wait": "1m0s",
		"limits.connections": "1000", "limits.connections_per_address": "10", "limits.header_bytes": "64KiB",
		"limits.http2_streams": "50", "limits.least_rate": "32", "limits.sessions_per_account": "5", "limits.endpoints_per_session": "6",
		"limits.api_requests": "30", "limits.api_concurrent": "31", "limits.endpoints_per_account": "20", "limits.connections_per_account": "21", "limits.requests_per_account": "22", "limits.bytes_per_account": "1MiB",
		"limits.sessions_per_credential": "23", "limits.endpoints_per_credential": "24", "limits.connections_per_credential": "25",
		"limits.requests_per_credential": "26", "limits.bytes_per_credential": "64KiB",
		"limits.authentications": "7", "limits.failures_per_minute": "8",
		"timeouts.handshake": "1s", "timeouts.request_header": "2s", "timeouts.idle": "3s", "timeouts.patience": "15s", "timeouts.transfer": "4s",
		"timeouts.response_header": "5s", "timeouts.authentication": "6s", "timeouts.drain": "7s", "timeouts.upgrade_drain": "8h0m0s",
		"sealing.key": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,HwABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4=", "sealing.key_file": "/etc/postern/sealing.keys",
		"http1": "standard", "access_log": "stdout", "log.level": "debug", "log.format": "console",
	}
}

// Every key works by its file, its flag and its variable, and with the same effect.
func TestEveryKeyEveryWay(t *testing.T) {
	settings := server.Settings()
	flags, variables := map[string]string{}, map[string]string{}
	for _, setting := range settings {
		value, found := chosen()[setting.Key]
		if setting.Unavailable() {
			continue
		}
		if !found {
			t.Errorf("the test has no value for %s", setting.Key)
			continue
		}
		flags[setting.Flag()], variables[setting.Env()] = value, value
	}
	byFlags, err := server.Load("", func(string) string { return "" }, flags)
	if err != nil {
		t.Fatal(err)
	}
	byVariables, err := server.Load("", func(name string) string { return variables[name] }, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "postern.yml")
	if err := os.WriteFile(path, chosenFile(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	byFile, err := server.Load(path, func(string) string { return "" }, nil)
	if err != nil {
		t.Fatal(err)
	}
	base := server.Default()
	for _, setting := range settings {
		want, found := chosen()[setting.Key]
		if !found {
			continue
		}
		if setting.Key == "sealing.key" {
			want = "c777a850c51a4fe8,73d67b2d2d55b84e" // secrets are shown by their ids
		}
		if setting.Key == "tls.eab.mac_key" || setting.Key == "acme.dns.rfc2136.key_secret" {
			want = "xxxxx"
		}
		if setting.Value(base) == want {
			t.Errorf("%s: the test's value is the default, which proves nothing", setting.Key)
		}
		for way, c := range map[string]server.Config{"flag": byFlags, "variable": byVariables, "file": byFile} {
			if got := setting.Value(c); got != want {
				t.Errorf("%s by its %s is %q, want %q", setting.Key, way, got, want)
			}
		}
	}
}

// chosenFile writes the values as a file has them.
func chosenFile(settings []server.Setting) []byte {
	var text bytes.Buffer
	var open []string // the sections that the last key was in
	for _, setting := range settings {
		value, found := chosen()[setting.Key]
		if !found {
			continue
		}
		path := strings.Split(setting.Key, ".")
		within := path[:len(path)-1]
		for depth, section := range within {
			if depth >= len(open) || open[depth] != section {
				open = open[:min(depth, len(open))]
				fmt.Fprintf(&text, "%s%s:\n", strings.Repeat("  ", depth), section)
			}
		}
		open = append([]string(nil), within...)
		fmt.Fprintf(&text, "%s%s: %s\n", strings.Repeat("  ", len(within)), path[len(within)], asYAML(setting.Key, value))
	}
	return sections(text.String())
}

func asYAML(key, value string) string {
	switch key {
	case "regions":
		return "[{name: eu, addresses: [203.0.113.7, '2001:db8::7']}, {name: us, addresses: 198.51.100.7}]"
	case "tls.certificates":
		return "[{certificate: a.pem, key: a.key}, {certificate: b.pem, key: b.key}]"
	case "proxy_protocol", "trusted_proxies", "sealing.key", "gateways.listen_allow", "outcalls.allow", "dns.resolvers", "tls.directory", "dns.caa", "dns.name_servers":
		return "[\"" + strings.ReplaceAll(value, ",", "\", \"") + "\"]"
	}
	return "'" + value + "'"
}

// sections puts the keys that stand between two parts of a section to the top.
func sections(text string) []byte {
	var top, nested []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "  ") || strings.HasSuffix(line, ":\n") {
			nested = append(nested, line)
		} else {
			top = append(top, line)
		}
	}
	return []byte(strings.Join(append(top, nested...), ""))
}

func TestPrecedence(t *testing.T) {
	path := filepath.Join(t.TempDir(), "postern.yml")
	if err := os.WriteFile(path, []byte("domain: file.example\nregions: [file]\ntimeouts: {drain: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"POSTERN_CONFIG": path, "POSTERN_DOMAIN": "env.example", "POSTERN_REGIONS": "env"}
	c, err := server.Load("", func(name string) string { return env[name] }, map[string]string{"domain": "flag.example"})
	if err != nil {
		t.Fatal(err)
	}
	if c.Domain != "flag.example" || c.Region != "env" || c.Timeouts.Drain != time.Second || c.Path != path || c.Development {
		t.Errorf("%+v", c)
	}
}

func TestDevelopment(t *testing.T) {
	env := map[string]string{"XDG_DATA_HOME": "/home/someone/data"}
	c, err := server.Load("", func(name string) string { return env[name] }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Development || c.Domain != "localhost" || c.DataDir != filepath.Join("/home/someone/data", "postern", "server") {
		t.Errorf("%+v", c)
	}
	for _, address := range []string{c.Listen.HTTPS, c.Listen.HTTP, c.Listen.Admin} {
		if !strings.HasPrefix(address, "127.0.0.1:") || strings.HasSuffix(address, ":8080") {
			t.Errorf("listens on %s", address)
		}
	}
	// Told a domain, it is a server like any other.
	c, err = server.Load("", func(name string) string { return env[name] }, map[string]string{"domain": "example.com"})
	if err != nil || c.Development || c.Listen.HTTPS != ":443" {
		t.Errorf("with a domain: %+v, %v", c, err)
	}
}

func TestLoadErrorsNameTheirPlace(t *testing.T) {
	none := func(string) string { return "" }
	tests := []struct {
		name  string
		path  string
		env   map[string]string
		flags map[string]string
		says  string
	}{
		{"no file", "/nonexistent/postern.yml", nil, nil, "/nonexistent/postern.yml: cannot be read: no such file or directory"},
		{"flag", "", nil, map[string]string{"domain": "example.com", "listen-https": "x"}, `--listen-https: "x" is not an address; write host:port, :port or [v6]:port`},
		{"variable", "", map[string]string{"POSTERN_TIMEOUTS_DRAIN": "soon", "POSTERN_DOMAIN": "example.com"}, nil, `POSTERN_TIMEOUTS_DRAIN: "soon" is not a duration; write a number with ms, s, m or h`},
		{"unbuilt feature", "", nil, map[string]string{"domain": "example.com", "cluster": "nats"}, "--cluster: this version does not have a cluster of several nodes; remove the key"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			env := none
			if test.env != nil {
				env = func(name string) string { return test.env[name] }
			}
			_, err := server.Load(test.path, env, test.flags)
			want := postern.CodeConfigInvalid
			if test.name == "no file" {
				want = postern.CodeFileUnreadable
			}
			if !postern.HasCode(err, want) || postern.AsError(err).Text() != test.says {
				t.Errorf("got  %v\nwant %s: %s", err, want, test.says)
			}
		})
	}
}

// The page of the documentation is made from the table of keys.
func TestDocumentation(t *testing.T) {
	var page bytes.Buffer
	page.WriteString("# The server's configuration\n\n")
	page.WriteString("`postern server --config FILE` reads YAML. Every key also has a flag (`listen.https` is `--listen-https`) and an\n")
	page.WriteString("environment variable (`POSTERN_LISTEN_HTTPS`); flags win over the environment, which wins over the file. Lists are\n")
	page.WriteString("separated by commas there. An unknown key, or a value that cannot be, stops the server with the line and column;\n")
	page.WriteString("`postern server check --config FILE` says the same without starting anything. `postern server setup --check` looks further, at what the configuration needs of the machine and of DNS ([install.md](install.md)).\n\n")
	page.WriteString("Keys marked *live* follow the file while the server runs (at once after SIGHUP, else within a few seconds of the\n")
	page.WriteString("change); the others wait for a restart. A file that is not valid is refused as a whole and the old one stays in\n")
	page.WriteString("force.\n\n")
	page.WriteString("Without a file and without a domain the server runs in development mode: `domain` is localhost, `listen.https`\n")
	page.WriteString("127.0.0.1:8443, `listen.http` 127.0.0.1:8880, `log.format` console, and `data_dir` is `postern/server` in the\n")
	page.WriteString("user's data directory (`XDG_DATA_HOME`, else `~/.local/share`).\n\n")
	page.WriteString("Memory: where `GOMEMLIMIT` (for example `900MiB`) is in the environment, or else the control group has a limit, of\n")
	page.WriteString("which 85 % are taken, the server keeps below it. When what it needs passes three quarters, new connections are\n")
	page.WriteString("refused (503 on plain HTTP, closed elsewhere) until less is needed; those that are open go on. Close to the limit\n")
	page.WriteString("visitors who do not take what is sent to them are cut, the slowest first.\n\n")
	page.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
	defaults := server.Default()
	for _, setting := range server.Settings() {
		value, live := setting.Value(defaults), ""
		if value != "" {
			value = "`" + value + "`"
		}
		if setting.Live {
			live = " *live*"
		}
		fmt.Fprintf(&page, "| `%s` | %s | %s | %s%s |\n", setting.Key, setting.Argument, value, setting.About, live)
	}
	compare(t, filepath.Join("..", "docs", "server-config.md"), page.Bytes())
}

// FuzzParse: whatever a file holds, the loader neither fails otherwise than with
// coded problems nor accepts what it cannot print and read again.
func FuzzParse(f *testing.F) {
	files, _ := filepath.Glob("testdata/config/*.yml")
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(example))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := server.Parse("f.yml", text)
		if err != nil {
			if !postern.HasCode(err, postern.CodeConfigInvalid) {
				t.Fatalf("an error without its code: %v", err)
			}
			return
		}
		flags := make(map[string]string)
		for _, setting := range server.Settings() {
			if value := setting.Value(c); value != "" && setting.Key != "sealing.key" { // shown are its ids
				flags[setting.Flag()] = value
			}
		}
		again, err := server.Load("", func(string) string { return "" }, flags)
		if err != nil {
			t.Fatalf("what was accepted is refused the second time: %v", err)
		}
		for _, setting := range server.Settings() {
			if was, is := setting.Value(c), setting.Value(again); was != is && is == "" {
				t.Fatalf("%s was %q, is %q", setting.Key, was, is)
			}
		}
	})
}
