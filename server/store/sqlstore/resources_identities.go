package sqlstore

import "github.com/postern-dev/postern/server/store"

func (t tx) SSHCredentials() store.Rows[store.SSHCredential] {
	return rowsOf(t, table[store.SSHCredential, *store.SSHCredential]{
		name: "ssh_credentials", what: "SSH credential",
		columns: headColumns(column{"owner_id", text}, column{"public_key", text}, column{"fingerprint", text}, column{"acl", opaque}),
		fields: func(c *store.SSHCredential) []any {
			return headFields(&c.Meta, &c.Owner, &c.PublicKey, &c.Fingerprint, rules{&c.ACL})
		},
	})
}

func (t tx) ApplicationUsers() store.Rows[store.ApplicationUser] {
	return rowsOf(t, table[store.ApplicationUser, *store.ApplicationUser]{
		name: "application_users", what: "application user",
		columns: headColumns(column{"provider", text}, column{"provider_url", text}, column{"provider_user_id", text}, column{"username", text},
			column{"email", text}, column{"name", text}, column{"last_active", moment}, column{"last_login", moment}),
		fields: func(u *store.ApplicationUser) []any {
			return headFields(&u.Meta, &u.Provider, &u.ProviderURL, &u.ProviderUserID, &u.Username,
				&u.Email, &u.Name, micros{&u.LastActive}, micros{&u.LastLogin})
		},
	})
}

func (t tx) ApplicationSessions() store.Rows[store.ApplicationSession] {
	return rowsOf(t, table[store.ApplicationSession, *store.ApplicationSession]{
		name: "application_sessions", what: "application session",
		columns: headColumns(column{"user_id", text}, column{"public_url", text}, column{"endpoint_id", text}, column{"browser", opaque},
			column{"last_active", moment}, column{"expires_at", moment}),
		fields: func(s *store.ApplicationSession) []any {
			return headFields(&s.Meta, &s.User, &s.PublicURL, &s.Endpoint, document[store.Browser]{&s.Browser},
				micros{&s.LastActive}, micros{&s.ExpiresAt})
		},
	})
}
