package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/background"
	"github.com/postern-dev/postern/agent/connector"
)

// connectCommand is the connector of private gateways.
func connectCommand(streams ioStreams) *cobra.Command {
	streams.OneDash = false // which says nothing about the log here
	run := &connectRun{streams: streams}
	command := &cobra.Command{
		Use:   "connect SERVER REMOTE…",
		Short: "Offer services of this network to a private gateway",
		Long: `Offer services of this network to a private gateway. SERVER is the gateway's address
as it was shown with its token; a remote is a port of the gateway and what it leads to:

  R:<local-port>:<remote-host>:<remote-port>[/udp]

Apps reach it as secure-gateway:<local-port>. Only what is declared is ever dialled, and
--allow rules narrow it further. With a chisel server, and with the cloud that outsystemscc
is for, it works as well. --config takes any number of gateways from a file.

SIGHUP tries again at once while the connector waits to reconnect, and reads the file of
--config again; SIGUSR2 prints statistics.`,
		Example: `  postern connect --token-file token https://gateway.example.com/sg_… R:8081:192.168.0.3:8393
  postern connect --header "token: …" https://gateway.example.com/sg_… R:8081:db:5432 R:53:dns:53/udp
  postern connect --config connector.yml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return background.Run(cmd.Context(), streams.Name+"-connector", run.serve(args))
		},
	}
	run.connectFlags.register(command.Flags())
	run.registerOwn(command.Flags())
	command.AddCommand(connectCheckCommand(streams), connectDiagnoseCommand(streams))
	return command
}

// connectCheckCommand checks a file without connecting.
func connectCheckCommand(streams ioStreams) *cobra.Command {
	var path string
	command := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration file of the connector",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if path == "" {
				return postern.Errorf(postern.CodeFlagInvalid, "connect check needs --config FILE")
			}
			file, err := connector.Load(path)
			if err != nil {
				return err
			}
			if _, err := connector.New(connector.Config{Gateways: file.Gateways, Allow: file.Allow}); err != nil {
				return err
			}
			remotes := 0
			for _, g := range file.Gateways {
				remotes += len(g.Remotes)
			}
			_, err = fmt.Fprintf(streams.Out, "%s is valid: gateways: %d, remotes: %d\n", path, len(file.Gateways), remotes)
			return err
		},
	}
	command.Flags().StringVar(&path, "config", "", "the configuration `file`")
	return command
}
