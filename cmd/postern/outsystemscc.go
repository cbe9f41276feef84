package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
)

// outsystemsccVersion is the release of outsystemscc whose command line and wire this
// program has under that name.
const outsystemsccVersion = "2.0.11"

// outsystemsccCommand is the whole command line under the name of outsystemscc.
func outsystemsccCommand(streams ioStreams) *cobra.Command {
	run := &connectRun{streams: streams}
	command := &cobra.Command{
		Use:           "outsystemscc [options] <server> <remote> [remote] [remote] ...",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, args []string) error { return run.run(cmd.Context(), args) },
		// Words of ours would be taken for servers.
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	command.SetHelpCommand(&cobra.Command{Hidden: true})
	run.connectFlags.register(command.Flags())
	command.SetHelpFunc(func(*cobra.Command, []string) { _, _ = io.WriteString(streams.Out, outsystemsccHelp) })
	command.SetIn(streams.In)
	command.SetOut(streams.Out)
	command.SetErr(streams.Err)
	command.SetVersionTemplate(streams.versionText() + "\n")
	command.SetFlagErrorFunc(flagError)
	return command
}

// printClassicError writes what ended the program as outsystemscc does, in a line.
func printClassicError(w io.Writer, err error) {
	coded := asCommandError(err)
	hint := ""
	if coded.Code == postern.CodeFlagInvalid {
		hint = " (see outsystemscc --help)"
	}
	// The process is about to end with a status that says the same.
	_, _ = fmt.Fprintf(w, "%s %s%s\n", time.Now().Format("2006/01/02 15:04:05"), console.Harmless(coded.Text()), hint)
}

const outsystemsccHelp = `
  Usage: outsystemscc [options] <server> <remote> [remote] [remote] ...

  Connects private endpoints of this network with a private gateway.

  <server> is the address of the gateway, as it is shown once together with
  its token.

  <remote> is a port of the gateway and the endpoint that it leads to:

    R:<local-port>:<remote-host>:<remote-port>

  which apps then reach at secure-gateway:<local-port>. Behind the remote port
  stands /udp where the endpoint speaks UDP. Some remotes:

    R:8081:192.168.0.3:8393
    R:8082:smtp.corp.example:587
    R:8083:[fd00::3]:8393
    R:53:10.0.0.1:53/udp

  Options:

    --keepalive, How often the gateway is pinged, as a number with a unit,
    for example '5s' or '2m'. Proxies on the way tend to close connections on
    which nothing moves. Default '25s'; '0s' sends no pings.

    --max-retry-count, How many times in a row connecting is tried again before
    the program gives up and ends with a status other than 0. Unlimited by
    default.

    --max-retry-interval, The longest wait between two attempts. Default
    '5m0s'.

    --proxy, The proxy through which the gateway is reached, HTTP (CONNECT) or
    SOCKS5, with user and password in the URL where it asks for them:
    http://user:password@proxy.corp.example:3128 or
    socks://user:password@proxy.corp.example:1080

    --header, A header for the requests to the gateway, in the form
    "Name: Content". May be given several times. The token is one:
    --header "token: <token>"

    --hostname, The Host header, and the name in TLS, in place of the server's.

    --pid, Writes the number of the process to outsystemscc.pid in the current
    directory.

    -v, Logs more.

    --help, Prints this text.

  Signals:

    SIGUSR2 prints statistics, SIGHUP tries to reconnect at once where the
    program is waiting to, SIGTERM and SIGINT let open connections finish and
    end the program.

  The environment variable AUTH holds user:password for servers that ask for
  them.

  This is Postern under the name of outsystemscc; "postern connect" can do more.
`
