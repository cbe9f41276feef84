package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
)

func httpCommand(streams ioStreams) *cobra.Command {
	flags := &endpointFlags{}
	command := endpointCommand(streams, flags, postern.HTTPS)
	command.Use = "http ADDRESS"
	command.Short = "Give an HTTP service a public https URL"
	command.Long = `Give an HTTP service a public https URL.

ADDRESS is a port, host:port, [::1]:8080, http://…, https://… or unix:///path. The
service may run on any machine that this one reaches.`
	command.Example = `  postern http 8080
  postern http https://intranet:8443 --url https://app.example.com --host-header rewrite
  postern http 3000 --bind-tls both`
	flags.registerNames(command.Flags())
	flags.registerHTTP(command.Flags())
	return command
}

func tcpCommand(streams ioStreams) *cobra.Command {
	flags := &endpointFlags{}
	command := endpointCommand(streams, flags, postern.TCP)
	command.Use = "tcp ADDRESS"
	command.Short = "Give a TCP service a public port"
	command.Long = `Give a TCP service a public port.

ADDRESS is a port, host:port, tcp://…, tls://… or unix:///path.`
	command.Example = `  postern tcp 22
  postern tcp db.internal:5432 --url tcp://tcp.example.com:20001`
	flags.registerTCP(command.Flags())
	return command
}

func udpCommand(streams ioStreams) *cobra.Command {
	flags := &endpointFlags{}
	command := endpointCommand(streams, flags, postern.UDP)
	command.Use = "udp ADDRESS"
	command.Short = "Give a UDP service a public port"
	command.Long = `Give a UDP service a public port.

Each visitor's address has a socket of its own towards the service, until nothing
was sent either way for a minute. Datagrams keep their boundaries; as everywhere with
UDP, one may be lost on the way.

ADDRESS is a port, host:port or udp://…`
	command.Example = `  postern udp 5353
  postern udp dns.internal:53 --url udp://udp.example.com:20001`
	flags.registerUDP(command.Flags())
	return command
}

func tlsCommand(streams ioStreams) *cobra.Command {
	flags := &endpointFlags{}
	command := endpointCommand(streams, flags, postern.TLS)
	command.Use = "tls ADDRESS"
	command.Short = "Give a TLS service a public name, without decrypting on the way"
	command.Long = `Give a TLS service a public name. Its TLS reaches the service untouched, unless
--terminate-at, or --crt and --key, say otherwise.

With --terminate-at agent this agent ends TLS, and the server sees nothing of what
visitors say. Without --crt and --key it obtains a certificate and renews it.

ADDRESS is a port, host:port, tcp://…, tls://… or unix:///path.`
	command.Example = `  postern tls 443 --url tls://shop.example.com
  postern tls 8080 --terminate-at agent --url tls://api.example.com
  postern tls 8080 --terminate-at agent --crt server-crt.pem --key server-key.pem --mutual-tls-cas ca-crt.pem`
	flags.registerNames(command.Flags())
	flags.registerTLS(command.Flags())
	return command
}

// endpointCommand is the part that they have in common.
func endpointCommand(streams ioStreams, flags *endpointFlags, fallback postern.Scheme) *cobra.Command {
	run := &agentCommand{streams: streams}
	command := &cobra.Command{
		Args: oneAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			return run.run(cmd.Context(), func(file config.Config) ([]config.Endpoint, error) {
				endpoint, err := flags.endpoint(cmd.Context(), fallback, args[0], file.FirstGeneration())
				return []config.Endpoint{endpoint}, err
			})
		},
	}
	run.register(command.Flags())
	flags.registerCommon(command.Flags())
	return command
}

// oneAddress speaks the words that tools look for.
func oneAddress(_ *cobra.Command, args []string) error {
	if len(args) == 1 {
		return nil
	}
	return postern.Errorf(postern.CodeFlagInvalid,
		"You must specify a single argument: a port or address to tunnel to.\nYou specified %d arguments: %s",
		len(args), fmt.Sprintf("[%s]", strings.Join(args, " ")))
}
