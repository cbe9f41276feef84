package api

import (
	"cmp"
	"context"
	"slices"

	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/service"
)

// Gateways is what is live of private gateways. Methods may be called concurrently.
type Gateways interface {
	// StateOf says what is live of the gateway with an id, in no order; of one that is not
	// known, nothing.
	StateOf(ctx context.Context, id string) GatewayState
}

// GatewayState is what is live of a gateway. Of references the ids will do.
type GatewayState struct {
	Connectors []resource.GatewayConnector
	Endpoints  []resource.GatewayEndpoint
}

// idle are the Gateways of an API without a server.
type idle struct{}

func (idle) StateOf(context.Context, string) GatewayState { return GatewayState{} }

// bindPrivateGateways makes the routes of private gateways: rows, with what is live of
// them, and their tokens.
func bindPrivateGateways(a *API) {
	d, s := resource.PrivateGateways().Definition, a.config.Service.PrivateGateways()
	creates(a, d, s.Create) // nothing can be live yet
	gets(a, d, func(ctx context.Context, by service.Caller, id string) (resource.PrivateGateway, error) {
		found, err := s.Get(ctx, by, id)
		return a.enliven(ctx, found), err
	})
	lists(a, d, func(ctx context.Context, by service.Caller, p service.Page) (service.List[resource.PrivateGateway], error) {
		list, err := s.List(ctx, by, p)
		for i := range list.Items {
			list.Items[i] = a.enliven(ctx, list.Items[i])
		}
		return list, err
	}, s.Stored())
	updates(a, d, func(ctx context.Context, by service.Caller, id string, u resource.PrivateGatewayUpdate) (resource.PrivateGateway, error) {
		changed, err := s.Update(ctx, by, id, u)
		return a.enliven(ctx, changed), err
	})
	deletes(a, d, s.Delete)

	tokens := a.config.Service.PrivateGatewayTokens()
	bind(a, resource.PrivateGatewayTokens(), tokens)
	changes(a, resource.PrivateGatewayTokens().Definition, "rotate", tokens.Rotate)
}

// enliven adds what is live of a gateway: connectors, those that came first at first, and
// endpoints by their ports.
func (a *API) enliven(ctx context.Context, g resource.PrivateGateway) resource.PrivateGateway {
	if g.ID == "" {
		return g // there was an error
	}
	state := a.config.Gateways.StateOf(ctx, g.ID)
	for _, connector := range state.Connectors {
		connector.Token.URI = a.config.URL + resource.PrivateGatewayTokens().PathOf(connector.Token.ID)
		connector.Since = resource.Moment(connector.Since)
		g.Connectors = append(g.Connectors, connector)
	}
	slices.SortFunc(g.Connectors, func(a, b resource.GatewayConnector) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.ID, b.ID))
	})
	for _, endpoint := range state.Endpoints {
		for _, list := range []*[]string{&endpoint.Targets, &endpoint.Connectors, &endpoint.Listen} {
			*list = append([]string{}, *list...)
		}
		if endpoint.LastProbeAt != nil {
			at := resource.Moment(*endpoint.LastProbeAt)
			endpoint.LastProbeAt = &at
		}
		g.Endpoints = append(g.Endpoints, endpoint)
	}
	slices.SortFunc(g.Endpoints, func(a, b resource.GatewayEndpoint) int {
		return cmp.Or(cmp.Compare(a.Port, b.Port), cmp.Compare(a.Network, b.Network))
	})
	return g
}
