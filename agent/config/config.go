package config

import (
	"cmp"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/nearest"
)

// Config is what one or more files say. Zero values were not set.
type Config struct {
	// Version is that of the last file that had one: "1", "2" or "3". "" is none,
	// which means the first generation.
	Version string

	Servers          []string // connect_url, server_addr: host[:port] of agent ports, tried in order
	CAs              string   // connect_cas, root_cas: "trusted", "host" or a PEM file
	Authtoken        postern.Secret
	APIKey           postern.Secret
	APIURL           string // ours: where the REST API is
	Region           string
	Metadata         string         // of the session
	Proxy            postern.Secret // proxy_url, http_proxy, socks5_proxy: may hold a password
	Transport        string         // ours: auto, tls, websocket
	ConnectTimeout   time.Duration
	ConnectInterface string
	DNSResolvers     []netip.Addr // dns_resolver_ips
	Heartbeat        time.Duration
	Tolerance        time.Duration
	RemoteManagement *bool // nil: allowed

	Log, LogFormat, LogLevel string
	ConsoleUI, ConsoleColor  string // iftty, true or false; black or transparent

	WebAddr       string // "" is 127.0.0.1:4040, "false" is none
	WebAllowHosts []string
	WebToken      postern.Secret // ours: what a request from elsewhere must carry
	InspectSize   int64          // bytes of captured requests; 0 is the default, -1 none

	ACME ACME

	UpdateCheck   *bool
	UpdateChannel string

	Endpoints []Endpoint // in the order of the files
	Others    []Endpoint // of files beneath (Over): Select finds them, All does not
	Files     []string   // that were read
	Warnings  []string   // what was passed over, with places
}

// ACME says from where the agent itself obtains certificates for endpoints whose TLS it
// ends; all of it is ours.
type ACME struct {
	Directory string // acme_directory: a URL, "server" for the one that the server offers; "" is the server alone
	RootsFile string // acme_ca_root: PEM file of who may vouch for it
	Email     string // acme_email
	KeyID     string // acme_eab_key_id: of an external account binding
	MACKey    postern.Secret
	Keep      string // certificates_dir: where keys and certificates are kept; "" is beside the user's configuration
}

// Load reads files and merges them: of a value that several set the last counts, and
// so for endpoints of the same name. Each file may be of another version. Errors are
// *postern.Error with CodeConfigInvalid.
func Load(paths ...string) (Config, error) {
	var merged Config
	for _, path := range paths {
		text, err := ReadFile(path)
		if err != nil {
			return Config{}, postern.Errorf(postern.CodeConfigInvalid, "Error reading configuration file '%s': %v", path, err)
		}
		if err := merged.read(path, text); err != nil {
			return Config{}, err
		}
	}
	return merged, nil
}

// LoadFound is Load of those of the paths that exist.
func LoadFound(paths ...string) (Config, error) {
	missing := func(path string) bool {
		_, err := os.Stat(path)
		return errors.Is(err, fs.ErrNotExist)
	}
	return Load(slices.DeleteFunc(slices.Clone(paths), missing)...)
}

// Over puts c, which was read from files that somebody named, over what the default
// files say. Their endpoints can be selected by name. How this machine gets out of its
// network is theirs to say where c does not, and so are the server, who vouches for it
// and the token, but only together: a token is not shown to another server than the
// one it was saved with. Everything else is c's alone.
func (c *Config) Over(beneath Config) {
	for _, e := range slices.Concat(beneath.Endpoints, beneath.Others) {
		if c.find(e.Name) < 0 && !slices.ContainsFunc(c.Others, func(o Endpoint) bool { return o.Name == e.Name }) {
			c.Others = append(c.Others, e)
		}
	}
	c.Files = slices.Concat(beneath.Files, c.Files)
	c.Warnings = slices.Concat(beneath.Warnings, c.Warnings)
	c.Proxy = cmp.Or(c.Proxy, beneath.Proxy)
	c.ConnectInterface = cmp.Or(c.ConnectInterface, beneath.ConnectInterface)
	if c.DNSResolvers == nil {
		c.DNSResolvers = beneath.DNSResolvers
	}
	if len(c.Servers) > 0 && !slices.Equal(c.Servers, beneath.Servers) {
		return
	}
	c.Servers = beneath.Servers
	c.CAs = cmp.Or(c.CAs, beneath.CAs)
	c.Authtoken = cmp.Or(c.Authtoken, beneath.Authtoken)
	c.Transport = cmp.Or(c.Transport, beneath.Transport)
}

// Server is the first of the servers, "" for none.
func (c *Config) Server() string {
	if len(c.Servers) == 0 {
		return ""
	}
	return c.Servers[0]
}

// FirstGeneration tells whether an http tunnel that does not say has both URLs, as
// before there were versions.
func (c *Config) FirstGeneration() bool { return c.Version == "" || c.Version == "1" }

// find gives the place of an endpoint; -1 for none.
func (c *Config) find(name string) int {
	return slices.IndexFunc(c.Endpoints, func(e Endpoint) bool { return e.Name == name })
}

// Select gives the endpoints of these names, in that order. A name that no file
// defines is CodeConfigInvalid, with those that there are, and so is one whose
// definition cannot work.
func (c *Config) Select(names []string) ([]Endpoint, error) {
	selected := make([]Endpoint, 0, len(names))
	for _, name := range names {
		all := slices.Concat(c.Endpoints, c.Others)
		i := slices.IndexFunc(all, func(e Endpoint) bool { return e.Name == name })
		if i < 0 {
			return nil, c.undefined(name)
		}
		if problem := all[i].Problem; problem != nil {
			return nil, problem
		}
		selected = append(selected, all[i])
	}
	return selected, nil
}

func (c *Config) undefined(name string) error {
	text := "Tunnel '%s' is not defined in the config files.\nTunnels available: %s\nConfig files read: [%s]"
	if near := nearest.Of(name, c.names()); near != "" {
		return postern.Errorf(postern.CodeConfigInvalid, text+"\nDid you mean %s?", clip(name), strings.Join(c.names(), ", "), strings.Join(c.Files, " "), near)
	}
	return postern.Errorf(postern.CodeConfigInvalid, text, clip(name), strings.Join(c.names(), ", "), strings.Join(c.Files, " "))
}

// All gives every endpoint of the files that were read, without the Others. The first whose definition cannot work is the error.
func (c *Config) All() ([]Endpoint, error) {
	for _, e := range c.Endpoints {
		if e.Problem != nil {
			return nil, e.Problem
		}
	}
	return c.Endpoints, nil
}

// Check is an error with what is wrong with any endpoint, a line each.
func (c *Config) Check() error {
	var lines []string
	for _, e := range c.Endpoints {
		if e.Problem != nil {
			lines = append(lines, e.Problem.Text())
		}
	}
	if len(lines) == 0 {
		return nil
	}
	return postern.Errorf(postern.CodeConfigInvalid, "%s", strings.Join(lines, "\n"))
}

func (c *Config) names() []string {
	var names []string
	for _, e := range slices.Concat(c.Endpoints, c.Others) {
		names = append(names, e.Name)
	}
	return names
}
