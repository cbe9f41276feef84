// Command postern is server, agent and command-line client in one binary:
// self-hosted ingress for services behind firewalls. docs/architecture.md is the
// map of the tree; "postern --help" lists the commands.
package main

import (
	"context"
	"errors"
	"os"
	"slices"

	"github.com/postern-dev/postern/internal/run"
)

func main() {
	os.Exit(execute(os.Args[1:], ioStreams{
		Name: programName(os.Args[0]), In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv,
	}))
}

// errToldAlready ends a command badly whose output has said why.
var errToldAlready = errors.New("the command's output says what is wrong")

// execute runs one command line and returns the process's exit status. The first
// SIGINT or SIGTERM ends the command's context, so that it drains; from then on
// signals have their default effect again, so that a second one ends the process
// at once.
func execute(args []string, streams ioStreams) int {
	ctx, stop := run.SignalContext(context.Background())
	defer stop()

	streams.OneDash, streams.ForAPI = hasOneDash(args), slices.Contains(args, "api")
	if !streams.asOutsystemscc() { // whose words are all servers and remotes
		args, streams.Remarks = firstGenerationArgs(rootCommand(streams), args)
	}
	root := rootCommand(streams)
	args, err := normalizeArgs(root, args)
	if err == nil {
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	if err != nil {
		switch {
		case errors.Is(err, errToldAlready):
		case streams.asOutsystemscc():
			printClassicError(streams.Err, err)
		default:
			printError(streams.Err, err)
		}
		return 1
	}
	return 0
}
