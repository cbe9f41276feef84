package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/postern-dev/postern/cmd/postern/credits"
)

func creditsCommand(streams ioStreams) *cobra.Command {
	return &cobra.Command{
		Use:   "credits",
		Short: "Print the licences of what this program is built of",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := io.WriteString(streams.Out, credits.Text())
			return err
		},
	}
}
