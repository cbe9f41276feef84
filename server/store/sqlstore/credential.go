package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
	"github.com/postern-dev/postern/server/store/sqlstore/internal/query"
)

type credentials struct{ q *query.Queries }

func (c credentials) Create(ctx context.Context, credential postern.Credential) error {
	acl, err := rules(credential.ACL)
	if err != nil {
		return err
	}
	return translate(c.q.CreateCredential(ctx, query.CreateCredentialParams{
		ID: credential.ID, AccountID: credential.Account, OwnerID: credential.Owner,
		Description: credential.Description, Metadata: credential.Metadata,
		Acl: acl, Verifier: credential.Verifier[:], CreatedAt: credential.CreatedAt.UnixMicro(),
	}))
}

func (c credentials) Get(ctx context.Context, id postern.CredentialID) (store.Credential, error) {
	row, err := c.q.GetCredential(ctx, id)
	if err != nil {
		return store.Credential{}, found(err, "credential", id)
	}
	return credentialOf(row)
}

func (c credentials) List(ctx context.Context, after postern.CredentialID, limit int) ([]postern.Credential, error) {
	rows, err := c.q.ListCredentials(ctx, query.ListCredentialsParams{After: after, Most: most(limit)})
	if err != nil {
		return nil, translate(err)
	}
	list := make([]postern.Credential, len(rows))
	for i, row := range rows {
		stored, err := credentialOf(row)
		if err != nil {
			return nil, err
		}
		list[i] = stored.Credential
	}
	return list, nil
}

func (c credentials) Update(ctx context.Context, credential postern.Credential) error {
	acl, err := rules(credential.ACL)
	if err != nil {
		return err
	}
	changed, err := c.q.UpdateCredential(ctx, query.UpdateCredentialParams{
		ID: credential.ID, Description: credential.Description, Metadata: credential.Metadata, Acl: acl,
	})
	if err == nil && changed == 0 {
		err = sql.ErrNoRows
	}
	return found(err, "valid credential", credential.ID)
}

func (c credentials) Rotate(ctx context.Context, id postern.CredentialID, verifier [32]byte, r postern.Rotation) error {
	rotated := rotationColumns(r)
	changed, err := c.q.RotateCredential(ctx, query.RotateCredentialParams{
		ID: id, Verifier: verifier[:], RotatedAt: rotated.at, PreviousVerifier: rotated.previous, PreviousUntil: rotated.until,
	})
	if err == nil && changed == 0 {
		err = sql.ErrNoRows
	}
	return found(err, "valid credential", id)
}

func (c credentials) Revoke(ctx context.Context, id postern.CredentialID, at time.Time) error {
	changed, err := c.q.RevokeCredential(ctx, query.RevokeCredentialParams{
		ID: id, RevokedAt: sql.NullInt64{Int64: at.UnixMicro(), Valid: true},
	})
	if err == nil && changed == 0 {
		err = sql.ErrNoRows
	}
	return found(err, "valid credential", id)
}

// rules is an ACL as it is stored.
func rules(acl postern.ACL) (string, error) {
	text, err := json.Marshal(acl.Strings())
	if err != nil {
		return "", postern.Errorf(postern.CodeACLInvalid, "the ACL cannot be stored").Because(err)
	}
	return string(text), nil
}

// credentialOf fails closed: a credential whose rules cannot be read must not turn
// into one without rules, which may do everything.
func credentialOf(row query.Credential) (store.Credential, error) {
	c := store.Credential{Credential: postern.Credential{
		ID: row.ID, Account: row.AccountID, Owner: row.OwnerID,
		Description: row.Description, Metadata: row.Metadata, CreatedAt: instant(row.CreatedAt),
	}}
	if row.RevokedAt.Valid {
		c.RevokedAt = instant(row.RevokedAt.Int64)
	}
	var rules []string
	if err := json.Unmarshal([]byte(row.Acl), &rules); err != nil || rules == nil { // nil: the text was "null"
		return store.Credential{}, postern.Errorf(postern.CodeInternal, "the stored ACL of %q cannot be read", row.ID).Because(err)
	}
	acl, err := postern.ParseACL(rules)
	if err != nil {
		return store.Credential{}, err
	}
	c.ACL = acl
	return c, errors.Join(verifier(&c.Verifier, row.Verifier),
		rotation(&c.Rotation, row.RotatedAt, row.PreviousVerifier, row.PreviousUntil))
}
