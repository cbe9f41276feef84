package config

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/nearest"
)

// agentKeys are the keys of the agent itself: at the root in versions 1 and 2, below
// "agent" in version 3. The names of all generations are understood in every file.
var agentKeys = map[string]func(r *reader, e entry) error{
	"server_addr": servers,
	"connect_url": servers,
	"root_cas":    word(func(c *Config) *string { return &c.CAs }),
	"connect_cas": word(func(c *Config) *string { return &c.CAs }),
	"authtoken":   secret("authtoken", func(c *Config) *postern.Secret { return &c.Authtoken }),
	"api_key":     secret("api_key", func(c *Config) *postern.Secret { return &c.APIKey }),
	"api_url":     word(func(c *Config) *string { return &c.APIURL }), // ours
	"region":      word(func(c *Config) *string { return &c.Region }),
	"metadata":    metadata,

	"proxy_url":           word(func(c *Config) *string { return (*string)(&c.Proxy) }),
	"http_proxy":          word(func(c *Config) *string { return (*string)(&c.Proxy) }),
	"socks5_proxy":        socksProxy,
	"transport":           oneOf(func(c *Config) *string { return &c.Transport }, "auto", "tls", "websocket"), // ours
	"connect_timeout":     duration(func(c *Config) *time.Duration { return &c.ConnectTimeout }),
	"connect_interface":   word(func(c *Config) *string { return &c.ConnectInterface }),
	"dns_resolver_ips":    resolvers,
	"heartbeat_interval":  duration(func(c *Config) *time.Duration { return &c.Heartbeat }),
	"heartbeat_tolerance": duration(func(c *Config) *time.Duration { return &c.Tolerance }),
	"remote_management":   truth(func(c *Config) **bool { return &c.RemoteManagement }),

	"log":              word(func(c *Config) *string { return &c.Log }),
	"log_format":       oneOf(func(c *Config) *string { return &c.LogFormat }, "term", "logfmt", "json"),
	"log_level":        oneOf(func(c *Config) *string { return &c.LogLevel }, "debug", "info", "warn", "error", "crit"),
	"console_ui":       oneOf(func(c *Config) *string { return &c.ConsoleUI }, "iftty", "true", "false"),
	"console_ui_color": oneOf(func(c *Config) *string { return &c.ConsoleColor }, "black", "transparent"),

	"web_addr":        word(func(c *Config) *string { return &c.WebAddr }),
	"web_allow_hosts": words(func(c *Config) *[]string { return &c.WebAllowHosts }),
	"web_token":       secret("web_token", func(c *Config) *postern.Secret { return &c.WebToken }), // ours
	"inspect_db_size": inspectSize,

	"acme_directory":   acmeDirectory, // ours, and so are those that follow
	"acme_ca_root":     word(func(c *Config) *string { return &c.ACME.RootsFile }),
	"acme_email":       word(func(c *Config) *string { return &c.ACME.Email }),
	"acme_eab_key_id":  word(func(c *Config) *string { return &c.ACME.KeyID }),
	"acme_eab_mac_key": secret("acme_eab_mac_key", func(c *Config) *postern.Secret { return &c.ACME.MACKey }),
	"certificates_dir": word(func(c *Config) *string { return &c.ACME.Keep }),

	"update_check":   truth(func(c *Config) **bool { return &c.UpdateCheck }),
	"update":         truth(func(c *Config) **bool { return &c.UpdateCheck }),
	"update_channel": oneOf(func(c *Config) *string { return &c.UpdateChannel }, "stable", "beta", "unstable"),
}

// inertRoot are keys of ngrok's that have no effect here, and why.
var inertRoot = map[string]string{
	"compress_conn": "the link does not compress; services and browsers do",
	"crl_noverify":  "revocation is the server's business; pin its CA with connect_cas",
	"crl_url":       "revocation is the server's business; pin its CA with connect_cas",
	"local_storage": "captured requests are kept in memory only",
}

// firstGeneration are keys of ngrok 1.x, whose files "config upgrade" turns into
// today's.
var firstGeneration = map[string]string{
	"auth_token": "authtoken", "inspect_addr": "web_addr", "trust_host_root_certs": "connect_cas",
}

func (r *reader) root(body ast.Node) error {
	entries, err := r.entries("", body)
	if err != nil {
		return err
	}
	if err := r.readVersion(entries); err != nil {
		return err
	}
	for _, e := range entries {
		if err := r.rootKey(e); err != nil {
			return err
		}
	}
	return nil
}

