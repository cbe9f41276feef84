package connector_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/connector"
)

const wholeFile = `
version: 1
listen_admin: 127.0.0.1:9191
drain: 1m
allow: ["10.0.0.0/8:*", "db.corp.example:5432"]
log_level: debug
gateways:
  - name: production
    address: https://gateway.example.com/sg_1
    token_file: token
    tls_ca: ca.pem
    max_retry_count: 7
    keepalive: 0s
    remotes:
      - R:8081:10.0.0.3:8393
      - R:53:10.0.0.1:53/udp
      - port: 8082
        target: db.corp.example:5432
        proxy_protocol: 2
        health: {http: /healthz, interval: 5s, timeout: 1s}
        allow: ["10.1.0.0/16:5432"]
      - {port: 8083, protocol: udp, target: "[fd00::1]:53"}
  - address: http://127.0.0.1:8080/sg_2
    token: the-token
    headers: {X-Own: value}
    wire: chisel
    auth: ada:password
    proxy: socks://ada:pw@proxy.corp:1080
    remotes: [R:8081:10.0.0.4:80]
`

func TestParse(t *testing.T) {
	file, err := connector.Parse("/etc/postern/connector.yml", []byte(wholeFile))
	if err != nil {
		t.Fatal(err)
	}
	if file.ListenAdmin != "127.0.0.1:9191" || file.Drain != time.Minute || len(file.Allow) != 2 || file.LogLevel != "debug" || len(file.Gateways) != 2 {
		t.Errorf("%+v", file)
	}
	one, two := file.Gateways[0], file.Gateways[1]
	if one.Name != "production" || one.TokenFile != "/etc/postern/token" || one.CAs != "/etc/postern/ca.pem" ||
		one.Retry != (connector.Retry{Count: 7}) || one.KeepAlive != 0 || len(one.Remotes) != 4 {
		t.Errorf("%+v", one)
	}
	var texts []string
	for _, r := range one.Remotes {
		texts = append(texts, r.String())
	}
	if got := strings.Join(texts, " "); got != "R:8081:10.0.0.3:8393 R:53:10.0.0.1:53/udp R:8082:db.corp.example:5432 R:8083:[fd00::1]:53/udp" {
		t.Error(got)
	}
	r := one.Remotes[2]
	if r.ProxyProtocol != 2 || *r.Check != (connector.Check{HTTP: "/healthz", Interval: 5 * time.Second, Timeout: time.Second}) || len(r.Allow) != 1 {
		t.Errorf("%+v", r)
	}
	if two.Token != "the-token" || two.Headers.Get("X-Own") != "value" || two.Speech != connector.Chisel || two.Auth != "ada:password" ||
		two.Proxy.String() != "socks5://ada:xxxxx@proxy.corp:1080" || two.Retry.Count != -1 || two.KeepAlive != connector.DefaultKeepAlive {
		t.Errorf("%+v", two)
	}
}

