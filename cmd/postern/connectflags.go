package main

import (
	"net/http"
	"time"

	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/connector"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/internal/dial"
)

// connectFlags are the options of outsystemscc, which "postern connect" has too.
type connectFlags struct {
	keepAlive     time.Duration
	retryCount    int
	retryInterval time.Duration
	proxy         string
	headers       []string
	hostname      string
	pid           bool
	verbose       bool
}

func (c *connectFlags) register(flags *pflag.FlagSet) {
	flags.DurationVar(&c.keepAlive, "keepalive", connector.DefaultKeepAlive, "ping a chisel server this often, with a unit, e.g. 5s or 2m; 0s never")
	flags.IntVar(&c.retryCount, "max-retry-count", -1, "give up after so many attempts in a row; -1 is never")
	flags.DurationVar(&c.retryInterval, "max-retry-interval", 0, "the longest wait between two attempts (default 5s)")
	flags.StringVar(&c.proxy, "proxy", "", "`URL` of the proxy to the gateway, http, https or socks5, with user:password@ where it asks for them")
	flags.StringArrayVar(&c.headers, "header", nil, "a header of the requests to the gateway, `\"Name: Content\"`; may be repeated")
	flags.StringVar(&c.hostname, "hostname", "", "the Host header, and the name in TLS (default: those of the server's address)")
	flags.BoolVar(&c.pid, "pid", false, "write the process's number to a file in the current directory")
	flags.BoolVarP(&c.verbose, "verbose", "v", false, "log more")
}

// connectOwnFlags are those that "postern connect" has beyond.
type connectOwnFlags struct {
	config      string
	token       string
	tokenFile   string
	auth        string
	fingerprint string
	cas         string
	skipVerify  bool
	wire        string
	allow       []string
	listenAdmin string
	drain       time.Duration
	logging
}

func (c *connectOwnFlags) registerOwn(flags *pflag.FlagSet) {
	flags.StringVar(&c.config, "config", "", "a configuration `file` with gateways and remotes, in place of SERVER and REMOTE")
	flags.StringVar(&c.token, "token", "", "the gateway's token (env POSTERN_GATEWAY_TOKEN)")
	flags.StringVar(&c.tokenFile, "token-file", "", "a `file` that holds the token")
	flags.StringVar(&c.auth, "auth", "", "`user:password` for a chisel server (env AUTH)")
	flags.StringVar(&c.fingerprint, "fingerprint", "", "the fingerprint that a chisel server's host key must have")
	flags.StringVar(&c.cas, "tls-ca", "", "who may vouch for the gateway: trusted, host or a PEM `file` (env POSTERN_CONNECT_CAS)")
	flags.BoolVar(&c.skipVerify, "tls-skip-verify", false, "believe whatever answers; anybody on the way can then read the token")
	flags.StringVar(&c.wire, "wire", "", "how to speak to the gateway: auto, native or chisel (default auto)")
	flags.StringArrayVar(&c.allow, "allow", nil, "allow targets by this `rule` and no others, e.g. db.corp:5432 or 10.0.0.0/8:*; may be repeated")
	flags.StringVar(&c.listenAdmin, "listen-admin", "", "serve /metrics and /healthz at this `address`, e.g. 127.0.0.1:9191")
	flags.DurationVar(&c.drain, "drain", 0, "how long connections may go on after SIGTERM (default 30s)")
	c.logging.register(flags)
	flags.Lookup("log").Usage = "`place` of the log: stdout, stderr, false or a file (default stdout)"
}

// gateway is what the command line says of the one gateway. classic: under the name of
// outsystemscc.
func (c *connectRun) gateway(args []string) (connector.Gateway, []string, error) {
	if len(args) < 2 { // in chisel's words
		return connector.Gateway{}, nil, postern.Errorf(postern.CodeFlagInvalid, "A server and least one remote is required")
	}
	headers := http.Header{}
	for _, text := range c.headers {
		if err := connector.AddHeader(headers, text); err != nil {
			return connector.Gateway{}, nil, err
		}
	}
	remotes, warnings, err := connector.ParseRemotes(args[1:])
	if err != nil {
		return connector.Gateway{}, warnings, err
	}
	if len(remotes) == 0 {
		return connector.Gateway{}, warnings, postern.Errorf(postern.CodeFlagInvalid, "A server and least one remote is required")
	}
	speech, err := connector.ParseSpeech(c.wire)
	if err != nil {
		return connector.Gateway{}, warnings, err
	}
	env := c.streams.Env
	g := connector.Gateway{
		Address: args[0], Headers: headers, Hostname: c.hostname, Remotes: remotes,
		Token: postern.Secret(c.token), TokenFile: c.tokenFile,
		Auth: postern.Secret(firstOf(c.auth, env("AUTH"))), Fingerprint: c.fingerprint,
		CAs: firstOf(c.cas, env("POSTERN_CONNECT_CAS")), SavedCAs: (&connection{}).savedCAs(c.streams), SkipVerify: c.skipVerify,
		Speech: speech, KeepAlive: c.keepAlive,
		Retry: connector.Retry{Count: c.retryCount, Most: c.retryInterval, Classic: c.classic()},
	}
	if g.Token == "" && g.TokenFile == "" && headers.Get("Token") == "" {
		g.Token = postern.Secret(env("POSTERN_GATEWAY_TOKEN"))
	}
	return g, warnings, nil
}

// throughProxy gives each gateway without a proxy of its own the one of the flag, or of
// the environment.
func (c *connectRun) throughProxy(gateways []connector.Gateway) error {
	var given *dial.Proxy
	if c.proxy != "" {
		parsed, err := connector.ParseProxy("--proxy", c.proxy)
		if err != nil {
			return err
		}
		given = parsed
	}
	for i := range gateways {
		g := &gateways[i]
		if g.Proxy != nil {
			continue
		}
		g.Proxy = given
		if given != nil {
			continue
		}
		at, err := connector.HostPort(g.Address)
		if err != nil {
			return err
		}
		if g.Proxy, err = dial.ProxyFromEnvironment(c.streams.Env, at); err != nil {
			return err
		}
	}
	return nil
}

// plan is what to serve: of the command line, or of the file.
func (c *connectRun) plan(args []string) (connector.File, []string, error) {
	var (
		file     connector.File
		warnings []string
	)
	rules, err := allow.ParseTargets(c.allow)
	if err != nil {
		return file, nil, err
	}
	if c.config == "" {
		var g connector.Gateway
		if g, warnings, err = c.gateway(args); err != nil {
			return file, warnings, err
		}
		file.Gateways = []connector.Gateway{g}
	} else {
		if len(args) > 0 {
			return file, nil, postern.Errorf(postern.CodeFlagInvalid, "--config stands in place of SERVER and REMOTE; %q is one too many", args[0])
		}
		if file, err = connector.Load(c.config); err != nil {
			return file, nil, err
		}
		for i := range file.Gateways {
			g := &file.Gateways[i]
			g.CAs = firstOf(g.CAs, c.cas, c.streams.Env("POSTERN_CONNECT_CAS"))
			g.SavedCAs = (&connection{}).savedCAs(c.streams)
		}
	}
	file.Allow = append(file.Allow, rules...)
	if c.drain > 0 {
		file.Drain = c.drain
	}
	file.ListenAdmin = firstOf(c.listenAdmin, file.ListenAdmin)
	return file, warnings, c.throughProxy(file.Gateways)
}
