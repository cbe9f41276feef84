package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/cluster"
	"github.com/postern-dev/postern/server/control"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/pki"
	"github.com/postern-dev/postern/server/seal"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store/sqlstore"
)

const (
	// closeTime bounds the last steps of a process.
	closeTime = 10 * time.Second
	// busyTime is for how long the database waits for a lock that another process holds,
	// such as a backup. Nobody waits for longer than the service does, 5 s.
	busyTime = 5 * time.Second
)

// state is the durable side of a node: the store and its one writer.
type state struct {
	store   *watchedStore
	service *service.Service
	sealing *seal.Keyring
}

// openState opens the database that c means. public are the ports in URLs.
func openState(ctx context.Context, dir *dataDir, c Config, bus *event.Bus, public control.PublicPorts, live *cluster.Local, gateways service.GatewayConfig, checks service.RecordChecks, logger *slog.Logger) (*state, error) {
	names, err := dir.key(namesName)
	if err != nil {
		return nil, err
	}
	operators, err := pki.OpenBindings(dir.file(caName))
	if err != nil {
		return nil, err
	}
	engine := c.database(dir)
	engine.Logger = logger
	database, err := sqlstore.Open(ctx, engine)
	if err != nil {
		return nil, err
	}
	watched := &watchedStore{Store: database}
	sealing, err := openSealing(ctx, dir, c, database)
	if err != nil {
		return nil, errors.Join(err, database.Close())
	}
	uses, err := service.New(ctx, service.Config{
		Store: watched, Bus: bus, NameKey: names, Sealing: sealing, Gateways: gateways, Operators: operators, Domains: c.domains(), APIURL: c.apiURL(public.HTTPS), PublicPort: public.Port, Regions: c.regions(), NameServers: c.NameServers(), Certifies: c.certifies(),
		Policies: newPolicies(c.Geo), InUse: live.Endpoints, Holders: holdersIn(live), Logger: logger,
		TCPPorts: service.PortRange(c.Listen.TCPPorts), DNS: c.DNS.resolver(), ProveDomains: c.RequireProof, Checks: checks,
	})
	if err != nil {
		return nil, errors.Join(err, database.Close())
	}
	return &state{store: watched, service: uses, sealing: sealing}, nil
}

// holdersIn finds who is online at a URL.
func holdersIn(live *cluster.Local) func(postern.URL) []postern.Endpoint {
	return func(u postern.URL) []postern.Endpoint {
		var endpoints []postern.Endpoint
		for _, holder := range live.Holders(u) {
			endpoints = append(endpoints, holder.Endpoint)
		}
		return endpoints
	}
}

func (s *state) close(ctx context.Context) error {
	return errors.Join(s.service.Close(ctx), s.store.Close())
}

// apiURL is where the REST API is to be found; port is that of visitors' TLS.
func (c Config) apiURL(port uint16) string {
	host := "api." + string(c.Domain)
	if port != 0 && port != 443 {
		host = net.JoinHostPort(host, strconv.Itoa(int(port)))
	}
	return "https://" + host
}

// domains are those below which names are given, the server's own first.
func (c Config) domains() []postern.Hostname {
	return slices.Compact([]postern.Hostname{c.Domain, c.BaseDomain()})
}

// openCA opens the local CA in the directory, or makes it. custom tells which names that
// are not below the server's domains have an endpoint; nil is none.
func openCA(dir *dataDir, c Config, custom func(postern.Hostname) bool, logger *slog.Logger) (*pki.LocalCA, error) {
	spelled, err := addresses(c)
	if err != nil {
		return nil, err
	}
	return pki.OpenLocalCA(pki.LocalConfig{Dir: dir.file(caName), Domains: c.domains(), Addresses: spelled, Custom: custom, Logger: logger})
}
