package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/background"
	"github.com/postern-dev/postern/agent/config"
)

func startCommand(streams ioStreams) *cobra.Command {
	run := &agentCommand{streams: streams, reload: true}
	var all, none bool
	command := &cobra.Command{
		Use:   "start [NAME…]",
		Short: "Take endpoints of configuration files online",
		Long: `Take endpoints of configuration files online: those named, or all of them. Files
are ngrok.yml as ngrok's agents read it, "endpoints" of version 3 and "tunnels" of
every version. SIGHUP reads them again: endpoints are added, changed and removed
without touching the others.`,
		Example: `  postern start web db --config postern.yml
  postern start --all --config base.yml --config site.yml`,
		RunE: func(cmd *cobra.Command, names []string) error {
			choose := func(file config.Config) ([]config.Endpoint, error) {
				return chooseEndpoints(file, names, all, none)
			}
			return background.Run(cmd.Context(), streams.Name, func(ctx context.Context) error { return run.run(ctx, choose) })
		},
	}
	command.Flags().BoolVar(&all, "all", false, "every endpoint of the files")
	command.Flags().BoolVar(&none, "none", false, "no endpoint: the local API starts them")
	command.Flags().BoolVar(&run.watch, "watch-config", false, "take over changes of the files as they are made; SIGHUP does so at any time")
	run.register(command.Flags())
	return command
}

func chooseEndpoints(file config.Config, names []string, all, none bool) ([]config.Endpoint, error) {
	switch {
	case none && (all || len(names) > 0):
		return nil, postern.Errorf(postern.CodeFlagInvalid, "--none stands alone: no names and no --all.")
	case none:
		return nil, nil
	case all && len(names) > 0:
		return nil, postern.Errorf(postern.CodeFlagInvalid, "Give names or --all, not both.")
	case all && len(file.Endpoints) == 0:
		return nil, postern.Errorf(postern.CodeConfigInvalid, "Your configuration file must define at least one tunnel when using --all.")
	case all:
		return file.All()
	case len(names) == 0:
		return nil, postern.Errorf(postern.CodeFlagInvalid, "You must specify at least one tunnel to start.")
	}
	return file.Select(names)
}
