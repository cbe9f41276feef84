package server

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
	"github.com/postern-dev/postern/internal/disk"
	"github.com/postern-dev/postern/link/chisel"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/edge"
	"github.com/postern-dev/postern/server/gateway"
	"github.com/postern-dev/postern/server/handover"
	"github.com/postern-dev/postern/server/service"
)

// hostKeyName is the key by which connectors that speak SSH know the server.
const hostKeyName = "gateway.key"

// hostKey reads the key of private gateways, and makes it the first time.
func (d *dataDir) hostKey() (ssh.Signer, error) {
	path := d.file(hostKeyName)
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if text, err = chisel.NewHostKey(); err != nil {
			return nil, err
		}
		if err := disk.Replace(path, text, 0o600); err != nil {
			return nil, unusable(d.path, err)
		}
	case err != nil:
		return nil, unusable(d.path, err)
	default:
		if err := checkMode(path); err != nil {
			return nil, err
		}
	}
	key, err := chisel.ParseHostKey(text)
	if err != nil {
		return nil, postern.Errorf(postern.CodeConfigInvalid,
			"%s cannot be read: %v; restore it from a backup, or remove it and connectors that check a fingerprint need the new one", path, err).Because(err)
	}
	return key, nil
}

// gatewayConfig is what the service needs for private gateways. It follows reloads.
func (s *Server) gatewayConfig() service.GatewayConfig {
	return service.GatewayConfig{
		Listen:      func() allow.Listen { return s.settings().Gateways.ListenAllow },
		Fingerprint: func() string { return chisel.Fingerprint(s.hostKey.PublicKey()) },
	}
}

// openGateways makes what runs private gateways, and reads them: from then on a store
// that is down stops none.
func (s *Server) openGateways(ctx context.Context, access *slog.Logger) error {
	s.gateways = gateway.New(gateway.Config{
		Service: s.service, Bus: s.bus, Region: s.config.Region, Domain: s.config.Domain, HTTPS: s.publicPorts().HTTPS, HostKey: s.hostKey,
		Access:  &s.doors,
		Live:    gatewayLive(s.config, access),
		Busy:    func() bool { return s.edge.Pressure() >= edge.PressureHigh },
		Meters:  s.meters,
		Changed: s.gatewayChanged,
		Metrics: s.registry, Logger: s.log,
	})
	return s.gateways.Refresh(ctx)
}

// gatewayLive is the part of the gateways' configuration that a reload changes.
func gatewayLive(c Config, access *slog.Logger) gateway.Live {
	return gateway.Live{AccessLog: access, Places: c.Gateways.ListenAllow, ProbeEvery: c.Gateways.ProbeEvery, Limits: gateway.Limits{
		Connections: c.Limits.Connections, ConnectionsPerAddress: c.Limits.ConnectionsPerAddress, FailuresPerMinute: c.Limits.FailuresPerMinute}}
}

// gatewaySockets and adoptedSockets are the ports of gateways on their way from one process
// to the next.
func gatewaySockets(all []gateway.Socket) (sockets []handover.GatewaySocket) {
	for _, one := range all {
		sockets = append(sockets, handover.GatewaySocket(one))
	}
	return sockets
}

func adoptedSockets(all []handover.GatewaySocket) (sockets []gateway.Socket) {
	for _, one := range all {
		sockets = append(sockets, gateway.Socket(one))
	}
	return sockets
}

// gatewayChanged records what comes and goes at private gateways.
func (s *Server) gatewayChanged(c gateway.Change) {
	ctx := context.Background() // the service does not wait for the store
	if err := s.service.GatewayChanged(ctx, service.GatewayChange{
		Kind: string(c.Kind), At: c.At, Account: c.Account, Gateway: c.Gateway, Name: c.Name, Connector: c.Connector, RemoteAddr: c.RemoteAddr,
		Instance: c.Instance, Token: c.Token, Network: c.Network, Port: c.Port,
	}); err != nil {
		s.log.WarnContext(ctx, "an event of a private gateway is not recorded", "gateway", c.Gateway, "error", err)
	}
}

// liveGateways is what is live of private gateways, for the API.
type liveGateways struct{ server *Server }

var _ api.Gateways = liveGateways{}

// StateOf implements api.Gateways.
func (l liveGateways) StateOf(_ context.Context, id string) api.GatewayState {
	state := l.server.gateways.State(id)
	var shown api.GatewayState
	for _, c := range state.Connectors {
		shown.Connectors = append(shown.Connectors, showConnector(c))
	}
	for _, e := range state.Endpoints {
		shown.Endpoints = append(shown.Endpoints, showEndpoint(e))
	}
	return shown
}

func showConnector(c gateway.ConnectorState) resource.GatewayConnector {
	shown := resource.GatewayConnector{
		ID: c.ID, Instance: c.Instance, Token: resource.Ref{ID: c.Token}, Version: c.Agent.Version, UserAgent: c.Agent.UserAgent,
		Transport: c.Transport, RemoteAddr: c.RemoteAddr.String(), Since: c.Since, BytesIn: c.BytesOut, BytesOut: c.BytesIn,
	}
	for _, offer := range c.Offers {
		shown.Connections += offer.Open
	}
	if c.Latency > 0 {
		ms := float64(c.Latency.Microseconds()) / 1000
		shown.LatencyMS = &ms
	}
	return shown
}

// showEndpoint says of an endpoint what the best of its connectors' offers says.
func showEndpoint(e gateway.EndpointState) resource.GatewayEndpoint {
	shown := resource.GatewayEndpoint{Network: e.Network, Port: e.Port, Open: true, Bytes: e.Bytes, Listen: texts(e.Listen)}
	var probed time.Time
	for _, offer := range e.Offers {
		shown.Connections += offer.Open
		shown.Connectors = append(shown.Connectors, offer.Connector)
		if !slices.Contains(shown.Targets, offer.Target) {
			shown.Targets = append(shown.Targets, offer.Target)
		}
		if offer.CheckedAt.After(probed) {
			probed = offer.CheckedAt
		}
		if offer.Health == gateway.HealthDown && e.Health == gateway.HealthDown {
			shown.Error = offer.Why
		}
	}
	if len(e.Offers) == 0 {
		shown.Error = "no connector offers it; it is held for one to return"
	}
	if !probed.IsZero() {
		healthy := e.Health == gateway.HealthUp
		shown.Healthy, shown.LastProbeAt = &healthy, &probed
	}
	return shown
}

func texts(all []netip.AddrPort) []string {
	texts := make([]string, len(all))
	for i, one := range all {
		texts[i] = one.String()
	}
	return texts
}
