package config

import (
	"os"
	"strings"

	"github.com/postern-dev/postern"
)

// Config is what one or more files say. Zero values were not set.
type Config struct {
	Server    string // host[:port] of the server's agent port: server_addr, connect_url
	CAs       string // root_cas, connect_cas: "trusted", "host" or a PEM file
	Authtoken postern.Secret
	Proxy     postern.Secret // proxy_url, http_proxy, socks5_proxy: may hold a password
	Transport string         // auto, tls, websocket
	Metadata  string         // of the session
	Log       string         // stdout, stderr, false or a file
	LogFormat string
	LogLevel  string
	Endpoints []Endpoint // in the order of the files
	Warnings  []string   // keys that were passed over, with their places
}

// Load reads files and merges them: of a value that several set the last counts,
// and so for endpoints of the same name. Errors are *postern.Error with
// CodeConfigInvalid.
func Load(paths ...string) (Config, error) {
	var merged Config
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return Config{}, postern.Errorf(postern.CodeConfigInvalid, "Error reading configuration file '%s': %v", path, err)
		}
		one, err := Parse(path, text)
		if err != nil {
			return Config{}, err
		}
		merged.merge(one)
	}
	return merged, nil
}

func (c *Config) merge(over Config) {
	for _, pair := range []struct{ to, from *string }{
		{&c.Server, &over.Server}, {&c.CAs, &over.CAs}, {&c.Metadata, &over.Metadata},
		{&c.Log, &over.Log}, {&c.LogFormat, &over.LogFormat}, {&c.LogLevel, &over.LogLevel}, {&c.Transport, &over.Transport},
	} {
		if *pair.from != "" {
			*pair.to = *pair.from
		}
	}
	if over.Authtoken != "" {
		c.Authtoken = over.Authtoken
	}
	if over.Proxy != "" {
		c.Proxy = over.Proxy
	}
	for _, e := range over.Endpoints {
		if i := c.find(e.Name); i >= 0 {
			c.Endpoints[i] = e
			continue
		}
		c.Endpoints = append(c.Endpoints, e)
	}
	c.Warnings = append(c.Warnings, over.Warnings...)
}

func (c *Config) find(name string) int {
	for i, e := range c.Endpoints {
		if e.Name == name {
			return i
		}
	}
	return -1
}

// Select gives the endpoints of these names, in that order. A name that no file
// defines is CodeConfigInvalid, with those that there are.
func (c *Config) Select(names []string) ([]Endpoint, error) {
	selected := make([]Endpoint, 0, len(names))
	for _, name := range names {
		i := c.find(name)
		if i < 0 {
			return nil, postern.Errorf(postern.CodeConfigInvalid,
				"Tunnel '%s' is not defined in the config files.\nTunnels available: %s", name, strings.Join(c.names(), ", "))
		}
		selected = append(selected, c.Endpoints[i])
	}
	return selected, nil
}

func (c *Config) names() []string {
	names := make([]string, len(c.Endpoints))
	for i, e := range c.Endpoints {
		names[i] = e.Name
	}
	return names
}
