package connector

import (
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
)

// File is what a configuration file says. The zero value of a field is what the file does
// not set.
type File struct {
	Gateways    []Gateway
	Allow       allow.Targets
	Drain       time.Duration
	ListenAdmin string
	Log         string
	LogFormat   string
	LogLevel    string
}

// Load reads a configuration file. Paths in it are relative to it. Errors are
// CodeFileUnreadable, and CodeConfigInvalid with every problem on a line that begins with
// its place.
func Load(path string) (File, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return File{}, postern.Errorf(postern.CodeFileUnreadable, "the configuration %q cannot be read: %v", path, err)
	}
	return Parse(path, text)
}

// Parse is Load of a text that was read from path.
func Parse(path string, text []byte) (File, error) {
	r := &fileReader{yamlReader: yamlReader{name: path}, dir: filepath.Dir(path)}
	if body := r.document(text); body != nil {
		r.root(body)
	}
	return r.file, r.err()
}

type fileReader struct {
	yamlReader
	dir  string
	file File
}

func (r *fileReader) root(body ast.Node) {
	var found bool
	r.mapping(body, "the configuration", keys{
		"version": func(n ast.Node) {
			if r.text(n, "version") != "1" {
				r.bad(n, "version must be 1")
			}
		},
		"gateways": func(n ast.Node) {
			found = true
			r.list(n, "gateways", r.gateway)
		},
		"allow":        func(n ast.Node) { r.file.Allow = r.rules(n) },
		"drain":        func(n ast.Node) { r.file.Drain = r.duration(n, "drain", time.Second, 24*time.Hour) },
		"listen_admin": func(n ast.Node) { r.file.ListenAdmin = r.listenAddress(n) },
		"log":          func(n ast.Node) { r.file.Log = r.text(n, "log") },
		"log_format":   func(n ast.Node) { r.file.LogFormat = r.text(n, "log_format") },
		"log_level":    func(n ast.Node) { r.file.LogLevel = r.text(n, "log_level") },
	})
	if len(r.file.Gateways) == 0 && len(r.problems) == 0 {
		if found {
			r.bad(body, "gateways is empty")
		} else {
			r.bad(body, "gateways is missing")
		}
	}
}

func (r *fileReader) gateway(node ast.Node) {
	g := Gateway{KeepAlive: DefaultKeepAlive, Retry: Retry{Count: -1}}
	hasToken, before := false, len(r.problems)
	r.mapping(node, "a gateway", keys{
		"name":        func(n ast.Node) { g.Name = r.text(n, "name") },
		"address":     func(n ast.Node) { g.Address = r.address(n) },
		"token":       func(n ast.Node) { g.Token, hasToken = postern.Secret(r.text(n, "token")), true },
		"token_file":  func(n ast.Node) { g.TokenFile = r.path(n, "token_file") },
		"headers":     func(n ast.Node) { g.Headers = r.headers(n) },
		"hostname":    func(n ast.Node) { g.Hostname = r.text(n, "hostname") },
		"auth":        func(n ast.Node) { g.Auth = postern.Secret(r.text(n, "auth")) },
		"fingerprint": func(n ast.Node) { g.Fingerprint = r.text(n, "fingerprint") },
		"proxy":       func(n ast.Node) { r.proxy(n, &g) },
		"tls_ca":      func(n ast.Node) { g.CAs = r.authorities(n) },
		"wire":        func(n ast.Node) { g.Speech = r.speech(n) },
		"keepalive":   func(n ast.Node) { g.KeepAlive = r.duration(n, "keepalive", 0, 24*time.Hour) },
		"max_retry_count": func(n ast.Node) {
			g.Retry.Count = r.number(n, "max_retry_count", -1, 1<<30)
		},
		"max_retry_interval": func(n ast.Node) {
			g.Retry.Most = r.duration(n, "max_retry_interval", time.Millisecond, 24*time.Hour)
		},
		"remotes": func(n ast.Node) {
			r.list(n, "remotes", func(item ast.Node) { r.remote(item, &g) })
		},
	})
	switch {
	case len(r.problems) > before:
	case g.Address == "":
		r.bad(node, "the gateway has no address")
	case hasToken && g.TokenFile != "":
		r.bad(node, "the gateway has both token and token_file")
	case len(g.Remotes) == 0:
		r.bad(node, "the gateway has no remotes")
	default:
		if err := checkDistinct(g.Remotes); err != nil {
			r.bad(node, "%s", postern.AsError(err).Text())
		}
	}
	r.file.Gateways = append(r.file.Gateways, g)
}

func (r *fileReader) remote(node ast.Node, g *Gateway) {
	if text, isText := scalar(plainNode(node)); isText {
		made, err := ParseRemote(text)
		if err != nil {
			r.bad(node, "%s", postern.AsError(err).Text())
			return
		}
		g.Remotes = append(g.Remotes, made)
		return
	}
	before := len(r.problems)
	made := Remote{Key: Key{Network: tcp}}
	r.mapping(node, "a remote", keys{
		"port":     func(n ast.Node) { made.Port = uint16(r.number(n, "port", 1, 65535)) },
		"listen":   func(n ast.Node) { made.Listen = r.text(n, "listen") },
		"protocol": func(n ast.Node) { made.Network = r.choice(n, "protocol", tcp, udp) },
		"target":   func(n ast.Node) { r.target(n, &made) },
		"proxy_protocol": func(n ast.Node) {
			made.ProxyProtocol = r.number(n, "proxy_protocol", 0, 2)
		},
		"health": func(n ast.Node) { made.Check = r.check(n) },
		"allow":  func(n ast.Node) { made.Allow = r.rules(n) },
	})
	switch {
	case len(r.problems) > before:
		return
	case made.Port == 0:
		r.bad(node, "the remote has no port")
	case made.Host == "":
		r.bad(node, "the remote has no target")
	case made.Network == udp && (made.ProxyProtocol != 0 || made.Check != nil):
		r.bad(node, "proxy_protocol and health are for TCP")
	default:
		// The one grammar judges what this one put together.
		if _, err := ParseRemote(made.String()); err != nil {
			r.bad(node, "%s", postern.AsError(err).Text())
			return
		}
		g.Remotes = append(g.Remotes, made)
	}
}

