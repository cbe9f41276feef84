package service

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strconv"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// Endpoints are the use cases of endpoints. Those that are made, changed and deleted are
// cloud endpoints; lists have agents' endpoints among them.
type Endpoints struct {
	cloudEndpoints
}

type cloudEndpoints = Collection[store.CloudEndpoint, resource.Endpoint, resource.EndpointCreate, resource.EndpointUpdate, *store.CloudEndpoint]

// Endpoints returns the use cases of endpoints.
func (s *Service) Endpoints() *Endpoints {
	return &Endpoints{cloudEndpoints{
		service: s, definition: resource.Endpoints().Definition, rows: store.Tx.CloudEndpoints, empty: postern.CodeCloudEndpointUnchanged,
		events: eventTypes{event.EndpointCreated, event.EndpointUpdated, event.EndpointDeleted},
		build:  s.buildCloudEndpoint, change: s.changeCloudEndpoint, show: s.showCloudEndpoint,
		release: func(d *draft, _ Caller, row *store.CloudEndpoint) error {
			d.committed = append(d.committed, func() { s.clouds.forget(row.ID) })
			return nil
		},
	}}
}

// ListWith lists the account's endpoints, those that are live among them.
func (e *Endpoints) ListWith(ctx context.Context, by Caller, p Page, live []postern.Endpoint) (List[resource.Endpoint], error) {
	var list List[resource.Endpoint]
	if err := by.may(postern.Read); err != nil {
		return list, err
	}
	err := e.service.read(ctx, func(ctx context.Context, tx store.Tx) error {
		rows, err := tx.CloudEndpoints().List(ctx, store.Page{Account: by.Account, Before: p.Before, Limit: p.Limit + 1, Where: p.Where})
		if err != nil {
			return err
		}
		list, err = e.service.merge(reader{tx, ctx}, rows, newest(live, p.Before), p.Limit)
		return err
	})
	return list, err
}

// GetWith returns one of them.
func (e *Endpoints) GetWith(ctx context.Context, by Caller, id string, live []postern.Endpoint) (resource.Endpoint, error) {
	for _, one := range live {
		if string(one.ID) == id {
			list, err := e.ListWith(ctx, by, Page{Limit: 1, Where: store.Or{}}, []postern.Endpoint{one})
			if err != nil {
				return resource.Endpoint{}, err
			}
			return list.Items[0], nil
		}
	}
	return e.Get(ctx, by, id)
}

// newest sorts what is live, the newest first, and leaves out what a page does not have.
func newest(live []postern.Endpoint, before string) []postern.Endpoint {
	if before != "" {
		live = slices.DeleteFunc(live, func(e postern.Endpoint) bool { return string(e.ID) >= before })
	}
	slices.SortFunc(live, func(a, b postern.Endpoint) int { return cmp.Compare(b.ID, a.ID) })
	return live
}

// merge makes a page of rows and of what is live, which are both sorted, the newest first.
func (s *Service) merge(r reader, rows []store.CloudEndpoint, live []postern.Endpoint, limit int) (List[resource.Endpoint], error) {
	var list List[resource.Endpoint]
	for len(list.Items) < limit && len(rows)+len(live) > 0 {
		var shown resource.Endpoint
		var err error
		if len(live) == 0 || len(rows) > 0 && rows[0].ID > string(live[0].ID) {
			shown, err = s.showCloudEndpoint(r, &rows[0])
			rows = rows[1:]
		} else {
			shown, err = s.showLiveEndpoint(r, live[0])
			live = live[1:]
		}
		if err != nil {
			return list, err
		}
		list.Items = append(list.Items, shown)
	}
	list.More = len(rows)+len(live) > 0
	return list, nil
}

func (s *Service) showCloudEndpoint(r reader, row *store.CloudEndpoint) (resource.Endpoint, error) {
	shown := s.showURL(string(row.ID), row.URL(), row.Binding)
	shown.Type, shown.Principal = "cloud", &resource.Ref{ID: string(row.CreatedBy)}
	shown.CreatedAt, shown.UpdatedAt = resource.Moment(row.CreatedAt), resource.Moment(row.UpdatedAt)
	shown.Description, shown.Metadata = row.Description, row.Metadata
	shown.TrafficPolicy, shown.PoolingEnabled = row.TrafficPolicy, row.Pooling
	shown.ErrorPages, shown.Maintenance = showErrorPages(row.Pages)
	return shown, s.showHolding(r, &shown, row.Account, row.URL(), row.Binding)
}

