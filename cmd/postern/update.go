package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// howToUpdate is said to people and to servers that ask for it.
const howToUpdate = "this program does not replace itself; install the new version the way this one was installed"

// updateCommand says how this binary is updated. Wrappers run it and want it to end
// well.
func updateCommand(streams ioStreams) *cobra.Command {
	var channel string
	command := &cobra.Command{
		Use:   "update",
		Short: "Say how this program is updated",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(streams.Out, `This is Postern %s. Nothing was changed: %s.

  a release archive   https://github.com/postern-dev/postern/releases
  with Go             go install github.com/postern-dev/postern/cmd/postern@latest

An agent that runs goes on with the old version until it is restarted.
`, version(), howToUpdate)
			return err
		},
	}
	file := &configFile{streams: streams}
	file.register(command.Flags())
	command.Flags().StringVar(&channel, "channel", "stable", "stable, beta or unstable: has no effect, every release is stable")
	return command
}
