package service

import (
	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// ApplicationUsers are the use cases of application users.
type ApplicationUsers = Collection[store.ApplicationUser, resource.ApplicationUser, resource.None, resource.None, *store.ApplicationUser]

// ApplicationSessions are the use cases of application sessions.
type ApplicationSessions = Collection[store.ApplicationSession, resource.ApplicationSession, resource.None, resource.None, *store.ApplicationSession]

// ApplicationUsers returns the use cases of application users, whom nobody makes through
// the API. One that is deleted takes the sessions with it.
func (s *Service) ApplicationUsers() *ApplicationUsers {
	definition := resource.ApplicationUsers().Definition
	return &ApplicationUsers{
		service: s, definition: definition, rows: store.Tx.ApplicationUsers,
		events: eventTypes{deleted: event.ApplicationUserDeleted},
		release: func(d *draft, _ Caller, row *store.ApplicationUser) error {
			return eachRow(d.ctx, d.ApplicationSessions(), store.Equal("user_id", row.ID), func(session *store.ApplicationSession) error {
				return d.ApplicationSessions().Delete(d.ctx, session.Account, session.ID)
			})
		},
		show: func(_ reader, row *store.ApplicationUser) (resource.ApplicationUser, error) {
			return resource.ApplicationUser{
				Identity:         s.identity(definition, &row.Meta),
				IdentityProvider: resource.IdentityProvider{Name: row.Provider, URL: row.ProviderURL},
				ProviderUserID:   row.ProviderUserID, Username: row.Username, Email: row.Email, Name: row.Name,
				LastActive: resource.Moment(row.LastActive), LastLogin: resource.Moment(row.LastLogin),
			}, nil
		},
		stored: map[string]string{"provider_user_id": "provider_user_id", "username": "username", "email": "email", "name": "name"},
	}
}

// ApplicationSessions returns the use cases of application sessions. One that is deleted is
// revoked.
func (s *Service) ApplicationSessions() *ApplicationSessions {
	definition := resource.ApplicationSessions().Definition
	return &ApplicationSessions{
		service: s, definition: definition, rows: store.Tx.ApplicationSessions,
		events: eventTypes{deleted: event.ApplicationSessionDeleted},
		show: func(_ reader, row *store.ApplicationSession) (resource.ApplicationSession, error) {
			return resource.ApplicationSession{
				Identity: s.identity(definition, &row.Meta), PublicURL: row.PublicURL, BrowserSession: showBrowser(row.Browser),
				ApplicationUser: *s.ref(resource.ApplicationUsers().Definition, row.User),
				LastActive:      resource.Moment(row.LastActive), ExpiresAt: resource.Moment(row.ExpiresAt),
				Endpoint: s.endpointRef(row.Endpoint),
			}, nil
		},
		stored: map[string]string{"public_url": "public_url", "application_user.id": "user_id"},
	}
}

func (s *Service) endpointRef(id postern.EndpointID) *resource.Ref {
	if id == "" {
		return nil
	}
	return &resource.Ref{ID: string(id), URI: s.apiURL + "/endpoints/" + string(id)}
}

func showBrowser(b store.Browser) resource.BrowserSession {
	shown := resource.BrowserSession{IPAddress: b.Address, UserAgent: resource.UserAgent{
		Raw: b.Raw, BrowserName: b.Name, BrowserVersion: b.Version, DeviceType: b.Device, OSName: b.OS, OSVersion: b.OSVersion,
	}}
	if at := b.Location; at != nil {
		shown.Location = &resource.BrowserLocation{CountryCode: at.Country, Latitude: at.Latitude, Longitude: at.Longitude, LatLongRadiusKM: at.Radius}
	}
	return shown
}
