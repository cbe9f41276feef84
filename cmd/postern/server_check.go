package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// serverCheckCommand reads a configuration and does nothing else.
func serverCheckCommand(streams ioStreams) *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Check a server's configuration",
		Long:  "Read the configuration as \"postern server\" would, from the file, the environment and flags, and say what is wrong with it and where. Nothing is started or changed. Whether DNS, ports and the certificate authority fit it, \"postern server setup --check\" sees.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := loadServer(cmd, streams)()
			if err != nil {
				return err
			}
			for _, note := range config.Notes {
				if _, err := fmt.Fprintf(streams.Err, "Note: %s.\n", note); err != nil {
					return err
				}
			}
			from := config.Path
			if from == "" {
				from = "flags and environment"
			}
			_, err = fmt.Fprintf(streams.Out, "Valid configuration for %s, from %s.\n", config.Domain, from)
			return err
		},
	}
}
