package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/connector"
	"github.com/postern-dev/postern/internal/memory"
	"github.com/postern-dev/postern/link"
)

// connectRun is one run of the connector.
type connectRun struct {
	streams ioStreams
	connectFlags
	connectOwnFlags
}

// classic tells whether it runs as outsystemscc.
func (c *connectRun) classic() bool { return c.streams.asOutsystemscc() }

// serve gives what runs the connector of a command line until its context ends.
func (c *connectRun) serve(args []string) func(context.Context) error {
	return func(ctx context.Context) error { return c.run(ctx, args) }
}

func (c *connectRun) run(ctx context.Context, args []string) error {
	file, warnings, err := c.plan(args)
	if err != nil {
		c.warn(warnings)
		return err
	}
	log, err := c.openLog(file)
	if err != nil {
		return err
	}
	defer log.close()
	adoptStandardLog(log.Logger)
	for _, warning := range warnings {
		log.WarnContext(ctx, warning)
	}
	made, err := connector.New(connector.Config{
		Gateways: file.Gateways, Allow: file.Allow, Drain: file.Drain, Logger: log.Logger,
		FailFast: !c.classic() && c.config == "", UserAgent: c.userAgent(), Hello: c.hello(),
	})
	if err != nil {
		return err
	}
	if c.pid {
		remove, err := c.writePID()
		if err != nil {
			return err
		}
		defer remove()
	}
	return c.attend(ctx, made, file, log.Logger)
}

// attend runs the connector and what stands beside it: signals, metrics, memory.
func (c *connectRun) attend(ctx context.Context, made *connector.Connector, file connector.File, log *slog.Logger) error {
	beside, end := context.WithCancel(ctx)
	var group sync.WaitGroup
	defer func() {
		end()
		group.Wait()
	}()
	if file.ListenAdmin != "" {
		if err := connector.CheckListenAdmin(file.ListenAdmin); err != nil {
			return err
		}
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", file.ListenAdmin)
		if err != nil {
			return postern.Errorf(postern.CodeFlagInvalid, "metrics and health cannot be served at %s: %v", file.ListenAdmin, err)
		}
		log.InfoContext(ctx, "serving metrics and health", slog.String("address", listener.Addr().String()))
		group.Go(func() {
			if err := made.ServeAdmin(beside, listener); err != nil {
				log.ErrorContext(ctx, "metrics and health are gone", slog.String("err", err.Error()))
			}
		})
	}
	signals := make(chan os.Signal, 4)
	notifyHangup(signals)
	notifyStatistics(signals)
	defer signal.Stop(signals)
	group.Go(func() { c.obey(beside, made, signals, log) })
	group.Go(func() { memory.Tend(beside) }) // it sits beside other programs for months, mostly idle
	err := made.Run(ctx)
	if errors.Is(err, connector.ErrGaveUp) {
		return errToldAlready // in the log
	}
	return err
}

// obey does what signals ask for until ctx ends.
func (c *connectRun) obey(ctx context.Context, made *connector.Connector, signals <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			if !isHangup(s) {
				for _, line := range made.Statistics() {
					log.InfoContext(ctx, line)
				}
				continue
			}
		}
		if made.Hangup() {
			log.DebugContext(ctx, "a hang-up ends the wait")
		}
		if c.config != "" {
			c.reread(ctx, made, log)
		}
	}
}

// reread takes over what the file says now. What is wrong with it is logged, and
// everything stays.
func (c *connectRun) reread(ctx context.Context, made *connector.Connector, log *slog.Logger) {
	file, _, err := c.plan(nil)
	if err == nil {
		err = made.Apply(ctx, file.Gateways, file.Allow)
	}
	if err != nil {
		log.ErrorContext(ctx, "the configuration was not reloaded, the connector goes on as before", slog.String("err", describe(err)))
		return
	}
	log.InfoContext(ctx, "configuration reloaded", slog.Int("gateways", len(file.Gateways)))
}

// openLog makes the log: to stdout, where outsystemscc has it.
func (c *connectRun) openLog(file connector.File) (openLog, error) {
	level := slog.LevelInfo
	if c.verbose {
		level = slog.LevelDebug
	}
	if c.classic() {
		return openLog{Logger: slog.New(connector.NewClassic(c.streams.Out, level)), toStdout: true, close: func() {}}, nil
	}
	settings := config.Config{Log: firstOf(file.Log, "stdout"), LogFormat: file.LogFormat, LogLevel: file.LogLevel}
	if c.verbose {
		settings.LogLevel = "debug"
	}
	return c.logging.open(c.streams, settings)
}

// warn tells warnings where there is no log yet.
func (c *connectRun) warn(warnings []string) {
	for _, warning := range warnings {
		_, _ = fmt.Fprintln(c.streams.Err, "warning: "+warning) // a closed stderr has no reader
	}
}

// writePID writes the process's number where outsystemscc does.
func (c *connectRun) writePID() (remove func(), err error) {
	name := "postern-connect.pid"
	if c.classic() {
		name = "outsystemscc.pid"
	}
	if err := os.WriteFile(name, []byte(fmt.Sprint(os.Getpid())), 0o644); err != nil {
		return nil, postern.Errorf(postern.CodeFlagInvalid, "--pid: the file %q cannot be written: %v", name, err)
	}
	return func() { _ = os.Remove(name) }, nil // what is left is the number of a process that is gone
}

func (c *connectRun) userAgent() string {
	own := "postern/" + version()
	if c.classic() {
		return "CloudConnector/" + outsystemsccVersion + " " + own
	}
	return own
}

// hello is what our own gateways are told of the program.
func (c *connectRun) hello() link.Hello {
	hostname, _ := os.Hostname() // without it the operator sees the address only
	return link.Hello{Agent: postern.AgentInfo{
		ClientType: strings.ReplaceAll(c.streams.Name, " ", "-"), UserAgent: c.userAgent(), Version: version(),
		OS: runtime.GOOS, Arch: runtime.GOARCH, Hostname: hostname,
	}}
}
