package sqlstore

import (
	"database/sql/driver"
	"slices"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func (t tx) Users() store.Rows[store.User] {
	return rowsOf(t, table[store.User, *store.User]{
		name: "users", what: "user",
		columns: headColumns(column{"name", text}, column{"kind", text}, column{"role", text}, column{"active", boolean}, column{"removed_at", moment},
			column{"email", text}, column{"password", opaque}, column{"password_at", moment}),
		fields: func(u *store.User) []any {
			return headFields(&u.Meta, &u.Name, &u.Kind, &u.Role, &u.Active, maybe{&u.RemovedAt}, &u.Email, &u.Password, maybe{&u.PasswordAt})
		},
	})
}

func (t tx) Passkeys() store.Rows[store.Passkey] {
	return rowsOf(t, table[store.Passkey, *store.Passkey]{
		name: "passkeys", what: "passkey",
		columns: headColumns(column{"user_id", text}, column{"credential_id", opaque}, column{"public_key", opaque}, column{"sign_count", number},
			column{"clone_warning", boolean}, column{"flags", number}, column{"transports", opaque}, column{"attachment", text},
			column{"aaguid", opaque}, column{"attestation_type", text}, column{"attestation_format", text}, column{"attestation", opaque},
			column{"used_at", moment}),
		fields: func(p *store.Passkey) []any {
			return headFields(&p.Meta, &p.User, blob{&p.CredentialID}, blob{&p.PublicKey}, &p.SignCount,
				&p.CloneWarning, &p.Flags, document[[]string]{&p.Transports}, &p.Attachment,
				blob{&p.AAGUID}, &p.AttestationType, &p.AttestationFormat, document[store.PasskeyAttestation]{&p.Attestation},
				maybe{&p.UsedAt})
		},
	})
}

func (t tx) Invitations() store.Rows[store.Invitation] {
	return rowsOf(t, table[store.Invitation, *store.Invitation]{
		name: "invitations", what: "invitation",
		columns: headColumns(column{"email", text}, column{"role", text}, column{"inviter", text}, column{"verifier", opaque},
			column{"expires_at", moment}, column{"accepted_at", moment}, column{"user_id", text}),
		fields: func(i *store.Invitation) []any {
			return headFields(&i.Meta, &i.Email, &i.Role, &i.Inviter, hashed{&i.Verifier},
				micros{&i.ExpiresAt}, maybe{&i.AcceptedAt}, orNull[postern.UserID]{&i.User})
		},
	})
}

// blob is bytes in a column that is never NULL, also where there are none.
type blob struct{ of *[]byte }

func (b blob) Value() (driver.Value, error) {
	if *b.of == nil {
		return []byte{}, nil
	}
	return *b.of, nil
}

func (b blob) Scan(from any) error {
	*b.of = nil
	if stored, ok := from.([]byte); ok && len(stored) > 0 {
		*b.of = slices.Clone(stored)
	}
	return nil
}
