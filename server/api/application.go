package api

import (
	"net/http"

	"github.com/postern-dev/postern/resource"
)

// applicationRoutes are about who signs in at endpoints.
func (a *API) applicationRoutes() {
	users, sessions := resource.ApplicationUsers().Definition, resource.ApplicationSessions().Definition
	s := a.config.Service
	gets(a, users, s.ApplicationUsers().Get)
	lists(a, users, s.ApplicationUsers().List, s.ApplicationUsers().Stored())
	deletes(a, users, s.ApplicationUsers().Delete)
	gets(a, sessions, s.ApplicationSessions().Get)
	lists(a, sessions, s.ApplicationSessions().List, s.ApplicationSessions().Stored())
	deletes(a, sessions, s.ApplicationSessions().Delete)
}

// selfRoute tells callers who they are.
func (a *API) selfRoute() {
	a.handle("GET "+resource.Myself().Path(), func(c *call) (int, any, error) {
		if _, err := c.query(); err != nil {
			return 0, nil, err
		}
		self, err := a.config.Service.Self(c, c.caller)
		return http.StatusOK, self, err
	})
}
