package service

import (
	"encoding/json"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// record appends an event about subject to the draft's transaction. object is what the
// event shows of the resource.
func (d *draft) record(kind postern.EventType, account postern.AccountID, subject string, object any) error {
	e, err := newEvent(kind, account, d.now, object)
	if err != nil {
		return err
	}
	return d.append(e, subject)
}

// recordBy is record for a change that somebody asked for.
func (d *draft) recordBy(by Caller, kind postern.EventType, account postern.AccountID, subject string, object any) error {
	e, err := newEvent(kind, account, d.now, object)
	if err != nil {
		return err
	}
	e.Actor = by.actor()
	return d.append(e, subject)
}

func (d *draft) append(e postern.Event, subject string) error {
	seq, err := d.Outbox().Append(d.ctx, e, subject)
	if err != nil {
		return err
	}
	d.records = append(d.records, event.Record{Event: e, Seq: seq, Subject: subject})
	return nil
}

func newEvent(kind postern.EventType, account postern.AccountID, at time.Time, object any) (postern.Event, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return postern.Event{}, postern.Errorf(postern.CodeInternal, "the object of an event cannot be written").Because(err)
	}
	return postern.Event{ID: postern.EventID(newID("ev", at)), Type: kind, Account: account, At: at, Object: text}, nil
}

// The objects of events: what a reader of the outbox or an event destination is shown.
// No secret and no verifier is among it.
type (
	accountObject struct {
		ID        postern.AccountID `json:"id"`
		Name      string            `json:"name"`
		CreatedAt string            `json:"created_at"`
	}
	userObject struct {
		ID        postern.UserID `json:"id"`
		Name      string         `json:"name"`
		Email     string         `json:"email"`
		Role      postern.Role   `json:"role"`
		Active    bool           `json:"active"`
		CreatedAt string         `json:"created_at"`
	}
	invitationObject struct {
		ID        string         `json:"id"`
		Email     string         `json:"email"`
		Role      postern.Role   `json:"role"`
		InviterID postern.UserID `json:"inviter_id"`
		UserID    postern.UserID `json:"user_id"`
		ExpiresAt string         `json:"expires_at"`
		CreatedAt string         `json:"created_at"`
	}
	passkeyObject struct {
		ID          string         `json:"id"`
		UserID      postern.UserID `json:"user_id"`
		Description string         `json:"description"`
		CreatedAt   string         `json:"created_at"`
	}
	nameObject struct {
		Host         postern.Hostname     `json:"host"`
		CredentialID postern.CredentialID `json:"credential_id"`
		Assigned     bool                 `json:"assigned"`
		Endpoint     string               `json:"endpoint"`
		CreatedAt    string               `json:"created_at"`
	}
	portObject struct {
		Scheme       postern.Scheme       `json:"scheme"`
		Port         uint16               `json:"port"`
		CredentialID postern.CredentialID `json:"credential_id"`
		Assigned     bool                 `json:"assigned"`
		Endpoint     string               `json:"endpoint"`
		CreatedAt    string               `json:"created_at"`
	}
)

func showName(n store.Name) nameObject {
	return nameObject{Host: n.Host, CredentialID: n.Credential, Assigned: n.Assigned, Endpoint: n.Endpoint, CreatedAt: stamp(n.CreatedAt)}
}

func showPort(p store.Port) portObject {
	return portObject{Scheme: p.Scheme, Port: p.Port, CredentialID: p.Credential, Assigned: p.Assigned, Endpoint: p.Endpoint, CreatedAt: stamp(p.CreatedAt)}
}

func showPerson(u store.User) userObject {
	return userObject{ID: postern.UserID(u.ID), Name: u.Name, Email: u.Email, Role: u.Role, Active: u.Serves(), CreatedAt: stamp(u.CreatedAt)}
}

func showInvitation(i store.Invitation) invitationObject {
	return invitationObject{ID: i.ID, Email: i.Email, Role: i.Role, InviterID: i.Inviter, UserID: i.User,
		ExpiresAt: stamp(i.ExpiresAt), CreatedAt: stamp(i.CreatedAt)}
}

func showPasskey(p store.Passkey) passkeyObject {
	return passkeyObject{ID: p.ID, UserID: p.User, Description: p.Description, CreatedAt: stamp(p.CreatedAt)}
}

// stamp is the API's form of a time: RFC 3339, UTC, whole seconds.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
