package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func sshCredentials() kind[store.SSHCredential, *store.SSHCredential] {
	return kind[store.SSHCredential, *store.SSHCredential]{
		rows: store.Tx.SSHCredentials,
		fill: func(_ context.Context, _ store.Tx, c *store.SSHCredential, n int) (err error) {
			c.Owner, c.PublicKey, c.Fingerprint = ownerOf(c.Account), fmt.Sprint("ssh-ed25519 AAAA", n), fmt.Sprint("SHA256:", n)
			c.ACL, err = postern.ParseACL([]string{"bind:*.c1.example.com"})
			return err
		},
		change: func(c *store.SSHCredential) { c.ACL = nil },
	}
}

func applicationUsers() kind[store.ApplicationUser, *store.ApplicationUser] {
	return kind[store.ApplicationUser, *store.ApplicationUser]{
		rows: store.Tx.ApplicationUsers,
		fill: func(_ context.Context, _ store.Tx, u *store.ApplicationUser, n int) error {
			u.Provider, u.ProviderURL, u.ProviderUserID = "google", "https://accounts.google.com", fmt.Sprint(n)
			u.Username, u.Email, u.Name, u.LastActive, u.LastLogin = "ann", "ann@example.com", "Änn", u.CreatedAt, u.CreatedAt
			return nil
		},
		change: func(u *store.ApplicationUser) { u.Name, u.LastActive = "Ann", u.UpdatedAt },
	}
}

func applicationSessions() kind[store.ApplicationSession, *store.ApplicationSession] {
	return kind[store.ApplicationSession, *store.ApplicationSession]{
		rows: store.Tx.ApplicationSessions,
		fill: func(ctx context.Context, tx store.Tx, s *store.ApplicationSession, n int) error {
			s.User, s.PublicURL, s.Endpoint = fmt.Sprint("appusr_", n), "https://a.example.com", "ep_1"
			s.Browser = store.Browser{Raw: "Mozilla/5.0", Address: "2001:db8::1", Location: &store.Location{Country: "PT", Latitude: 38.7, Radius: 10}}
			s.LastActive, s.ExpiresAt = s.CreatedAt, s.CreatedAt.Add(time.Hour)
			user := store.ApplicationUser{Meta: store.Meta{ID: s.User, Account: s.Account}, ProviderUserID: s.User}
			if _, err := tx.ApplicationUsers().Get(ctx, s.Account, s.User); err == nil {
				return nil
			}
			return tx.ApplicationUsers().Create(ctx, user)
		},
		change: func(s *store.ApplicationSession) { s.Browser, s.LastActive = store.Browser{}, s.UpdatedAt },
	}
}
