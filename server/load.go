package server

import (
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/seal"
)

// maxConfig bounds a configuration file: what is larger is not one.
const maxConfig = 1 << 20

// Load makes a Config. Flags (by Setting.Flag) win over the environment, which
// wins over the file at path, which wins over Default. With neither a file (path
// "" and no POSTERN_CONFIG) nor a domain the result is Development. Every problem
// is reported at once, as Problems.
func Load(path string, env func(string) string, flags map[string]string) (Config, error) {
	if path == "" {
		path = env("POSTERN_CONFIG")
	}
	var problems Problems
	config, err := base(path, env, flags)
	if err != nil {
		return Config{}, err
	}
	if path != "" {
		config.stamp = stampOf(path)
		text, err := readConfig(path)
		if err != nil {
			return Config{}, err
		}
		problems = parse(path, text, &config)
	}
	config.overlay(env, flags, &problems)
	if len(problems) == 0 {
		config.validate(&problems)
	}
	return config, problems.err()
}

// Parse reads a file's text over Default and validates it. name is for messages.
func Parse(name string, text []byte) (Config, error) {
	config := Default()
	problems := parse(name, text, &config)
	if len(problems) == 0 {
		config.validate(&problems)
	}
	return config, problems.err()
}

// base chooses what everything else is laid over.
func base(path string, env func(string) string, flags map[string]string) (Config, error) {
	_, domainFlag := flags["domain"]
	if path != "" || domainFlag || env("POSTERN_DOMAIN") != "" {
		config := Default()
		config.Path = path
		return config, nil
	}
	dir, err := developmentDir(env)
	if err != nil && flags["data-dir"] == "" && env("POSTERN_DATA_DIR") == "" {
		return Config{}, err
	}
	return Development(dir), nil
}

// developmentDir is the user's data directory, by the XDG base directory
// specification where the operating system has no other opinion.
func developmentDir(env func(string) string) (string, error) {
	if dir := env("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "postern", "server"), nil
	}
	if dir := env("LOCALAPPDATA"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "postern", "server"), nil
	}
	home := env("HOME")
	if home == "" {
		found, err := os.UserHomeDir()
		if err != nil {
			return "", postern.Errorf(postern.CodeConfigInvalid,
				"no home directory to keep the development server's data in; give --data-dir DIRECTORY")
		}
		home = found
	}
	return filepath.Join(home, ".local", "share", "postern", "server"), nil
}

func readConfig(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err != nil {
		return nil, unreadable(path, err)
	}
	if len(text) > maxConfig {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "%s: larger than %d bytes; this is not a configuration", path, maxConfig)
	}
	return text, nil
}

func unreadable(path string, err error) error {
	reason := err
	var inner *os.PathError
	if errors.As(err, &inner) {
		reason = inner.Err
	}
	return postern.Errorf(postern.CodeFileUnreadable, "%s: cannot be read: %v", path, reason).Because(err)
}

// overlay lays environment and flags over c.
func (c *Config) overlay(env func(string) string, flags map[string]string, problems *Problems) {
	for _, setting := range Settings() {
		if text := env(setting.Env()); text != "" {
			if err := setting.setText(c, text); err != nil {
				problems.add(setting.Env(), "%v", err)
			}
		}
		if text, given := flags[setting.Flag()]; given {
			if err := setting.setText(c, text); err != nil {
				problems.add("--"+setting.Flag(), "%v", err)
			}
		}
	}
}

// validate checks what no single key shows.
func (c *Config) validate(problems *Problems) {
	if c.Domain == "" {
		problems.add(c.place("domain"), "domain is missing; give the domain that this server serves, such as tunnels.example.com")
	}
	if c.DataDir == "" {
		problems.add(c.place("data_dir"), "data_dir is empty; give the directory for the database, keys and the local CA")
	}
	if len(c.Sealing.Keys) > 0 {
		if _, err := seal.NewKeyring(c.Sealing.Keys...); err != nil {
			problems.add(c.place("sealing.key"), "sealing.key: %s", postern.AsError(err).Text())
		}
	}
	if c.Listen.HTTPS == "" {
		problems.add(c.place("listen.https"), "listen.https is empty; visitors and agents need it")
	}
	if c.TLS.Mode == ModeFiles && len(c.TLS.Certificates) == 0 {
		problems.add(c.place("tls.mode"), "tls.mode is files but tls.certificates names none")
	}
	c.validateACME(problems)
	if c.TLS.Mode != ModeFiles && len(c.TLS.Certificates) > 0 {
		problems.add(c.place("tls.certificates"), "tls.certificates is set but tls.mode is %s; set tls.mode to files", c.TLS.Mode)
	}
	if len(c.ProxyProtocol) > 0 && len(c.TrustedProxies) == 0 {
		problems.add(c.place("proxy_protocol"),
			"proxy_protocol is set but trusted_proxies is empty, so no peer could send the header; name the load balancer's addresses")
	}
	c.validateDNS(problems)
	if c.Limits.ConnectionsPerAddress > c.Limits.Connections {
		problems.add(c.place("limits.connections_per_address"),
			"limits.connections_per_address (%d) is above limits.connections (%d)", c.Limits.ConnectionsPerAddress, c.Limits.Connections)
	}
}

// place is where the file sets the key, the file where it does not, "" without one.
func (c *Config) place(key string) string {
	if place, found := c.places[key]; found {
		return place
	}
	return c.places[""]
}
