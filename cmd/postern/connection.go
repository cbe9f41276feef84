package main

import (
	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

// connection is how an agent finds its server and proves who it is: flag, then
// environment, then configuration files.
type connection struct {
	url         string
	cas         string
	token       string
	configFiles []string
}

func (c *connection) register(flags *pflag.FlagSet) {
	flags.StringVar(&c.url, "connect-url", "", "address of the server, `host:port` (env POSTERN_CONNECT_URL)")
	flags.StringVar(&c.cas, "connect-cas", "", "who may vouch for the server: trusted, host or a PEM `file` (env POSTERN_CONNECT_CAS)")
	flags.StringVar(&c.token, "authtoken", "", "the authtoken (env POSTERN_AUTHTOKEN, NGROK_AUTHTOKEN)")
	flags.StringArrayVar(&c.configFiles, "config", nil, "configuration `file`; may be repeated, later files win")
}

// resolve reads the files and fills in what no flag gave.
func (c *connection) resolve(env func(string) string) (config.Config, error) {
	merged, err := config.Load(c.configFiles...)
	if err != nil {
		return config.Config{}, err
	}
	merged.Server = firstOf(c.url, env("POSTERN_CONNECT_URL"), merged.Server)
	merged.CAs = firstOf(c.cas, env("POSTERN_CONNECT_CAS"), merged.CAs)
	merged.Authtoken = postern.Secret(firstOf(c.token, env("POSTERN_AUTHTOKEN"), env("NGROK_AUTHTOKEN"), merged.Authtoken.Reveal()))
	return merged, nil
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
