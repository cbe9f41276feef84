package main

import (
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// ioStreams is what a command touches of the process: tests hand in their own.
type ioStreams struct {
	Name string // of the program: "postern", "ngrok" or "outsystemscc"
	In   io.Reader
	Out  io.Writer
	Err  io.Writer
	Env  func(string) string // os.Getenv's contract

	ForAPI  bool     // the command line may be one for the REST API
	OneDash bool     // the command line has long flags behind one dash
	Remarks []string // about the command line, for the log
}

// rootCommand assembles the command tree. Errors are returned, never printed, by
// the commands; execute prints them once, in one form.
func rootCommand(streams ioStreams) *cobra.Command {
	if streams.asOutsystemscc() {
		return outsystemsccCommand(streams)
	}
	root := &cobra.Command{
		Use:           streams.Name,
		Short:         "Self-hosted ingress for services behind firewalls",
		Long:          rootHelp(streams),
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          subcommandOnly,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(streams.In)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.SetVersionTemplate(streams.versionText() + "\n")
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(
		httpCommand(streams),
		tcpCommand(streams),
		tlsCommand(streams),
		startCommand(streams),
		newLoginCommand(streams),
		authtokenCommand(streams),
		configCommand(streams),
		newDiagnoseCommand(streams),
		serviceCommand(streams),
		newStatusCommand(streams),
		apiCommand(streams),
		creditsCommand(streams),
		updateCommand(streams),
		versionCommand(streams),
	)
	if !streams.asNgrok() {
		root.AddCommand(udpCommand(streams), newAccessCommand(streams), serverCommand(streams), demoCommand(streams), connectCommand(streams), caCommand(streams), dnsCommand(streams), policyCommand(streams))
	}
	if streams.asNgrok() {
		rename(root, streams.Name)
	}
	return root
}

// rename writes the examples of a command and of those below it for another name of
// the program.
func rename(command *cobra.Command, name string) {
	command.Example = strings.ReplaceAll(command.Example, "postern ", name+" ")
	for _, child := range command.Commands() {
		rename(child, name)
	}
}

func rootHelp(streams ioStreams) string {
	if streams.asNgrok() {
		return "Postern " + version() + `, started as "ngrok": it has the command line, the output and the
configuration files of ngrok's agent, and dials the server that they name. With no
server configured it dials nobody.`
	}
	return "Postern gives services behind firewalls public addresses, on your own server."
}
