package store

import (
	"context"
	"errors"
)

// Store is a database. All methods may be called concurrently.
type Store interface {
	// Read runs fn in a read-only transaction. An error of fn is returned as it is.
	// A write within fn fails.
	Read(ctx context.Context, fn func(Tx) error) error

	// Write runs fn in a transaction and commits it when fn returns nil; otherwise it
	// rolls back and returns fn's error. fn may be called again after a rollback, when
	// the database found two transactions in each other's way: it must have no effect
	// but through its Tx, and must set its results anew each time. Write blocks while
	// another Write runs, as long as ctx allows.
	Write(ctx context.Context, fn func(Tx) error) error

	// Close waits for transactions that run and releases the database. Calls after it
	// fail with CodeStoreUnavailable.
	Close() error
}

// ErrInDoubt is in the chain of an error of Write where nobody knows whether the
// transaction was committed, because the connection broke in between.
var ErrInDoubt = errors.New("store: it is not known whether the transaction was committed")

// Tx is one transaction. It and what it returns are for one goroutine, and only
// until the function that got it returns.
type Tx interface {
	Accounts() Accounts
	Names() Names
	Ports() Ports
	Settings() Settings
	Outbox() Outbox
	Cursors() Cursors
	Limits() Limits

	Users() Rows[User]
	Passkeys() Rows[Passkey]
	Invitations() Rows[Invitation]
	Credentials() Rows[Credential]
	APIKeys() Rows[APIKey]
	SSHCredentials() Rows[SSHCredential]
	ApplicationUsers() Rows[ApplicationUser]
	ApplicationSessions() Rows[ApplicationSession]
	IPPolicies() Rows[IPPolicy]
	Vaults() Rows[Vault]
	VaultSecrets() Rows[VaultSecret]
	IPPolicyRules() Rows[IPPolicyRule]
	IPRestrictions() Rows[IPRestriction]
	TLSCertificates() Rows[TLSCertificate]
	CertificateJobs() Rows[CertificateJob]
	ACMEAccounts() Rows[ACMEAccount]
	ACMEChallenges() Rows[ACMEChallenge]
	CertificateAuthorities() Rows[CertificateAuthority]
	SSHCertificateAuthorities() Rows[SSHCertificateAuthority]
	SSHHostCertificates() Rows[SSHCertificate]
	SSHUserCertificates() Rows[SSHCertificate]
	ReservedDomains() Rows[ReservedDomain]
	ReservedAddrs() Rows[ReservedAddr]
	AgentIngresses() Rows[AgentIngress]
	EventDestinations() Rows[EventDestination]
	EventSubscriptions() Rows[EventSubscription]
	CloudEndpoints() Rows[CloudEndpoint]
	KubernetesOperators() Rows[KubernetesOperator]
	Gateways() Rows[Gateway]
	GatewayTokens() Rows[GatewayToken]
}
