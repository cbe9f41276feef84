// Command postern is server, agent and command-line client in one binary:
// self-hosted ingress for services behind firewalls. docs/architecture.md is the
// map of the tree; "postern --help" lists the commands.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(os.Args[1:], ioStreams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv}))
}

// run executes one command line and returns the process's exit status. The first
// SIGINT or SIGTERM ends the command's context, so that it drains; from then on
// signals have their default effect again, so that a second one ends the process
// at once.
func run(args []string, streams ioStreams) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)

	root := rootCommand(streams)
	root.SetArgs(normalizeArgs(root, args))
	if err := root.ExecuteContext(ctx); err != nil {
		printError(streams.Err, err)
		return 1
	}
	return 0
}
