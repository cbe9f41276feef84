package main

import (
	"io"

	"github.com/spf13/cobra"
)

// ioStreams is what a command touches of the process: tests hand in their own.
type ioStreams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	Env func(string) string // os.Getenv's contract
}

// rootCommand assembles the command tree. Errors are returned, never printed, by
// the commands; run prints them once, in one form.
func rootCommand(streams ioStreams) *cobra.Command {
	root := &cobra.Command{
		Use:           "postern",
		Short:         "Self-hosted ingress for services behind firewalls",
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.SetVersionTemplate("postern version {{.Version}}\n")
	root.AddCommand(
		httpCommand(streams),
		tcpCommand(streams),
		tlsCommand(streams),
		startCommand(streams),
		newDiagnoseCommand(streams),
		serverCommand(streams),
		demoCommand(streams),
		versionCommand(streams),
	)
	return root
}
