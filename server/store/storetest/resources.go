package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// resources are the tests of every kind of resource.
func resources() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"users":            testRows(users()),
		"addresses":        testEmails,
		"passkeys":         testRows(passkeys()),
		"invitations":      testRows(invitations()),
		"IP policies":      testRows(kind[store.IPPolicy, *store.IPPolicy]{rows: store.Tx.IPPolicies}),
		"reserved domains": testRows(reservedDomains()),
		"vaults":           testRows(vaults()),
		"secrets":          testRows(vaultSecrets()),
	}
}

func users() kind[store.User, *store.User] {
	return kind[store.User, *store.User]{
		rows: store.Tx.Users,
		fill: func(_ context.Context, _ store.Tx, u *store.User, n int) error {
			u.Name, u.Kind, u.Role, u.Active = fmt.Sprint("bot ", n), store.ServiceUser, postern.Developer, true
			if n > 2 {
				u.Kind, u.Email, u.Password, u.PasswordAt = store.Person, fmt.Sprintf("p%d@example.com", n), "$argon2id$", u.CreatedAt
			}
			return nil
		},
		change: func(u *store.User) {
			u.Name, u.Role, u.Active, u.RemovedAt = "bot 99", postern.ReadOnly, false, u.UpdatedAt
			u.Email, u.Password, u.PasswordAt = "other@example.com", "$argon2id$v=19$", u.UpdatedAt
		},
	}
}

func reservedDomains() kind[store.ReservedDomain, *store.ReservedDomain] {
	return kind[store.ReservedDomain, *store.ReservedDomain]{
		rows: store.Tx.ReservedDomains,
		fill: func(_ context.Context, _ store.Tx, d *store.ReservedDomain, n int) error {
			d.Domain, d.ResolvesTo = postern.Hostname(fmt.Sprintf("*.d%d.example.org", n)), []string{"global", "eu"}
			d.Certificate, d.CNAMETarget, d.ACMETarget = "cert_1", "a.dns.example.com", "b.acme.dns.example.com"
			d.Policy, d.PolicySince = store.CertificatePolicy{Authority: "letsencrypt", KeyType: "ecdsa"}, d.CreatedAt
			return nil
		},
		change: func(d *store.ReservedDomain) {
			d.Certificate, d.Policy, d.PolicySince = "", store.CertificatePolicy{}, time.Time{}
			d.ResolvesTo = []string{"global"}
		},
	}
}
