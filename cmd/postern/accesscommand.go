package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/access"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/console"
)

// accessCommand brings ports of a private gateway to this machine.
type accessCommand struct {
	streams ioStreams
	connection
	logging
	name                string
	others              []string
	socks, http, shared []string // addresses of proxies
	auth                string
}

func newAccessCommand(streams ioStreams) *cobra.Command {
	c := &accessCommand{streams: streams}
	command := &cobra.Command{
		Use:   "access GATEWAY [PORT…]",
		Short: "Open ports of a private gateway on this machine",
		Long: `Open ports of a private gateway on this machine, with an authtoken whose ACL has
access:GATEWAY:PORT for them.

PORT is 8081, 8081:9000 for another local port, 53/udp, or with the address to listen
on 8081:0.0.0.0:9000; without an address it is 127.0.0.1. The proxies, SOCKS5 with UDP
and HTTP CONNECT, know secure-gateway, which is GATEWAY, its name, and the names of
--gateway; they lead nowhere else.

The server is asked for every port at the start: one that is refused is not opened,
and where all are the command ends. From then on it reconnects by itself. SIGTERM
closes the listeners and lets connections finish.`,
		Example: `  postern access development 8081 8082:9082 53/udp:5353
  postern access development --socks5 127.0.0.1:1080 --gateway staging
  curl --socks5-hostname 127.0.0.1:1080 http://secure-gateway:8081/`,
		RunE: func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	flags := command.Flags()
	c.connection.register(flags)
	c.logging.register(flags)
	flags.StringVar(&c.name, "name", "", "`name` of this consumer, shown with its session")
	flags.StringArrayVar(&c.others, "gateway", nil, "`name` of another gateway that the proxies know; may be repeated")
	flags.StringArrayVar(&c.socks, "socks5", nil, "listen for SOCKS5 at this `address`, for example 127.0.0.1:1080")
	flags.StringArrayVar(&c.http, "http-proxy", nil, "listen for HTTP CONNECT at this `address`, for example 127.0.0.1:8888")
	flags.StringArrayVar(&c.shared, "proxy", nil, "listen for both at this `address`")
	flags.StringVar(&c.auth, "proxy-auth", "", "`user:password` that the proxies ask for (env POSTERN_PROXY_AUTH)")
	command.AddCommand(accessHTTPCommand(streams))
	return command
}

func (c *accessCommand) run(ctx context.Context, args []string) error {
	wanted, err := c.wanted(args)
	if err != nil {
		return err
	}
	file, err := c.resolve(c.streams)
	if err != nil {
		return err
	}
	opened, err := c.open(c.streams, file)
	if err != nil {
		return err
	}
	defer opened.close()
	if err = c.serve(ctx, file, wanted, opened); err != nil {
		opened.Log(ctx, console.LevelCrit, "command failed", slog.String("err", describe(err)))
		if opened.toStdout {
			pause(ctx, linger)
		}
	}
	return err
}

// wanted is what the command line asks for.
func (c *accessCommand) wanted(args []string) (access.Config, error) {
	if len(args) == 0 || args[0] == "" {
		return access.Config{}, postern.Errorf(postern.CodeFlagInvalid, "Name the private gateway: postern access GATEWAY PORT…")
	}
	wanted := access.Config{Gateway: args[0], Others: c.others}
	for _, text := range args[1:] {
		port, err := access.ParsePort(wanted.Gateway, text)
		if err != nil {
			return wanted, err
		}
		wanted.Ports = append(wanted.Ports, port)
	}
	for _, kind := range []struct {
		addresses []string
		access.Proxy
	}{
		{c.socks, access.Proxy{SOCKS5: true}},
		{c.http, access.Proxy{HTTP: true}},
		{c.shared, access.Proxy{SOCKS5: true, HTTP: true}},
	} {
		for _, text := range kind.addresses {
			var err error
			if kind.Listen, err = access.ParseListen(text); err != nil {
				return wanted, err
			}
			wanted.Proxies = append(wanted.Proxies, kind.Proxy)
		}
	}
	if len(wanted.Ports)+len(wanted.Proxies) == 0 {
		return wanted, postern.Errorf(postern.CodeFlagInvalid, "Give at least one port of the gateway, or a proxy: --socks5, --http-proxy or --proxy.")
	}
	return wanted, c.setPassword(&wanted)
}

func (c *accessCommand) setPassword(wanted *access.Config) error {
	auth := firstOf(c.auth, c.streams.Env("POSTERN_PROXY_AUTH"))
	if auth == "" {
		return nil
	}
	user, password, found := strings.Cut(auth, ":")
	switch {
	case !found || user == "" || password == "" || len(user) > 255 || len(password) > 255:
		return postern.Errorf(postern.CodeFlagInvalid, "--proxy-auth is USER:PASSWORD, neither of them empty or longer than 255 bytes")
	case len(wanted.Proxies) == 0 && c.auth != "":
		return postern.Errorf(postern.CodeFlagInvalid, "--proxy-auth is for proxies; there is none")
	}
	wanted.User, wanted.Password = user, postern.Secret(password)
	return nil
}

// serve opens the listeners and runs the agent whose session they use.
func (c *accessCommand) serve(ctx context.Context, file config.Config, wanted access.Config, log openLog) error {
	shown, err := c.shown(file, log)
	if err != nil {
		return err
	}
	settings, err := c.agent(file, c.streams)
	if err != nil {
		return err
	}
	settings.Metadata = firstOf(c.name, settings.Metadata)
	settings.Logger, settings.Events = log.Logger, shown.events()
	a, err := agent.New(settings)
	if err != nil {
		return err
	}
	c.warn(wanted)
	wanted.Dialer, wanted.Logger = a, log.Logger
	wanted.Opened, wanted.Refused = shown.opened(), shown.refused()
	opened, err := access.Listen(ctx, wanted)
	if err != nil {
		return err
	}
	running, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() {
		defer end()
		ended <- a.Run(context.WithoutCancel(ctx))
	}()
	stop := context.AfterFunc(ctx, a.Stop)
	defer stop()
	refused := opened.Run(running)
	a.Stop()
	if err := <-ended; err != nil {
		return err
	}
	return refused
}

// warn tells of listeners that others can reach, whether there is a log or not.
func (c *accessCommand) warn(wanted access.Config) {
	tell := func(at netip.AddrPort) {
		if !at.Addr().IsLoopback() {
			_, _ = fmt.Fprintf(c.streams.Err, "WARNING: %s is not on loopback: whoever reaches it reaches the gateway with your credential.\n", at)
		}
	}
	for _, p := range wanted.Ports {
		tell(p.Listen)
	}
	for _, p := range wanted.Proxies {
		tell(p.Listen)
	}
}

// accessDisplay is what appears beside the log: rows for a person, for a program a line
// on stdout for each listener.
type accessDisplay struct {
	*display
	rows *console.Rows // on the terminal, or on stderr
}

func (c *accessCommand) shown(file config.Config, log openLog) (*accessDisplay, error) {
	out, _ := c.streams.Out.(*os.File)
	ui, err := console.ChooseUI(file.ConsoleUI, out, c.streams.Env)
	if ui == console.ScreenUI {
		ui = console.RowsUI
	}
	d := &accessDisplay{display: &display{streams: c.streams, quiet: log.toStdout, ui: ui}, rows: console.NewRows(c.streams.Err)}
	if ui == console.RowsUI {
		d.rows = console.NewRows(c.streams.Out)
	}
	return d, err
}

func (d *accessDisplay) opened() func(net.Addr, string) {
	return func(at net.Addr, to string) {
		switch {
		case d.quiet:
		case d.ui == console.RowsUI:
			d.rows.Forwarding(to, at.String(), to)
		default:
			_, _ = fmt.Fprintln(d.streams.Out, at, "->", to) // a reader that left is no reason to stop
		}
	}
}

func (d *accessDisplay) refused() func(access.Port, *postern.Error) {
	return func(p access.Port, why *postern.Error) {
		if !d.quiet {
			d.rows.Offline(p.String(), why)
		}
	}
}