// target reads "db.corp.example:5432".
func (r *fileReader) target(n ast.Node, made *Remote) {
	parsed, err := ParseRemote("R:1:" + r.text(n, "target"))
	if err != nil || parsed.Listen != "" || parsed.Port != 1 || parsed.Network != tcp {
		r.bad(n, "target must be host:port")
		return
	}
	made.Host, made.TargetPort = parsed.Host, parsed.TargetPort
}

func (r *fileReader) check(n ast.Node) *Check {
	c := &Check{Interval: DefaultInterval, Timeout: DefaultTimeout}
	kinds := 0
	r.mapping(n, "health", keys{
		"tcp": func(n ast.Node) {
			kinds++
			if r.text(n, "tcp") != "true" {
				r.bad(n, "tcp must be true")
			}
		},
		"http": func(n ast.Node) {
			kinds++
			if c.HTTP = r.text(n, "http"); !strings.HasPrefix(c.HTTP, "/") || strings.ContainsAny(c.HTTP, " \r\n\t") {
				r.bad(n, "http must be the path of a request, such as /healthz")
			}
		},
		"interval": func(n ast.Node) { c.Interval = r.duration(n, "interval", time.Second, time.Hour) },
		"timeout":  func(n ast.Node) { c.Timeout = r.duration(n, "timeout", 10*time.Millisecond, time.Minute) },
	})
	if kinds != 1 {
		r.bad(n, "health is one of \"tcp: true\" and \"http: /path\"")
	}
	return c
}

func (r *fileReader) headers(n ast.Node) http.Header {
	h := http.Header{}
	var entries []*ast.MappingValueNode
	switch node := plainNode(n).(type) {
	case *ast.MappingNode:
		entries = node.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{node}
	default:
		r.bad(n, "headers must be a mapping of names to values")
	}
	for _, entry := range entries {
		name, _ := scalar(entry.Key)
		value := r.text(entry.Value, "a header")
		if err := AddHeader(h, name+": "+value); err != nil {
			r.bad(entry.Key, "%s", postern.AsError(err).Text())
		}
	}
	return h
}

func (r *fileReader) rules(n ast.Node) allow.Targets {
	var rules allow.Targets
	r.list(n, "allow", func(item ast.Node) {
		rule, err := allow.ParseTarget(r.text(item, "a rule"))
		if err != nil {
			r.bad(item, "%s", postern.AsError(err).Text())
			return
		}
		rules = append(rules, rule)
	})
	if len(rules) == 0 {
		r.bad(n, "allow has no rule; leave it out to allow every target that is declared")
	}
	return rules
}

func (r *fileReader) address(n ast.Node) string {
	text := r.text(n, "address")
	if _, err := parseAddress(text); err != nil {
		r.bad(n, "%s", postern.AsError(err).Text())
	}
	return text
}

func (r *fileReader) proxy(n ast.Node, g *Gateway) {
	parsed, err := ParseProxy("proxy", r.text(n, "proxy"))
	if err != nil {
		r.bad(n, "%s", postern.AsError(err).Text())
		return
	}
	g.Proxy = parsed
}

// authorities keeps the words and makes paths the file's own.
func (r *fileReader) authorities(n ast.Node) string {
	switch text := r.text(n, "tls_ca"); text {
	case "", "trusted", "host":
		return text
	}
	return r.path(n, "tls_ca")
}

func (r *fileReader) path(n ast.Node, what string) string {
	path := r.text(n, what)
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.dir, path)
}

func (r *fileReader) speech(n ast.Node) Speech {
	s, err := ParseSpeech(r.text(n, "wire"))
	if err != nil {
		r.bad(n, "%s", postern.AsError(err).Text())
	}
	return s
}

func (r *fileReader) choice(n ast.Node, what string, choices ...string) string {
	text := r.text(n, what)
	for _, one := range choices {
		if text == one {
			return text
		}
	}
	r.bad(n, "%s must be %s", what, strings.Join(choices, " or "))
	return choices[0]
}

func (r *fileReader) number(n ast.Node, what string, least, most int) int {
	value, err := strconv.Atoi(r.text(n, what))
	if err != nil || value < least || value > most {
		r.bad(n, "%s must be a number from %d to %d", what, least, most)
		return least
	}
	return value
}

func (r *fileReader) duration(n ast.Node, what string, least, most time.Duration) time.Duration {
	d, err := time.ParseDuration(r.text(n, what))
	if err != nil || d < least || d > most {
		r.bad(n, "%s must be a time with its unit, from %s to %s, such as 25s", what, least, most)
		return least
	}
	return d
}

func (r *fileReader) listenAddress(n ast.Node) string {
	text := r.text(n, "listen_admin")
	if err := CheckListenAdmin(text); err != nil {
		r.bad(n, "%s", postern.AsError(err).Text())
	}
	return text
}

// CheckListenAdmin refuses what is no address with a port. Errors are CodeFlagInvalid.
func CheckListenAdmin(text string) error {
	if _, err := netip.ParseAddrPort(text); err != nil {
		return postern.Errorf(postern.CodeFlagInvalid, "the address %q for metrics and health is not an IP address with a port, such as 127.0.0.1:9191", text)
	}
	return nil
}
