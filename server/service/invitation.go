package service

import (
	"context"
	"crypto/subtle"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

const (
	invitationPrefix = "inv"
	// DefaultInvitation is for how long an invitation can be accepted, if nobody says
	// otherwise, and MaxInvitation the longest.
	DefaultInvitation = 7 * 24 * time.Hour
	MaxInvitation     = 90 * 24 * time.Hour
)

// NewInvitation is what an invitation is made from.
type NewInvitation struct {
	Email string
	Role  postern.Role  // empty: developer
	Valid time.Duration // 0: DefaultInvitation
}

// Invite invites somebody into the caller's account, and returns the token to send to
// them, which is not kept. Errors: CodeFieldInvalid, CodeEmailTaken, CodeNotPermitted for
// a role that the caller may not give.
func (s *Service) Invite(ctx context.Context, by Caller, n NewInvitation) (store.Invitation, postern.Secret, error) {
	var invitation store.Invitation
	var token postern.Secret
	if n.Role == "" {
		n.Role = postern.Developer
	}
	if err := by.mayGive(n.Role); err != nil {
		return invitation, "", err
	}
	if n.Valid == 0 {
		n.Valid = DefaultInvitation
	}
	if n.Valid < 0 || n.Valid > MaxInvitation {
		return invitation, "", postern.Errorf(postern.CodeFieldInvalid, "an invitation is good for %s at most", MaxInvitation)
	}
	email, err := parseEmail(n.Email)
	if err != nil {
		return invitation, "", err
	}
	if email == "" {
		return invitation, "", postern.Errorf(postern.CodeFieldInvalid, "email is empty")
	}
	err = s.change(ctx, func(d *draft) error {
		if _, err := d.Accounts().Get(d.ctx, by.Account); err != nil {
			return err
		}
		if err := d.checkPerson(store.User{Name: "-", Role: n.Role, Email: email}); err != nil {
			return err
		}
		invitation = store.Invitation{
			Meta:  store.Meta{ID: newID(invitationPrefix, d.now), Account: by.Account, CreatedAt: d.now, UpdatedAt: d.now},
			Email: email, Role: n.Role, Inviter: by.Principal, ExpiresAt: d.now.Add(n.Valid),
		}
		token, invitation.Verifier = newToken(invitation.ID)
		if err := d.Invitations().Create(d.ctx, invitation); err != nil {
			return err
		}
		return d.recordBy(by, event.InvitationCreated, by.Account, invitation.ID, showInvitation(invitation))
	})
	return invitation, token, err
}

// Invitations returns the invitations of the caller's account that can still be accepted,
// the newest first.
func (s *Service) Invitations(ctx context.Context, by Caller, p Page) (List[store.Invitation], error) {
	var list List[store.Invitation]
	if err := by.may(postern.Administer); err != nil {
		return list, err
	}
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		rows, err := tx.Invitations().List(ctx, store.Page{Account: by.Account, Before: p.Before, Limit: p.Limit + 1, Where: store.All(
			store.Equal("accepted_at", nil), store.Compare{Field: "expires_at", Op: store.More, Value: s.now()}, p.Where)})
		list = List[store.Invitation]{Items: rows[:min(len(rows), p.Limit)], More: len(rows) > p.Limit}
		return err
	})
	return list, err
}

// Disinvite takes an invitation back; CodeNotFound also for one that was accepted.
func (s *Service) Disinvite(ctx context.Context, by Caller, id string) error {
	if err := by.may(postern.Administer); err != nil {
		return err
	}
	return s.change(ctx, func(d *draft) error {
		invitation, err := d.Invitations().Get(d.ctx, by.Account, id)
		if err != nil {
			return err
		}
		if !invitation.AcceptedAt.IsZero() {
			return postern.Errorf(postern.CodeNotFound, "the invitation %q was accepted", id)
		}
		if err := by.mayGive(invitation.Role); err != nil {
			return err
		}
		if err := d.Invitations().Delete(d.ctx, by.Account, id); err != nil {
			return err
		}
		return d.recordBy(by, event.InvitationDeleted, by.Account, id, showInvitation(invitation))
	})
}

// AcceptInvitation makes a person of whoever has an invitation's token, with a password
// that they choose. Of several who accept it at the same time exactly one does. Errors:
// CodeInvitationInvalid, CodeFieldInvalid, CodeEmailTaken.
func (s *Service) AcceptInvitation(ctx context.Context, token postern.Secret, name string, chosen postern.Secret) (store.User, error) {
	id, hash, ok := parseToken(token, invitationPrefix)
	if !ok {
		return store.User{}, invitationInvalid()
	}
	if chosen == "" {
		return store.User{}, postern.Errorf(postern.CodeFieldInvalid, "the password is empty")
	}
	// Before the costly hash: whoever has no invitation must not have us work.
	err := s.read(ctx, func(ctx context.Context, tx store.Tx) error {
		_, err := acceptable(ctx, tx, id, hash, s.now())
		return err
	})
	if err != nil {
		return store.User{}, err
	}
	kept, err := s.hashOf(ctx, chosen)
	if err != nil {
		return store.User{}, err
	}
	var user store.User
	err = s.change(ctx, func(d *draft) error {
		invitation, err := acceptable(d.ctx, d.Tx, id, hash, d.now)
		if err != nil {
			return err
		}
		by := Caller{Account: invitation.Account, Principal: invitation.Inviter, Source: SourceDashboard}
		user, err = d.createPerson(by, invitation.Account, NewPerson{Name: name, Email: invitation.Email, Role: invitation.Role}, kept)
		if err != nil {
			return err
		}
		invitation.AcceptedAt, invitation.UpdatedAt, invitation.User = d.now, d.now, postern.UserID(user.ID)
		if err := d.Invitations().Update(d.ctx, invitation); err != nil {
			return err
		}
		return d.recordBy(by, event.InvitationAccepted, invitation.Account, invitation.ID, showInvitation(invitation))
	})
	return user, err
}

// acceptable finds an invitation that the token's secret half opens.
func acceptable(ctx context.Context, tx store.Tx, id string, hash [32]byte, now time.Time) (store.Invitation, error) {
	invitation, err := tx.Invitations().Get(ctx, "", id)
	if err != nil && !postern.HasCode(err, postern.CodeNotFound) {
		return invitation, err
	}
	// Unknown ones are compared too, with nobody's hash.
	match := subtle.ConstantTimeCompare(hash[:], invitation.Verifier[:]) == 1
	if !match || err != nil || !invitation.AcceptedAt.IsZero() || !now.Before(invitation.ExpiresAt) {
		return invitation, invitationInvalid()
	}
	return invitation, nil
}

func invitationInvalid() error { return &postern.Error{Code: postern.CodeInvitationInvalid} }
