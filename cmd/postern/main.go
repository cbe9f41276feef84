// Command postern is server, agent and command-line client in one binary:
// self-hosted ingress for services behind firewalls. docs/architecture.md is the
// map of the tree; "postern --help" lists the commands.
package main

import (
	"context"
	"os"

	"github.com/postern-dev/postern/internal/run"
)

func main() {
	os.Exit(execute(os.Args[1:], ioStreams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}))
}

// execute runs one command line and returns the process's exit status. The first
// SIGINT or SIGTERM ends the command's context, so that it drains; from then on
// signals have their default effect again, so that a second one ends the process
// at once.
func execute(args []string, streams ioStreams) int {
	ctx, stop := run.SignalContext(context.Background())
	defer stop()

	root := rootCommand(streams)
	root.SetArgs(normalizeArgs(root, args))
	if err := root.ExecuteContext(ctx); err != nil {
		printError(streams.Err, err)
		return 1
	}
	return 0
}
