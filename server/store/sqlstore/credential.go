package sqlstore

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func (t tx) Credentials() store.Rows[store.Credential] {
	return rowsOf(t, table[store.Credential, *store.Credential]{
		name: "credentials", what: "credential",
		columns: headColumns(append(keyColumns(), column{"acl", opaque}, column{"revoked_at", moment})...),
		fields: func(c *store.Credential) []any {
			return headFields(&c.Meta, append(keyFields(&c.Owner, &c.Verifier, &c.Rotation), rules{&c.ACL}, maybe{&c.RevokedAt})...)
		},
	})
}

func (t tx) APIKeys() store.Rows[store.APIKey] {
	return rowsOf(t, table[store.APIKey, *store.APIKey]{
		name: "api_keys", what: "API key", columns: headColumns(keyColumns()...),
		fields: func(k *store.APIKey) []any {
			return headFields(&k.Meta, keyFields(&k.Owner, &k.Verifier, &k.Rotation)...)
		},
	})
}

// keyColumns are what all that lets somebody in has.
func keyColumns() []column {
	return []column{
		{"owner_id", text}, {"verifier", opaque}, {"rotated_at", moment}, {"previous_verifier", opaque}, {"previous_until", moment},
	}
}

func keyFields(owner *postern.UserID, verifier *[32]byte, r *postern.Rotation) []any {
	return []any{owner, hashed{verifier}, maybe{&r.At}, overlapping{&r.Previous, &r.Until}, maybe{&r.Until}}
}

// overlapping is the verifier that a rotation has replaced, NULL where it is no good. One
// without its end, which only an edited database has, is good for nobody.
type overlapping struct {
	hash  *[32]byte
	until *time.Time
}

func (o overlapping) Value() (driver.Value, error) {
	if o.until.IsZero() {
		return nil, nil //nolint:nilnil // NULL
	}
	return o.hash[:], nil
}

func (o overlapping) Scan(from any) error {
	*o.hash = [32]byte{}
	if from == nil {
		return nil
	}
	return hashed{o.hash}.Scan(from)
}

// rules is an ACL in a column of JSON. It fails closed: a credential whose rules cannot be
// read must not turn into one without rules, which may do everything.
type rules struct{ acl *postern.ACL }

func (r rules) Value() (driver.Value, error) {
	text, err := json.Marshal(r.acl.Strings())
	return string(text), err
}

func (r rules) Scan(from any) error {
	var stored sql.NullString
	if err := stored.Scan(from); err != nil {
		return err
	}
	var texts []string
	if err := json.Unmarshal([]byte(stored.String), &texts); err != nil || texts == nil { // nil: the text was "null"
		return postern.Errorf(postern.CodeInternal, "a stored ACL cannot be read").Because(errors.Join(err, errNoRules))
	}
	acl, err := postern.ParseACL(texts)
	if err != nil {
		return err
	}
	*r.acl = acl
	return nil
}

var errNoRules = errors.New("not a list of rules")
