package main

import (
	"context"
	"net"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/agent/localapi"
	"github.com/postern-dev/postern/agent/session"
)

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
