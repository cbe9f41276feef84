package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/cmd/postern/demo"
)

// demoCommand is everything at once on this machine.
func demoCommand(streams ioStreams) *cobra.Command {
	var log logging
	var once bool
	command := &cobra.Command{
		Use:   "demo",
		Short: "Try everything on this machine: a server, an agent and a sample service",
		Long: `Try everything on this machine: a server in a temporary directory, an agent, and
a sample contact service at a public URL. Nothing leaves the machine, and nothing
stays behind.`,
		Example: `  postern demo
  postern demo --once
  postern demo http 8080`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runDemo(cmd.Context(), streams, log, demo.Config{Once: once})
		},
	}
	command.PersistentFlags().BoolVar(&once, "once", false, "send one request through the public URL, print the answer and end")
	log.register(command.PersistentFlags())
	command.AddCommand(&cobra.Command{
		Use:     "http ADDRESS",
		Short:   "The same with a service of your own",
		Example: "  postern demo http 8080",
		Args:    oneAddress,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runDemo(cmd.Context(), streams, log, demo.Config{Once: once, Upstream: args[0]})
		},
	})
	return command
}

func runDemo(ctx context.Context, streams ioStreams, l logging, c demo.Config) error {
	log, err := l.open(streams, config.Config{})
	if err != nil {
		return err
	}
	defer log.close()
	adoptStandardLog(log.Logger)
	c.Out, c.Logger, c.Version = streams.Out, log.Logger, version()
	err = demo.Run(ctx, c)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil // told to stop before it was up
	}
	return err
}
