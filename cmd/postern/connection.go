package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/login"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/agent/termination"
)

// connection is how an agent finds its server and proves who it is: flag, then
// environment, then configuration files.
type connection struct {
	url         string
	cas         string
	token       string
	proxy       string
	transport   string
	region      string
	configFiles []string
}

func (c *connection) register(flags *pflag.FlagSet) {
	flags.StringVar(&c.url, "connect-url", "", "address of the server, `host:port` (env POSTERN_CONNECT_URL)")
	flags.StringVar(&c.cas, "connect-cas", "", "who may vouch for the server: trusted, host or a PEM `file` (env POSTERN_CONNECT_CAS)")
	flags.StringVar(&c.token, "authtoken", "", "the authtoken (env POSTERN_AUTHTOKEN, NGROK_AUTHTOKEN)")
	flags.StringVar(&c.proxy, "proxy-url", "", "`URL` of the proxy to the server, http, https or socks5 (env POSTERN_PROXY_URL; default: https_proxy, http_proxy or all_proxy of the environment)")
	flags.StringVar(&c.transport, "transport", "", "how to reach the server: auto, tls or websocket (env POSTERN_TRANSPORT; default auto)")
	flags.StringArrayVar(&c.configFiles, "config", nil, "configuration `file`; may be repeated, later files win (default: those in your home directory)")
	flags.StringVar(&c.url, "server-addr", "", "the same as --connect-url")
	flags.StringVar(&c.cas, "root-cas", "", "the same as --connect-cas")
	hide(flags, "server-addr", "root-cas")
}

// resolve reads the files and fills in what no flag gave.
func (c *connection) resolve(streams ioStreams) (config.Config, error) {
	merged, err := c.readFiles(streams)
	if err != nil {
		return config.Config{}, err
	}
	env := streams.Env
	if given := firstOf(c.url, env("POSTERN_CONNECT_URL")); given != "" {
		merged.Servers = []string{given}
	}
	merged.CAs = firstOf(c.cas, env("POSTERN_CONNECT_CAS"), merged.CAs)
	merged.Authtoken = postern.Secret(firstOf(c.token, env("POSTERN_AUTHTOKEN"), env("NGROK_AUTHTOKEN"), merged.Authtoken.Reveal()))
	merged.APIKey = postern.Secret(firstOf(env("POSTERN_API_KEY"), env("NGROK_API_KEY"), merged.APIKey.Reveal()))
	merged.APIURL = firstOf(env("POSTERN_API_URL"), merged.APIURL)
	merged.Proxy = postern.Secret(firstOf(c.proxy, env("POSTERN_PROXY_URL"), merged.Proxy.Reveal()))
	merged.Transport = firstOf(c.transport, env("POSTERN_TRANSPORT"), merged.Transport)
	return merged, nil
}

// readFiles reads the files of --config, else the default ones. What is beneath those
// of --config are the default ones: what they define can be started by name, and a file
// that a program wrote for ngrok's agent works after a login (docs/adr/0012).
func (c *connection) readFiles(streams ioStreams) (config.Config, error) {
	given := splitPaths(c.configFiles)
	defaults := streams.defaultPaths()
	if len(given) == 0 {
		return config.LoadFound(defaults...)
	}
	merged, err := config.Load(given...)
	if err != nil {
		return merged, err
	}
	beneath, err := config.LoadFound(slices.DeleteFunc(defaults, func(path string) bool { return isOneOf(path, given) })...)
	if err != nil {
		merged.Warnings = append(merged.Warnings, "the default configuration file was passed over: "+postern.AsError(err).Text())
		return merged, nil
	}
	merged.Over(beneath)
	return merged, nil
}

// isOneOf tells whether a path leads to the same file as one of others.
func isOneOf(path string, others []string) bool {
	info, err := os.Stat(path)
	return err == nil && slices.ContainsFunc(others, func(other string) bool {
		found, err := os.Stat(other)
		return err == nil && os.SameFile(info, found)
	})
}

// logFiles tells which files were read, in the words that tools and people look for.
func (c *connection) logFiles(ctx context.Context, streams ioStreams, read []string, log *slog.Logger) {
	if len(splitPaths(c.configFiles)) == 0 {
		log.InfoContext(ctx, "no configuration paths supplied")
		if defaults := streams.defaultPaths(); len(read) == 0 && len(defaults) > 0 {
			last := defaults[len(defaults)-1]
			_, err := os.Stat(last)
			log.InfoContext(ctx, "ignoring default config path, could not stat it", slog.String("path", last), slog.Any("err", err))
		}
		for _, path := range read {
			log.InfoContext(ctx, "using configuration at default config path", slog.String("path", path))
		}
	}
	for _, path := range read {
		log.InfoContext(ctx, "open config file", slog.String("path", path), slog.Any("err", nil))
	}
}

// agent is what the files, flags and environment say about the way to the server.
func (c *connection) agent(file config.Config, streams ioStreams) (agent.Config, error) {
	transport, err := session.ParseTransport(file.Transport)
	if err != nil {
		return agent.Config{}, err
	}
	return agent.Config{
		Servers:          file.Servers,
		CAs:              file.CAs,
		SavedCAs:         c.savedCAs(streams),
		Authtoken:        file.Authtoken,
		Transport:        transport,
		Proxy:            file.Proxy,
		Env:              streams.Env,
		Metadata:         file.Metadata,
		Region:           firstOf(c.region, file.Region),
		ConnectTimeout:   file.ConnectTimeout,
		ConnectInterface: file.ConnectInterface,
		DNSResolvers:     file.DNSResolvers,
		ACME:             c.acme(file.ACME, streams),
		Heartbeat:        file.Heartbeat,
		Tolerance:        file.Tolerance,
		Management: session.Management{
			Off:         file.RemoteManagement != nil && !*file.RemoteManagement,
			HowToUpdate: howToUpdate,
		},
		Version: version(),
	}, nil
}

// acme is where the agent obtains certificates for endpoints whose TLS it ends.
func (c *connection) acme(file config.ACME, streams ioStreams) termination.ACME {
	own := termination.ACME{Directory: file.Directory, RootsFile: file.RootsFile, Email: file.Email, KeyID: file.KeyID, MACKey: file.MACKey, Keep: file.Keep}
	if path := config.DefaultPath(runtime.GOOS, streams.home(), streams.Env); own.Keep == "" && path != "" {
		own.Keep = filepath.Join(filepath.Dir(path), "certificates")
	}
	return own
}

// savedCAs is the file in which "postern login" keeps the CA of the server: beside the
// configuration that it changed. Of several the first that is there counts.
func (c *connection) savedCAs(streams ioStreams) string {
	candidates := splitPaths(c.configFiles)
	if saved, err := streams.savePath(nil); err == nil {
		candidates = append(candidates, saved)
	}
	for _, path := range append(candidates, config.DefaultPath(runtime.GOOS, streams.home(), streams.Env)) {
		if path == "" {
			continue
		}
		if file := login.CAFile(path); exists(file) {
			return file
		}
	}
	return ""
}

func firstOf(texts ...string) string {
	for _, text := range texts {
		if text != "" {
			return text
		}
	}
	return ""
}
