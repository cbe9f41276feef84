package api

import (
	"context"
	"net/http"

	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/service"
)

// nameRoutes makes the routes of what accounts reserve, and of who may come
// from where.
func (a *API) nameRoutes() {
	s := a.config.Service
	bind(a, resource.IPPolicyRules(), s.IPPolicyRules())
	bind(a, resource.IPRestrictions(), s.IPRestrictions())
	bind(a, resource.AgentIngresses(), s.AgentIngresses())
	bind(a, resource.ReservedAddrs(), s.ReservedAddrs())
	domains := s.ReservedDomains()
	bind(a, resource.ReservedDomains(), domains)
	detaches(a, resource.ReservedDomains().Definition, "certificate_management_policy", domains.DetachPolicy)
	detaches(a, resource.ReservedDomains().Definition, "certificate", domains.DetachCertificate)
	checks(a, resource.ReservedDomains().Definition, domains.Check)
	checks(a, resource.AgentIngresses().Definition, s.CheckIngress)
}

// checks makes the route by which DNS records are looked at. Its body is an empty object,
// or none.
func checks(a *API, d resource.Definition, check func(context.Context, service.Caller, string) (resource.DNSCheck, error)) {
	a.handle("POST "+d.Path()+"/{id}/check", func(c *call) (int, any, error) {
		id, err := c.id(d)
		if err != nil {
			return 0, nil, err
		}
		if len(c.body) > 0 {
			if err := decode(c.body, &resource.None{}, nil); err != nil {
				return 0, nil, err
			}
		}
		checked, err := check(c, c.caller, id)
		return http.StatusOK, checked, err
	})
}

// detaches makes the route by which something is taken away from a resource.
func detaches(a *API, d resource.Definition, part string, detach func(context.Context, service.Caller, string) error) {
	a.handle("DELETE "+d.Path()+"/{id}/"+part, func(c *call) (int, any, error) {
		id, err := c.id(d)
		if err != nil {
			return 0, nil, err
		}
		return http.StatusNoContent, nil, detach(c, c.caller, id)
	})
}
