package main

import (
	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/session"
)

// connection is how an agent finds its server and proves who it is: flag, then
// environment, then configuration files.
type connection struct {
	url         string
	cas         string
	token       string
	proxy       string
	transport   string
	configFiles []string
}

func (c *connection) register(flags *pflag.FlagSet) {
	flags.StringVar(&c.url, "connect-url", "", "address of the server, `host:port` (env POSTERN_CONNECT_URL)")
	flags.StringVar(&c.cas, "connect-cas", "", "who may vouch for the server: trusted, host or a PEM `file` (env POSTERN_CONNECT_CAS)")
	flags.StringVar(&c.token, "authtoken", "", "the authtoken (env POSTERN_AUTHTOKEN, NGROK_AUTHTOKEN)")
	flags.StringVar(&c.proxy, "proxy-url", "", "`URL` of the proxy to the server, http, https or socks5 (env POSTERN_PROXY_URL; default: https_proxy, http_proxy or all_proxy of the environment)")
	flags.StringVar(&c.transport, "transport", "", "how to reach the server: auto, tls or websocket (env POSTERN_TRANSPORT; default auto)")
	flags.StringArrayVar(&c.configFiles, "config", nil, "configuration `file`; may be repeated, later files win")
}

// resolve reads the files and fills in what no flag gave.
func (c *connection) resolve(env func(string) string) (config.Config, error) {
	merged, err := config.Load(c.configFiles...)
	if err != nil {
		return config.Config{}, err
	}
	if given := firstOf(c.url, env("POSTERN_CONNECT_URL")); given != "" {
		merged.Servers = []string{given}
	}
	merged.CAs = firstOf(c.cas, env("POSTERN_CONNECT_CAS"), merged.CAs)
	merged.Authtoken = postern.Secret(firstOf(c.token, env("POSTERN_AUTHTOKEN"), env("NGROK_AUTHTOKEN"), merged.Authtoken.Reveal()))
	merged.Proxy = postern.Secret(firstOf(c.proxy, env("POSTERN_PROXY_URL"), merged.Proxy.Reveal()))
	merged.Transport = firstOf(c.transport, env("POSTERN_TRANSPORT"), merged.Transport)
	return merged, nil
}

// agent is what the files, flags and environment say about the way to the server.
func (c *connection) agent(file config.Config, env func(string) string) (agent.Config, error) {
	transport, err := session.ParseTransport(file.Transport)
	if err != nil {
		return agent.Config{}, err
	}
	return agent.Config{
		Server:    file.Server(),
		CAs:       file.CAs,
		Authtoken: file.Authtoken,
		Transport: transport,
		Proxy:     file.Proxy,
		Env:       env,
		Metadata:  file.Metadata,
		Version:   version(),
	}, nil
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