// What is wrong is told with its place, all of it at once, and no secret is in it.
func TestParseProblems(t *testing.T) {
	const gateway = "gateways:\n- address: https://x/sg_1\n  token: secret-token\n"
	const remotes = "  remotes: [R:8081:db:80]\n"
	for text, want := range map[string]string{
		"":                             "f.yml: the file is empty",
		"# nothing":                    "f.yml: the file is empty",
		"- a":                          "f.yml:1:1: the configuration must be a mapping",
		"version: 2\ngateways: []":     "f.yml:1:10: version must be 1",
		"gateways: []":                 "gateways is empty",
		"version: 1":                   "gateways is missing",
		"gateways: {}":                 "f.yml:1:11: gateways must be a list",
		"gateways: [\t":                "f.yml:1:",
		"nonsense: 1":                  `f.yml:1:1: the configuration has no key "nonsense"; it has allow, drain,`,
		gateway + remotes + "drain: 5": "f.yml:5:8: drain must be a time with its unit",
		gateway + remotes + "listen_admin: :9191":                                                "f.yml:5:15: the address \":9191\"",
		gateway + remotes + "allow: [nowhere]":                                                   "f.yml:5:9: ",
		gateway + remotes + "allow: []":                                                          "allow has no rule",
		gateway + remotes + "---\na: 1":                                                          "a second document",
		gateway:                                                                                  "the gateway has no remotes",
		gateway + "  token: x\n" + remotes:                                                       "f.yml:4:3: ",
		gateway + "  token_file: x\n" + remotes:                                                  "both token and token_file",
		gateway + "  wire: morse\n" + remotes:                                                    `f.yml:4:9: the wire "morse"`,
		gateway + "  keepalive: 25\n" + remotes:                                                  "f.yml:4:14: keepalive must be a time with its unit",
		gateway + "  headers: {\"a b\": x}\n" + remotes:                                          `"a b" is no name of a header`,
		gateway + "  headers: {Upgrade: x}\n" + remotes:                                          "the header Upgrade belongs to the connection",
		gateway + "  proxy: ftp://ada:secret-token@x\n" + remotes:                                "f.yml:4:10: proxy has the scheme",
		gateway + "  max_retry_count: many\n" + remotes:                                          "max_retry_count must be a number",
		"gateways:\n- token: x\n" + remotes:                                                      "the gateway has no address",
		"gateways:\n- address: ftp://x\n" + remotes:                                              `f.yml:2:12: the server "ftp://x"`,
		gateway + "  remotes: [R:8081:db]\n":                                                     "f.yml:4:13: Failed to decode remote 'R:8081:db': Missing ports",
		gateway + "  remotes: [8081:db:80]\n":                                                    "would listen here and not at the gateway",
		gateway + "  remotes: [R:1:a:1, R:1:b:1]\n":                                              "local port '1' is duplicated",
		gateway + "  remotes:\n  - {port: 1}\n":                                                  "f.yml:5:5: the remote has no target",
		gateway + "  remotes:\n  - {target: a:1}\n":                                              "the remote has no port",
		gateway + "  remotes:\n  - {port: 0, target: a:1}\n":                                     "port must be a number from 1 to 65535",
		gateway + "  remotes:\n  - {port: 1, target: a}\n":                                       "target must be host:port",
		gateway + "  remotes:\n  - {port: 1, target: 'a:2:b:1'}\n":                               "target must be host:port",
		gateway + "  remotes:\n  - {port: 1, target: a:1/udp}\n":                                 "target must be host:port",
		gateway + "  remotes:\n  - {port: 1, target: a:1, protocol: sctp}\n":                     "protocol must be tcp or udp",
		gateway + "  remotes:\n  - {port: 1, target: a:1, protocol: udp, proxy_protocol: 2}\n":   "proxy_protocol and health are for TCP",
		gateway + "  remotes:\n  - {port: 1, target: a:1, health: {}}\n":                         "health is one of",
		gateway + "  remotes:\n  - {port: 1, target: a:1, health: {http: x}}\n":                  "http must be the path",
		gateway + "  remotes:\n  - {port: 1, target: a:1, health: {tcp: true, interval: 1ms}}\n": "interval must be a time",
		gateway + "  remotes:\n  - {port: 1, target: a:1, listen: 'x y'}\n":                      "Invalid host",
	} {
		_, err := connector.Parse("f.yml", []byte(text))
		if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(postern.AsError(err).Text(), want) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "secret-token") {
			t.Errorf("%q: the secret is in %v", text, err)
		}
	}
	_, err := connector.Parse("f.yml", []byte("nonsense: 1\nother: 2\n"))
	if lines := strings.Split(postern.AsError(err).Text(), "\n"); len(lines) != 2 {
		t.Errorf("%q", lines)
	}
}

func TestLoad(t *testing.T) {
	if _, err := connector.Load(filepath.Join(t.TempDir(), "absent.yml")); !postern.HasCode(err, postern.CodeFileUnreadable) {
		t.Error(err)
	}
	// A token file is read without the line end that editors leave.
	dir := t.TempDir()
	text := strings.Replace(wholeFile, "    tls_ca: ca.pem\n", "", 1)
	for name, content := range map[string]string{"c.yml": text, "token": "from-the-file\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file, err := connector.Load(filepath.Join(dir, "c.yml"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := connector.New(connector.Config{Gateways: file.Gateways, Allow: file.Allow}); err == nil || !strings.Contains(err.Error(), "R:8083:[fd00::1]:53/udp is not allowed") {
		t.Errorf("the rules do not hold: %v", err)
	}
	if _, err := connector.New(connector.Config{Gateways: file.Gateways}); err != nil {
		t.Error(err)
	}
}

// Whatever a file holds, it is read to gateways that can be made, or refused with its
// name.
func FuzzParse(f *testing.F) {
	f.Add(wholeFile)
	f.Add("gateways:\n- address: x\n  remotes: [{port: 1, target: a:1, health: {tcp: true}}]")
	f.Add("gateways: &a [*a]")
	f.Add("gateways:\n- address: x\n  remotes: [{port: 1, target: a:1, allow: ['b:1']}]")
	f.Fuzz(func(t *testing.T, text string) {
		file, err := connector.Parse("f.yml", []byte(text))
		if err != nil {
			if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.HasPrefix(postern.AsError(err).Text(), "f.yml") {
				t.Error(err)
			}
			return
		}
		for i := range file.Gateways {
			file.Gateways[i].TokenFile, file.Gateways[i].CAs = "", "host"
		}
		_, err = connector.New(connector.Config{Gateways: file.Gateways})
		// Two of one name, or a remote whose own rules exclude it.
		if err != nil && !postern.HasCode(err, postern.CodeFlagInvalid) && !postern.HasCode(err, postern.CodeTargetRefused) {
			t.Error(err)
		}
	})
}
