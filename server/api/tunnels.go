package api

import (
	"context"
	"net/http"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/service"
)

// bindTunnelSessions makes the routes of the agents that are connected.
func bindTunnelSessions(a *API) {
	d := resource.TunnelSessions().Definition
	sessions := func(c context.Context, by service.Caller) ([]postern.Session, error) {
		if err := by.May(postern.Read); err != nil {
			return nil, err
		}
		return a.config.Live.SessionsOf(c, by.Account), nil
	}
	id := func(s postern.Session) string { return string(s.ID) }
	gets(a, d, func(ctx context.Context, by service.Caller, wanted string) (resource.TunnelSession, error) {
		all, err := sessions(ctx, by)
		if err != nil {
			return resource.TunnelSession{}, err
		}
		found, err := find(all, id, wanted)
		return a.config.Service.TunnelSession(found), err
	})
	lists(a, d, func(ctx context.Context, by service.Caller, p service.Page) (service.List[resource.TunnelSession], error) {
		all, err := sessions(ctx, by)
		return newestOf(all, id, p, a.config.Service.TunnelSession), err
	}, nil)
	for _, action := range d.Actions {
		acts(a, d, action.Name, func(ctx context.Context, by service.Caller, id string) error {
			if err := by.May(postern.Write); err != nil {
				return err
			}
			return a.config.Live.Command(ctx, by.Account, postern.SessionID(id), link.Command{Action: link.Action(action.Name)})
		})
	}
}

// bindTunnels makes the routes of what agents have online.
func bindTunnels(a *API) {
	d := resource.Tunnels().Definition
	tunnels := func(by service.Caller) ([]postern.Endpoint, error) {
		if err := by.May(postern.Read); err != nil {
			return nil, err
		}
		return a.config.Live.EndpointsOf(by.Account), nil
	}
	id := func(e postern.Endpoint) string { return service.TunnelID(e.ID) }
	gets(a, d, func(_ context.Context, by service.Caller, wanted string) (resource.Tunnel, error) {
		all, err := tunnels(by)
		if err != nil {
			return resource.Tunnel{}, err
		}
		found, err := find(all, id, wanted)
		return a.config.Service.Tunnel(found), err
	})
	lists(a, d, func(_ context.Context, by service.Caller, p service.Page) (service.List[resource.Tunnel], error) {
		all, err := tunnels(by)
		return newestOf(all, id, p, a.config.Service.Tunnel), err
	}, nil)
}

// bindEndpoints makes the routes of endpoints: rows, and what agents have online.
func bindEndpoints(a *API) {
	d, s := resource.Endpoints().Definition, a.config.Service.Endpoints()
	creates(a, d, s.Create)
	gets(a, d, func(ctx context.Context, by service.Caller, id string) (resource.Endpoint, error) {
		return s.GetWith(ctx, by, id, a.config.Live.EndpointsOf(by.Account))
	})
	lists(a, d, func(ctx context.Context, by service.Caller, p service.Page) (service.List[resource.Endpoint], error) {
		return s.ListWith(ctx, by, p, a.config.Live.EndpointsOf(by.Account))
	}, nil)
	updates(a, d, s.Update)
	deletes(a, d, s.Delete)
}

// acts makes the route of an action. Its body is an empty object, or none.
func acts(a *API, d resource.Definition, action string, act func(context.Context, service.Caller, string) error) {
	a.handle("POST "+d.Path()+"/{id}/"+action, func(c *call) (int, any, error) {
		id, err := c.id(d)
		if err != nil {
			return 0, nil, err
		}
		if len(c.body) > 0 {
			if err := decode(c.body, &resource.None{}, nil); err != nil {
				return 0, nil, err
			}
		}
		return http.StatusNoContent, nil, act(c, c.caller, id)
	})
}