// readVersion comes first: it decides what the other keys mean.
func (r *reader) readVersion(entries []entry) error {
	r.version = "1"
	for _, e := range entries {
		if e.key != "version" {
			continue
		}
		text, err := r.text(e)
		if err != nil {
			return err
		}
		if text != "1" && text != "2" && text != "3" {
			return r.at(e.value, "version %q is not one of 1, 2, 3", clip(text))
		}
		r.version, r.config.Version = text, text
	}
	return nil
}

func (r *reader) rootKey(e entry) error {
	switch e.key {
	case "version":
		return nil
	case "tunnels":
		return r.tunnels(e)
	case "agent", "endpoints":
		if r.version != "3" {
			return r.at(e.node, "%s needs version: 3 in the file", e.key)
		}
		if e.key == "agent" {
			return r.agent(e)
		}
		return r.endpoints(e)
	}
	return r.agentKey(e, slices.AppendSeq([]string{"version", "tunnels", "agent", "endpoints"}, maps.Keys(agentKeys)))
}

func (r *reader) agent(e entry) error {
	entries, err := r.entries(e.path, e.value)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := r.agentKey(e, slices.Collect(maps.Keys(agentKeys))); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) agentKey(e entry, known []string) error {
	if set, found := agentKeys[e.key]; found {
		r.older(e, olderAgentKeys)
		return set(r, e)
	}
	if why, inert := inertRoot[e.key]; inert {
		r.warn(e, "has no effect here: "+why)
		return nil
	}
	if today, old := firstGeneration[e.key]; old {
		return r.at(e.node, "%s is a key of ngrok 1.x, today's is %s; \"postern config upgrade\" converts the file", e.key, today)
	}
	if looksLikeTunnel(e.value) {
		return r.at(e.node, "%s looks like a tunnel that is not below \"tunnels:\"; indent it, and its keys further", clip(e.key))
	}
	return r.unknown(e, known, false)
}

// looksLikeTunnel tells whether a mapping has the keys of a tunnel.
func looksLikeTunnel(node ast.Node) bool {
	mapping, ok := node.(*ast.MappingNode)
	if !ok {
		return false
	}
	return slices.ContainsFunc(mapping.Values, func(pair *ast.MappingValueNode) bool {
		key, _ := scalar(pair.Key)
		return key == "proto" || key == "addr"
	})
}

// warn notes a key that is passed over.
func (r *reader) warn(e entry, why string) {
	r.config.Warnings = append(r.config.Warnings, r.at(e.node, "%s %s", clip(e.path), why).Message)
}

// unknown passes a key over with a warning, as old agents did: files that worked for
// years must not stop an agent. What may be meant to guard an endpoint is refused.
func (r *reader) unknown(e entry, known []string, guards bool) error {
	near := nearest.Of(e.key, known)
	switch {
	case near == "":
		r.warn(e, "is not understood and has no effect")
	case guards && guarding[near]:
		return r.at(e.node, "%s is not understood; did you mean %s? What may be meant to guard an endpoint is not passed over", clip(e.path), near)
	default:
		r.warn(e, "is not understood and has no effect; did you mean "+near+"?")
	}
	return nil
}

func servers(r *reader, e entry) error {
	list, err := r.list(e)
	for _, server := range list {
		if isPlaceholder(server) {
			return r.at(e.value, "%s is %q, a placeholder; write the address of your server, e.g. connect.example.com:443", e.path, clip(server))
		}
	}
	r.config.Servers = list
	return err
}

func socksProxy(r *reader, e entry) error {
	text, err := r.text(e)
	if text != "" && !strings.Contains(text, "://") {
		text = "socks5://" + text
	}
	r.config.Proxy = postern.Secret(text)
	return err
}

func metadata(r *reader, e entry) error {
	text, err := r.text(e)
	if len(text) > mostMetadata {
		return r.at(e.value, "%s has %d bytes, more than %d", e.path, len(text), mostMetadata)
	}
	r.config.Metadata = text
	return err
}

// mostMetadata is ngrok's own bound.
const mostMetadata = 4096

func resolvers(r *reader, e entry) error {
	list, err := r.list(e)
	if err != nil {
		return err
	}
	addresses := make([]netip.Addr, 0, len(list))
	for _, text := range list {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return r.at(e.value, "%s: %q is not an IP address", e.path, clip(text))
		}
		addresses = append(addresses, address)
	}
	r.config.DNSResolvers = addresses
	return nil
}

func inspectSize(r *reader, e entry) error {
	text, err := r.text(e)
	if err != nil {
		return err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < -1 {
		return r.at(e.value, "%s: %q is not a number of bytes; 0 is the default, -1 keeps nothing", e.path, clip(text))
	}
	r.config.InspectSize = n
	return nil
}