func (s *Service) showLiveEndpoint(r reader, e postern.Endpoint) (resource.Endpoint, error) {
	binding := bindingOf(e.URL)
	shown := s.showURL(string(e.ID), e.URL, binding)
	shown.Type, shown.Region, shown.Name = "ephemeral", s.region(), e.Name
	shown.CreatedAt = resource.Moment(e.StartedAt)
	shown.UpdatedAt = shown.CreatedAt
	shown.Description, shown.Metadata, shown.PoolingEnabled = e.Description, e.Metadata, e.Pooling
	shown.UpstreamURL = e.ForwardsTo
	if e.URL.Scheme == postern.HTTP || e.URL.Scheme == postern.HTTPS {
		shown.UpstreamProtocol = "http1"
		if e.Options.UpstreamProtocol != postern.HTTP1 {
			shown.UpstreamProtocol = string(e.Options.UpstreamProtocol)
		}
	}
	tunnel, session := s.refTo("tunnels", TunnelID(e.ID)), s.refTo("tunnel_sessions", string(e.Session))
	shown.Tunnel, shown.TunnelSession = &tunnel, &session
	owner, err := ownerOf(r, e.Account, e.Credential)
	switch {
	case err == nil:
		shown.Principal = &resource.Ref{ID: string(owner)}
	case !postern.HasCode(err, postern.CodeNotFound): // revoked a moment ago
		return shown, err
	}
	return shown, s.showHolding(r, &shown, e.Account, e.URL, binding)
}

// bindingOf is that of an endpoint of agents.
func bindingOf(u postern.URL) string {
	if u.Internal() {
		return bindingInternal
	}
	return bindingPublic
}

// ownerOf is whose a credential is: an authtoken's or an SSH key's.
func ownerOf(r reader, account postern.AccountID, id postern.CredentialID) (postern.UserID, error) {
	if isSSHCredential(id) {
		row, err := r.SSHCredentials().Get(r.ctx, account, string(id))
		return row.Owner, err
	}
	row, err := r.Credentials().Get(r.ctx, account, string(id))
	return row.Owner, err
}

// showURL shows what follows from an endpoint's URL.
func (s *Service) showURL(id string, u postern.URL, binding string) resource.Endpoint {
	port := u.Port
	address := u.String()
	if binding == bindingPublic {
		address = s.publicURL(u)
		if port == 0 {
			port = s.publicPort(u.Scheme)
		}
	}
	if port == 0 {
		port = u.Scheme.DefaultPort()
	}
	return resource.Endpoint{
		ID: id, URI: s.uri(resource.Endpoints().Definition, id), URL: address, PublicURL: address,
		Proto: string(u.Scheme), Scheme: string(u.Scheme), Host: string(u.Host), Port: int64(port),
		Hostport: net.JoinHostPort(string(u.Host), strconv.Itoa(int(port))), Bindings: []string{binding},
	}
}

// showHolding adds by which reservation the account has the endpoint's URL.
func (s *Service) showHolding(r reader, shown *resource.Endpoint, account postern.AccountID, u postern.URL, binding string) error {
	switch {
	case binding != bindingPublic, u.Scheme == postern.UDP: // which has no reservations
	case u.Scheme == postern.TCP:
		found, err := reservedAddress(r, account, u)
		if err != nil || found == "" {
			return err
		}
		ref := s.refTo("reserved_addrs", found)
		shown.TCPAddr = &ref
	default:
		found, err := holdingDomain(r, account, u.Host)
		if err != nil || found.ID == "" {
			return err
		}
		shown.Domain = s.ref(resource.ReservedDomains().Definition, found.ID)
	}
	return nil
}

// holdingDomain is the account's reservation by which it has a name, the nearest of
// several; the zero value for none.
func holdingDomain(r reader, account postern.AccountID, host postern.Hostname) (nearest store.ReservedDomain, err error) {
	above, err := r.ReservedDomains().List(r.ctx, store.Page{Account: account, Where: store.AtOrAbove(host), Limit: mostAbove})
	for _, d := range above {
		if includes(d.Domain, host) && len(d.Domain) > len(nearest.Domain) {
			nearest = d
		}
	}
	return nearest, err
}

// reservedAddress is the id of the account's reservation of a TCP address, "" for none.
func reservedAddress(r reader, account postern.AccountID, u postern.URL) (string, error) {
	found, err := r.ReservedAddrs().List(r.ctx, store.Page{Account: account, Limit: 1,
		Where: store.And{store.Equal("host", string(u.Host)), store.Equal("port", int64(u.Port))}})
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[0].ID, nil
}
