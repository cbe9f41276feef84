package store

import (
	"time"

	"github.com/postern-dev/postern"
)

// User is who keys and credentials act for in one account: a person or a service user.
// One that was removed stays, since what is left of its credentials refers to it.
type User struct {
	Meta
	Name      string
	Kind      UserKind
	Role      postern.Role
	Active    bool // keys and credentials of others are refused
	RemovedAt time.Time

	// Email, of people only, is in lower case. Of all that were not removed, whatever
	// their account, one has it.
	Email      string
	Password   postern.Secret // as server/password keeps it; "" for none
	PasswordAt time.Time      // when it was set
}

// UserKind tells people from programs.
type UserKind string

// The kinds.
const (
	Person      UserKind = "person"
	ServiceUser UserKind = "service"
)

// Serves tells whether what acts for the user may.
func (u User) Serves() bool { return u.Active && u.RemovedAt.IsZero() }
