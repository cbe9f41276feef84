package storetest

import (
	"context"
	"fmt"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

// resources are the tests of every kind of resource.
func resources() map[string]func(*testing.T, *fixture) {
	return map[string]func(*testing.T, *fixture){
		"users":                   testRows(users()),
		"addresses":               testEmails,
		"passkeys":                testRows(passkeys()),
		"invitations":             testRows(invitations()),
		"credentials":             testRows(credentials()),
		"API keys":                testRows(apiKeys()),
		"SSH credentials":         testRows(sshCredentials()),
		"application users":       testRows(applicationUsers()),
		"application sessions":    testRows(applicationSessions()),
		"IP policies":             testRows(kind[store.IPPolicy, *store.IPPolicy]{rows: store.Tx.IPPolicies}),
		"rules":                   testRows(ipPolicyRules()),
		"IP restrictions":         testRows(ipRestrictions()),
		"reserved domains":        testRows(reservedDomains()),
		"reserved addrs":          testRows(reservedAddrs()),
		"agent ingresses":         testRows(agentIngresses()),
		"vaults":                  testRows(vaults()),
		"secrets":                 testRows(vaultSecrets()),
		"TLS certificates":        testRows(tlsCertificates()),
		"certificate jobs":        testRows(certificateJobs()),
		"ACME accounts":           testRows(acmeAccounts()),
		"ACME challenges":         testRows(acmeChallenges()),
		"certificate authorities": testRows(certificateAuthorities()),

		"event destinations":          testRows(eventDestinations()),
		"event subscriptions":         testRows(eventSubscriptions()),
		"SSH certificate authorities": testRows(sshAuthorities()),
		"SSH host certificates":       testRows(sshCertificates(store.Tx.SSHHostCertificates)),
		"SSH user certificates":       testRows(sshCertificates(store.Tx.SSHUserCertificates)),

		"cloud endpoints":      testRows(cloudEndpoints()),
		"Kubernetes operators": testRows(kubernetesOperators()),

		"gateways":         testRows(gateways()),
		"gateway tokens":   testRows(gatewayTokens()),
		"keys of gateways": testGatewayKeys,
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
