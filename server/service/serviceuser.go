package service

import (
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// maxUserName is the longest name of a service user, in bytes.
const maxUserName = 255

// ServiceUsers are the use cases of service users.
type ServiceUsers = Collection[store.User, resource.ServiceUser, resource.ServiceUserCreate, resource.ServiceUserUpdate, *store.User]

// BotUsers returns the use cases of service users, for those who know them by their older
// name and path.
func (s *Service) BotUsers() *ServiceUsers { return s.serviceUsers(resource.BotUsers().Definition) }

// ServiceUsers returns the use cases of service users. One that is deleted takes its API
// keys and credentials with it; one that is not active keeps them, but nobody is let in
// with them: CodeOwnerInactive.
func (s *Service) ServiceUsers() *ServiceUsers {
	return s.serviceUsers(resource.ServiceUsers().Definition)
}

func (s *Service) serviceUsers(definition resource.Definition) *ServiceUsers {
	return &ServiceUsers{
		service: s, definition: definition, rows: store.Tx.Users, needs: postern.Administer,
		scope:  store.And{store.Equal("kind", string(store.ServiceUser)), store.Equal("removed_at", nil)},
		events: eventTypes{event.ServiceUserCreated, event.ServiceUserUpdated, event.ServiceUserDeleted},
		build: func(d *draft, _ Caller, row *store.User, c resource.ServiceUserCreate) error {
			row.Name, row.Kind, row.Role, row.Active = c.Name, store.ServiceUser, postern.Developer, true
			set(&row.Active, c.Active)
			return d.checkServiceUser(row)
		},
		change: func(d *draft, _ Caller, row *store.User, u resource.ServiceUserUpdate) error {
			set(&row.Name, u.Name)
			set(&row.Active, u.Active)
			s.knowUser(d, *row)
			return d.checkServiceUser(row)
		},
		release: func(d *draft, by Caller, row *store.User) error { return s.endAllOf(d, by, row) },
		remove: func(d *draft, row *store.User) error {
			row.RemovedAt = d.now
			s.knowUser(d, *row)
			return d.Users().Update(d.ctx, *row)
		},
		show: func(_ reader, row *store.User) (resource.ServiceUser, error) {
			return resource.ServiceUser{Identity: s.identity(definition, &row.Meta), Name: row.Name, Active: row.Active}, nil
		},
		stored: map[string]string{"name": "name", "active": "active"},
	}
}

func (d *draft) checkServiceUser(row *store.User) error {
	if strings.TrimSpace(row.Name) == "" {
		return postern.Errorf(postern.CodeServiceUserNameMissing, "the field \"name\" is missing or empty")
	}
	if len(row.Name) > maxUserName {
		return postern.Errorf(postern.CodeServiceUserNameTooLong, "name has %d bytes, at most %d are allowed", len(row.Name), maxUserName)
	}
	if err := checkText("name", row.Name, maxUserName); err != nil {
		return err
	}
	same, err := d.Users().List(d.ctx, store.Page{Account: row.Account, Limit: 1, Where: store.And{
		store.Equal("kind", string(store.ServiceUser)), store.Equal("removed_at", nil), store.Equal("name", row.Name),
		store.Compare{Field: "id", Op: store.Differs, Value: row.ID},
	}})
	if err == nil && len(same) > 0 {
		err = postern.Errorf(postern.CodeServiceUserNameTaken, "the account has a service user %q already: %s", row.Name, same[0].ID)
	}
	return err
}

// knowUser notes, once d is committed, whether what acts for a user may.
func (s *Service) knowUser(d *draft, u store.User) {
	id, serves := postern.UserID(u.ID), u.Serves()
	d.committed = append(d.committed, func() { s.known.changeOwner(id, serves) })
}
