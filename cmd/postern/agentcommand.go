package main

import (
	"context"
	"crypto/fips140"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/pflag"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/announce"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/internal/run"
)

// linger is how long a failed start waits before the process ends when its log goes to
// stdout: programs that read it look whether the process lives after each line, and
// drop the rest if it does not.
const linger = 300 * time.Millisecond

// agentCommand is what http, tcp, tls and start have in common: the way to the
// server, the log, and what is shown.
type agentCommand struct {
	streams ioStreams
	connection
	logging
	flags   *pflag.FlagSet
	urlFile string
	reload  bool // whether the endpoints are those of files, which may change
	watch   bool
	shown   *display
}

func (c *agentCommand) register(flags *pflag.FlagSet) {
	c.connection.register(flags)
	c.logging.register(flags)
	c.flags = flags
	flags.StringVar(&c.urlFile, "url-file", "", "write the public URLs, https first, to this `file` when they are online; it is removed at the end")
	flags.StringVar(&c.region, "region", "", "has no effect: a server is one region")
	hide(flags, "region")
}

// chooser picks the endpoints to take online once the configuration files are read.
type chooser func(config.Config) ([]config.Endpoint, error)

// run takes endpoints online and serves them until ctx ends. Where the server's
// operator asks for a restart, it begins anew with what the files say then.
func (c *agentCommand) run(ctx context.Context, choose chooser) error {
	for {
		again, err := c.once(ctx, choose)
		if err != nil || !again || ctx.Err() != nil {
			return err
		}
	}
}

func (c *agentCommand) once(ctx context.Context, choose chooser) (again bool, err error) {
	file, endpoints, failed := c.prepare(choose)
	opened, err := c.open(c.streams, file)
	if err != nil {
		return false, err
	}
	defer opened.close()
	if c.shown, err = c.display(file, opened); failed == nil {
		failed = err
	}
	log := c.shown.logger(opened.Logger)
	c.logFiles(ctx, c.streams, file.Files, opened.early)
	log.InfoContext(ctx, "FIPS 140 mode", slog.Bool("enabled", fips140.Enabled()))
	for _, warning := range slices.Concat(c.streams.Remarks, deprecatedFlags(c.flags), file.Warnings, weakPasswords(endpoints)) {
		log.WarnContext(ctx, "configuration", "warning", warning)
	}
	if err = failed; err == nil {
		again, err = c.serve(ctx, file, endpoints, choose, log)
	}
	if err != nil {
		log.Log(ctx, console.LevelCrit, "command failed", slog.String("err", describe(err)))
		if opened.toStdout {
			pause(ctx, linger)
		}
	}
	return again, err
}

func (c *agentCommand) prepare(choose chooser) (config.Config, []config.Endpoint, error) {
	file, err := c.resolve(c.streams)
	if err != nil {
		return file, nil, err
	}
	endpoints, err := choose(file)
	return file, endpoints, err
}

// serve runs one agent. again tells that a restart was asked for.
func (c *agentCommand) serve(ctx context.Context, file config.Config, endpoints []config.Endpoint, choose chooser, log *slog.Logger) (again bool, err error) {
	settings, err := c.agent(file, c.streams)
	if err != nil {
		return false, err
	}
	web, err := c.openWebService(ctx, file, log)
	if err != nil {
		return false, err
	}
	defer web.close()
	web.watch(&settings)
	var restart atomic.Bool
	settings.Management.Restart = func() error {
		restart.Store(true)
		return nil
	}
	settings.Endpoints, settings.Events, settings.Logger = plain(endpoints), c.shown.events(), log
	c.shown.count(&settings)
	a, err := agent.New(settings)
	if err != nil {
		return false, err
	}
	beside, end := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer group.Wait()
	defer end()
	if err := web.start(beside, a, &group); err != nil {
		return false, err
	}
	announcer := announce.Announcer{URLFile: c.urlFile, Logger: log, Notify: func(lines ...string) error { return run.Notify(c.streams.Env, lines...) }}
	group.Go(func() { announcer.Run(beside, a) })
	r := reloader{command: c, choose: choose, agent: a, log: log, files: file.Files, told: file.Warnings}
	if err := r.start(beside, &group); err != nil {
		return false, err
	}
	ctx, quit := context.WithCancel(ctx)
	defer quit()
	hide := c.shown.start(ctx, quit, a, web)
	err = a.Run(ctx)
	hide()
	return restart.Load(), err
}

func plain(endpoints []config.Endpoint) []agent.Endpoint {
	all := make([]agent.Endpoint, len(endpoints))
	for i, e := range endpoints {
		all[i] = agent.Endpoint{Endpoint: e}
	}
	return all
}

// weakPasswords warns of those that today's ngrok refuses and its older agents took.
func weakPasswords(endpoints []config.Endpoint) []string {
	const least = 8
	var warnings []string
	for _, e := range endpoints {
		for _, pair := range e.BasicAuth {
			if user, password, _ := strings.Cut(pair, ":"); len(password) < least {
				warnings = append(warnings, fmt.Sprintf("%s: the password of %q has fewer than %d characters", e.Name, user, least))
			}
		}
	}
	return warnings
}

// describe is an error's text for the log, with its cause.
func describe(err error) string {
	coded := postern.AsError(err)
	if coded.Cause == nil || strings.Contains(coded.Text(), coded.Cause.Error()) {
		return coded.Error()
	}
	return coded.Error() + ": " + coded.Cause.Error()
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
