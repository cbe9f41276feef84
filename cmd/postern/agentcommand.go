package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/agent/session"
)

// agentCommand is what http, tcp, tls and start have in common: the way to the
// server, the log, and what is shown.
type agentCommand struct {
	streams ioStreams
	connection
	logging
}

// run takes endpoints online and serves them until ctx ends. choose picks them once
// the configuration files are read.
func (c *agentCommand) run(ctx context.Context, choose func(config.Config) ([]config.Endpoint, error)) error {
	file, err := c.resolve(c.streams)
	if err != nil {
		return err
	}
	endpoints, err := choose(file)
	if err != nil {
		return err
	}
	log, logsToStdout, closeLog, err := c.open(c.streams, file)
	if err != nil {
		return err
	}
	defer closeLog()
	c.logFiles(ctx, c.streams, file.Files, log)
	for _, warning := range file.Warnings {
		log.WarnContext(ctx, "configuration", "warning", warning)
	}
	if err := c.runAgent(ctx, file, endpoints, log, logsToStdout); err != nil {
		log.Log(ctx, console.LevelCrit, "command failed", slog.String("err", err.Error()))
		return err
	}
	return nil
}

func (c *agentCommand) runAgent(ctx context.Context, file config.Config, endpoints []config.Endpoint, log *slog.Logger, logsToStdout bool) error {
	settings, err := c.agent(file, c.streams.Env)
	if err != nil {
		return err
	}
	settings.Endpoints, settings.Events, settings.Logger = plain(endpoints), c.show(logsToStdout), log
	a, err := agent.New(settings)
	if err != nil {
		return err
	}
	return a.Run(ctx)
}

// show decides what appears: a person gets a small screen; a program gets the public
// URLs on stdout, one a line, the first one https, and what goes wrong on stderr; a
// log on stdout gets nothing in its way.
func (c *agentCommand) show(logsToStdout bool) agent.Events {
	switch {
	case logsToStdout:
		return agent.Events{}
	case isTerminal(c.streams.Out):
		rows := console.NewRows(c.streams.Out)
		return rowEvents(rows)
	}
	events := rowEvents(console.NewRows(c.streams.Err))
	events.Online = func(o agent.Online) { _, _ = fmt.Fprintln(c.streams.Out, o.URL) } // a reader that left is no reason to stop
	status, troubled := events.Status, false
	events.Status = func(s session.Status) { // nothing, while nothing is wrong
		if s.Why != nil || troubled {
			status(s)
		}
		troubled = s.Why != nil
	}
	return events
}

func rowEvents(rows *console.Rows) agent.Events {
	return agent.Events{
		Status:  func(s session.Status) { rows.Status(string(s.State), s.Why) },
		Online:  func(o agent.Online) { rows.Forwarding(o.Name, o.URL, o.Upstream) },
		Refused: rows.Offline,
		Stopped: rows.Offline,
	}
}

func plain(endpoints []config.Endpoint) []agent.Endpoint {
	all := make([]agent.Endpoint, len(endpoints))
	for i, e := range endpoints {
		all[i] = agent.Endpoint{Endpoint: e}
	}
	return all
}
