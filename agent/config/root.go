package config

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/postern-dev/postern"
)

// inertRoot are keys of ngrok's that change nothing for visitors and have no effect
// here: what they steer does not exist in this agent, or is always so.
var inertRoot = map[string]bool{
	"region": true, "web_addr": true, "web_allow_hosts": true, "console_ui": true,
	"console_ui_color": true, "inspect_db_size": true, "update": true, "update_check": true,
	"update_channel": true, "remote_management": true, "crl_noverify": true, "crl_url": true,
	"heartbeat_interval": true, "heartbeat_tolerance": true, "local_storage": true,
	"compress_conn": true, "api_key": true,
}

// agentKeys are the keys of the agent itself: at the root in versions 1 and 2, below
// "agent" in version 3.
var agentKeys = map[string]func(*Config) *string{
	"server_addr":  func(c *Config) *string { return &c.Server },
	"connect_url":  func(c *Config) *string { return &c.Server },
	"root_cas":     func(c *Config) *string { return &c.CAs },
	"connect_cas":  func(c *Config) *string { return &c.CAs },
	"metadata":     func(c *Config) *string { return &c.Metadata },
	"log":          func(c *Config) *string { return &c.Log },
	"log_format":   func(c *Config) *string { return &c.LogFormat },
	"log_level":    func(c *Config) *string { return &c.LogLevel },
	"authtoken":    func(c *Config) *string { return (*string)(&c.Authtoken) },
	"proxy_url":    func(c *Config) *string { return (*string)(&c.Proxy) },
	"http_proxy":   func(c *Config) *string { return (*string)(&c.Proxy) },
	"transport":    func(c *Config) *string { return &c.Transport },
	"socks5_proxy": func(c *Config) *string { return (*string)(&c.Proxy) },
}

// transports are the ways to the server that can be asked for.
var transports = [...]string{"auto", "tls", "websocket"}

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
		r.version = text
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
	return r.agentKey(e)
}

func (r *reader) agent(e entry) error {
	entries, err := r.entries(e.path, e.value)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := r.agentKey(e); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) agentKey(e entry) error {
	if field, known := agentKeys[e.key]; known {
		text, err := r.text(e)
		if err == nil && e.key == "transport" && !slices.Contains(transports[:], text) {
			return r.at(e.value, "%s %q is not one of %s", e.path, clip(text), strings.Join(transports[:], ", "))
		}
		if e.key == "socks5_proxy" && text != "" && !strings.Contains(text, "://") {
			text = "socks5://" + text
		}
		*field(&r.config) = text
		return err
	}
	if inertRoot[e.key] {
		r.warn(e)
		return nil
	}
	known := []string{"version", "tunnels", "agent", "endpoints"}
	for key := range agentKeys {
		known = append(known, key)
	}
	return r.unknown(e, known)
}

func (r *reader) warn(e entry) {
	r.config.Warnings = append(r.config.Warnings, r.at(e.node, "%s has no effect", e.path).Message)
}

func (r *reader) unknown(e entry, known []string) *postern.Error {
	if near := nearest(e.key, known); near != "" {
		return r.at(e.node, "%s is not understood; did you mean %s?", clip(e.path), near)
	}
	return r.at(e.node, "%s is not understood by this version; it would have no effect, so the file is refused", clip(e.path))
}
