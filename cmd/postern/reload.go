package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"sync"
	"time"

	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
)

// reloadPatience bounds the wait for the server's word on endpoints that are removed.
const reloadPatience = 30 * time.Second

// reloader reads the configuration files again when SIGHUP says so, and where it was
// asked for when they change, and has the agent take over what is different. An agent
// whose one endpoint is on the command line has nothing to read again: SIGHUP ends it in
// order, as does the end of its terminal.
type reloader struct {
	command *agentCommand
	choose  chooser
	agent   *agent.Agent
	log     *slog.Logger
	files   []string
	told    []string // the warnings of the last time
}

// start begins to listen; group ends after ctx.
func (r *reloader) start(ctx context.Context, group *sync.WaitGroup) error {
	var changed <-chan struct{}
	if r.command.watch && r.command.reload {
		var err error
		if changed, err = config.Watch(ctx, r.files...); err != nil {
			return err
		}
	}
	hangup := make(chan os.Signal, 1)
	if r.command.reload || !ignoresHangup() {
		notifyHangup(hangup)
	}
	terminal := isTerminal(r.command.streams.Out)
	group.Go(func() {
		defer signal.Stop(hangup)
		r.run(ctx, hangup, changed, terminal)
	})
	return nil
}

func (r *reloader) run(ctx context.Context, hangup <-chan os.Signal, changed <-chan struct{}, terminal bool) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
			if !r.command.reload || terminal && !isTerminal(r.command.streams.Out) {
				r.agent.Stop()
				return
			}
		case _, open := <-changed:
			if !open {
				return
			}
		}
		r.again(ctx)
	}
}

// again is one reload. What is wrong with the files is logged, and everything stays.
func (r *reloader) again(ctx context.Context) {
	file, endpoints, err := r.command.prepare(r.choose)
	if err == nil {
		for _, warning := range file.Warnings {
			if !slices.Contains(r.told, warning) {
				r.log.WarnContext(ctx, "configuration", "warning", warning)
			}
		}
		r.told = file.Warnings
		ctx, cancel := context.WithTimeout(ctx, reloadPatience)
		defer cancel()
		err = r.agent.Apply(ctx, plain(endpoints))
	}
	if partly, ok := errors.AsType[agent.Partly](err); ok {
		for _, failure := range partly {
			r.log.WarnContext(ctx, "configuration reloaded in part", slog.String("obj", "app"), slog.String("err", describe(failure)))
		}
		return
	}
	if err != nil {
		r.log.ErrorContext(ctx, "the configuration was not reloaded, the agent goes on as before", slog.String("obj", "app"), slog.String("err", describe(err)))
		return
	}
	r.log.InfoContext(ctx, "configuration reloaded", slog.String("obj", "app"), slog.Int("endpoints", len(endpoints)))
}
