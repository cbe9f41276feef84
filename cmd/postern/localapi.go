package main

import (
	"context"
	"log/slog"
	"net"
	"sync"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/localapi"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/inspect"
)

// webService is the agent's API on loopback, with what it shows.
type webService struct {
	listener net.Listener // nil: it is turned off
	recorder *inspect.Recorder
	saved    *localapi.Saved // nil: nothing is kept
	file     config.Config
	version  string
	log      *slog.Logger
}

// openWebService takes the API's address, before anything else happens: an address that
// was asked for and is taken ends the agent. Without one it only does without the API.
func (c *agentCommand) openWebService(ctx context.Context, file config.Config, log *slog.Logger) (*webService, error) {
	w := &webService{
		recorder: inspect.NewRecorder(inspect.NewStore(file.InspectSize), 0),
		file:     file, log: log, version: version(),
	}
	if c.streams.asNgrok() {
		w.version = ngrokVersion
	}
	listener, err := localapi.Listen(ctx, file.WebAddr, log)
	switch {
	case err != nil && file.WebAddr != "":
		return nil, err
	case err != nil:
		log.WarnContext(ctx, "the agent goes on without its API", slog.String("obj", "web"), slog.String("err", err.Error()))
	}
	w.listener = listener
	if c.reload && listener != nil { // a command line that names its one endpoint keeps nothing
		if err := w.openSaved(ctx, c); err != nil {
			_ = listener.Close()
			return nil, err
		}
	}
	return w, nil
}

// openSaved reads what the API was told to keep: it stands beside the configuration.
// Of several agents with the same one only the first has it.
func (w *webService) openSaved(ctx context.Context, c *agentCommand) (err error) {
	var beside string
	if paths := splitPaths(c.configFiles); len(paths) > 0 {
		beside = paths[0]
	} else if beside, err = c.streams.savePath(nil); err != nil {
		return nil // nowhere to keep anything
	}
	w.saved, err = localapi.OpenSaved(beside + ".tunnels.json")
	if postern.HasCode(err, postern.CodeConflict) {
		w.log.WarnContext(ctx, "saved tunnels are left to another agent", slog.String("obj", "web"), slog.String("err", describe(err)))
		return nil
	}
	return err
}

// watch has the agent show its streams.
func (w *webService) watch(settings *agent.Config) {
	if w.listener == nil {
		return
	}
	settings.Tap = localapi.Watcher{Recorder: w.recorder}
	settings.Meter = localapi.Watcher{Recorder: w.recorder}
}

// start serves the API until ctx ends, and has the agent take online what was kept.
// group ends after ctx.
func (w *webService) start(ctx context.Context, a *agent.Agent, group *sync.WaitGroup) error {
	if w.listener == nil {
		return nil
	}
	api, err := localapi.New(localapi.Config{
		Agent: driven{a}, Recorder: w.recorder, Version: w.version, Both: w.file.FirstGeneration(),
		Address: w.listener.Addr(), AllowHosts: w.file.WebAllowHosts, Token: w.file.WebToken, Saved: w.saved, Logger: w.log,
	})
	if err != nil {
		return err
	}
	a.Listen(agent.Events{Removed: func(_, label string) { w.recorder.Forget(label) }})
	wait := api.Start(ctx, w.listener)
	group.Go(func() {
		if err := wait(); err != nil {
			w.log.ErrorContext(ctx, "the agent's API has ended", slog.String("obj", "web"), slog.String("err", err.Error()))
		}
	})
	group.Go(func() { w.recorder.Store().WatchMemory(ctx, w.log) })
	w.restore(ctx, a)
	return nil
}

func (w *webService) restore(ctx context.Context, a *agent.Agent) {
	if w.saved == nil {
		return
	}
	endpoints, problems := w.saved.Endpoints(w.file.FirstGeneration())
	for _, e := range endpoints {
		if err := a.AddLater(agent.Endpoint{Endpoint: e}); err != nil {
			problems = append(problems, err)
		}
	}
	for _, problem := range problems {
		w.log.WarnContext(ctx, "a saved tunnel is left out", slog.String("obj", "web"), slog.String("err", describe(problem)))
	}
}

// close gives up the saved tunnels, and the address, where start has not been reached.
func (w *webService) close() {
	if w.saved != nil {
		_ = w.saved.Close() // nothing is left to be written
	}
	if w.listener != nil {
		_ = w.listener.Close() // closed already, as a rule
	}
}

// driven is an agent as the local API drives it.
type driven struct {
	agent *agent.Agent
}

// Start takes an endpoint online.
func (d driven) Start(ctx context.Context, e config.Endpoint) error {
	_, err := d.agent.Add(ctx, agent.Endpoint{Endpoint: e})
	return err
}

// Stop takes one URL offline.
func (d driven) Stop(ctx context.Context, label string) error {
	return d.agent.RemoveLabel(ctx, label)
}

// Remove takes an endpoint offline.
func (d driven) Remove(ctx context.Context, name string) error { return d.agent.Remove(ctx, name) }

// Tunnels lists every URL.
func (d driven) Tunnels() []localapi.Tunnel {
	all := d.agent.Endpoints()
	tunnels := make([]localapi.Tunnel, len(all))
	for i, e := range all {
		tunnels[i] = localapi.Tunnel{
			Name: e.Name, Label: e.Label, ID: e.ID, URL: e.URL, Scheme: e.Scheme, Addr: e.Address, Config: e.Config.Endpoint,
		}
	}
	return tunnels
}

// Status says how the session is.
func (d driven) Status() localapi.Status {
	now := d.agent.Status()
	status := localapi.Status{State: string(now.State), Region: now.Session.Region, Latency: now.Latency}
	if now.Why != nil {
		status.Problem = now.Why.Text()
	}
	return status
}

// Open connects to the service of a label.
func (d driven) Open(ctx context.Context, label string) (net.Conn, error) {
	return d.agent.Open(ctx, label)
}

// Watch has changed called whenever something differs.
func (d driven) Watch(changed func()) (stop func()) {
	return d.agent.Listen(agent.Events{
		Status:  func(session.Status) { changed() },
		Online:  func(agent.Online) { changed() },
		Refused: func(string, *postern.Error) { changed() },
		Stopped: func(string, *postern.Error) { changed() },
		Removed: func(string, string) { changed() },
	})
}

// Interface guards.
var (
	_ localapi.Agent = driven{}
	_ session.Tap    = localapi.Watcher{}
	_ session.Meter  = localapi.Watcher{}
)
