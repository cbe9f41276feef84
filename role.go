package postern

import "slices"

// Role is what a person, or a bot, may do in one account. The zero value may do
// nothing.
type Role string

// The roles, each of which may do all that the ones after it may.
const (
	// Owner may do everything, and is who must not be lost: an account keeps one.
	Owner Role = "owner"
	// Admin administers the account: people, roles below Owner, invitations, limits.
	Admin Role = "admin"
	// Developer works with what the account has: endpoints, names, credentials of
	// their own, policies.
	Developer Role = "developer"
	// ReadOnly looks, and changes nothing.
	ReadOnly Role = "read_only"
)

// Action is a kind of thing that a role allows or does not.
type Action uint8

// The actions, each more than the one before it.
const (
	Read       Action = iota // see resources, never their secrets
	Write                    // make, change and delete resources
	Administer               // people, roles, other people's keys, limits
	Own                      // other owners, and the account's end
)

// Roles lists the roles, the one that may do the most first.
func Roles() []Role { return []Role{Owner, Admin, Developer, ReadOnly} }

// ParseRole reads a role's name; CodeFieldInvalid says which there are.
func ParseRole(name string) (Role, error) {
	if r := Role(name); slices.Contains(Roles(), r) {
		return r, nil
	}
	return "", Errorf(CodeFieldInvalid, `role %q must be "owner", "admin", "developer" or "read_only"`, clip(name))
}

// Allows tells whether the role may do a. A role that is not one of the constants
// may do nothing.
func (r Role) Allows(a Action) bool {
	switch r {
	case Owner:
		return a <= Own
	case Admin:
		return a <= Administer
	case Developer:
		return a <= Write
	case ReadOnly:
		return a <= Read
	}
	return false
}

// MayRead tells whether the role may look.
func (r Role) MayRead() bool { return r.Allows(Read) }

// MayWrite tells whether the role may change resources.
func (r Role) MayWrite() bool { return r.Allows(Write) }

// MayAdminister tells whether the role may decide about people, roles and limits.
func (r Role) MayAdminister() bool { return r.Allows(Administer) }

// MayGrant tells whether the role may give another one to somebody, or take it
// away: nobody makes or unmakes those above.
func (r Role) MayGrant(other Role) bool {
	if other == Owner {
		return r.Allows(Own)
	}
	return r.Allows(Administer) && other.Allows(Read)
}
