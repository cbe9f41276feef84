package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func passkeys() kind[store.Passkey, *store.Passkey] {
	return kind[store.Passkey, *store.Passkey]{
		rows: store.Tx.Passkeys,
		fill: func(ctx context.Context, tx store.Tx, p *store.Passkey, n int) error {
			user := store.User{Meta: p.Meta, Name: "person", Kind: store.Person, Role: postern.Owner, Active: true}
			user.ID = fmt.Sprint("usr_passkey_", n)
			if err := tx.Users().Create(ctx, user); err != nil {
				return err
			}
			p.User, p.CredentialID, p.PublicKey = postern.UserID(user.ID), []byte{byte(n), 0, 255}, []byte{0, 1, 2}
			p.SignCount, p.Flags, p.Transports = 1<<32-1, 0x5d, []string{"usb", "internal"}
			p.Attachment, p.AAGUID, p.CloneWarning = "platform", make([]byte, 16), true
			p.AttestationType, p.AttestationFormat = "none", "packed"
			p.Attestation = store.PasskeyAttestation{Type: "basic", Format: "packed", ClientDataJSON: []byte(`{"a":1}`), ClientDataHash: []byte{1, 0},
				AuthenticatorData: []byte{255}, PublicKeyAlgorithm: -7, Object: []byte{0}}
			return nil
		},
		change: func(p *store.Passkey) {
			p.SignCount, p.CloneWarning, p.Flags, p.UsedAt = 0, false, 0, p.UpdatedAt
			p.Transports, p.Attachment, p.AAGUID, p.Attestation = nil, "", nil, store.PasskeyAttestation{}
			p.PublicKey, p.CredentialID = []byte{9}, []byte{9, 9}
		},
	}
}

func invitations() kind[store.Invitation, *store.Invitation] {
	return kind[store.Invitation, *store.Invitation]{
		rows: store.Tx.Invitations,
		fill: func(_ context.Context, _ store.Tx, i *store.Invitation, n int) error {
			i.Email, i.Role, i.Inviter = fmt.Sprintf("p%d@example.com", n), postern.Developer, "usr_1"
			i.Verifier, i.ExpiresAt = [32]byte{byte(n), 31: 255}, i.UpdatedAt
			return nil
		},
		change: func(i *store.Invitation) {
			i.AcceptedAt, i.User, i.Role, i.Inviter = i.UpdatedAt, "usr_1", postern.ReadOnly, ""
		},
	}
}

// An address is one person's, until that one is removed.
func testEmails(t *testing.T, f *fixture) {
	mine, others := f.owner(t, 1).Account, f.owner(t, 2).Account
	person := func(id string, account postern.AccountID) store.User {
		return store.User{
			Meta: store.Meta{ID: id, Account: account, CreatedAt: f.now, UpdatedAt: f.now},
			Name: "person", Kind: store.Person, Role: postern.Admin, Active: true, Email: "a@example.com",
		}
	}
	create := func(u store.User) error {
		return f.Write(t.Context(), func(tx store.Tx) error { return tx.Users().Create(t.Context(), u) })
	}
	first := person("usr_first", mine)
	if err := create(first); err != nil {
		t.Fatal(err)
	}
	fails(t, create(person("usr_second", others)), postern.CodeConflict)
	first.RemovedAt = f.now
	f.write(t, func(ctx context.Context, tx store.Tx) error { return tx.Users().Update(ctx, first) })
	if err := create(person("usr_second", others)); err != nil {
		t.Errorf("after the first was removed: %v", err)
	}
}
