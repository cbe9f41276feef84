package service

import (
	"net/netip"

	"github.com/postern-dev/postern"
)

// Caller is who asks for a use case, and what was found out about it. The zero value may
// do nothing.
type Caller struct {
	Account   postern.AccountID
	Principal postern.UserID // a person's or service user's id
	Role      postern.Role
	Key       postern.APIKeyID // what it was let in with, if it was that
	Source    Source
	Addr      netip.Addr // where it called from; invalid for the server's own machine
}

// Source is by which way a caller came.
type Source string

// The sources, in the words of events.
const (
	SourceAPI       Source = "API"
	SourceDashboard Source = "Dashboard"
	SourceServer    Source = "Server" // an operator on the server's own machine
)

// may refuses what the caller's role does not allow.
func (c Caller) may(a postern.Action) error {
	if c.Account == "" || !c.Role.Allows(a) {
		return postern.Errorf(postern.CodeNotPermitted, "the role %q does not allow this", c.Role)
	}
	return nil
}

// actor is the caller as events name it.
func (c Caller) actor() postern.Actor {
	return postern.Actor{ID: string(c.Principal), Source: string(c.Source), Key: string(c.Key)}
}
