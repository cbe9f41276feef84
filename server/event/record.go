package event

import "github.com/postern-dev/postern"

// Record is an event as the outbox keeps it.
type Record struct {
	postern.Event

	// Seq orders the outbox: records are committed in its order, without gaps, on
	// every node. It is assigned by the store.
	Seq int64

	// Subject is the id (or name, or port) of the resource that changed, so that a
	// subscriber need not parse Object to see whether it is concerned.
	Subject string
}

// The types of events. Names follow ngrok's, where ngrok has the event.
const (
	AccountCreated              postern.EventType = "account_created.v0"
	UserCreated                 postern.EventType = "user_created.v0"
	UserUpdated                 postern.EventType = "user_updated.v0"
	UserDeleted                 postern.EventType = "user_deleted.v0"
	InvitationCreated           postern.EventType = "invitation_created.v0"
	InvitationAccepted          postern.EventType = "invitation_accepted.v0"
	InvitationDeleted           postern.EventType = "invitation_deleted.v0"
	PasskeyCreated              postern.EventType = "passkey_created.v0"
	PasskeyDeleted              postern.EventType = "passkey_deleted.v0"
	APIKeyCreated               postern.EventType = "api_key_created.v0"
	APIKeyUpdated               postern.EventType = "api_key_updated.v0"
	APIKeyDeleted               postern.EventType = "api_key_deleted.v0"
	CredentialCreated           postern.EventType = "tunnel_credential_created.v0"
	IPPolicyCreated             postern.EventType = "ip_policy_created.v0"
	IPPolicyUpdated             postern.EventType = "ip_policy_updated.v0"
	IPPolicyDeleted             postern.EventType = "ip_policy_deleted.v0"
	LimitsUpdated               postern.EventType = "limits_updated.v0" // Subject is the account's or credential's id
	CredentialUpdated           postern.EventType = "tunnel_credential_updated.v0"
	CredentialRevoked           postern.EventType = "tunnel_credential_deleted.v0"
	VaultCreated                postern.EventType = "vault_created.v0"
	VaultUpdated                postern.EventType = "vault_updated.v0"
	VaultDeleted                postern.EventType = "vault_deleted.v0"
	SecretCreated               postern.EventType = "secret_created.v0"
	SecretUpdated               postern.EventType = "secret_updated.v0"
	SecretDeleted               postern.EventType = "secret_deleted.v0"
	TLSCertificateCreated       postern.EventType = "tls_certificate_created.v0"
	TLSCertificateUpdated       postern.EventType = "tls_certificate_updated.v0"
	TLSCertificateDeleted       postern.EventType = "tls_certificate_deleted.v0"
	CertificateAuthorityCreated postern.EventType = "certificate_authority_created.v0"
	CertificateAuthorityUpdated postern.EventType = "certificate_authority_updated.v0"
	CertificateAuthorityDeleted postern.EventType = "certificate_authority_deleted.v0"
	AgentSessionStarted         postern.EventType = "agent_session_start.v0"
	AgentSessionStopped         postern.EventType = "agent_session_stop.v0"
	NameClaimed                 postern.EventType = "name_claimed.v0" // Subject is the hostname
	PortClaimed                 postern.EventType = "port_claimed.v0" // Subject is the port in decimal

	EventDestinationCreated        postern.EventType = "event_destination_created.v0"
	EventDestinationUpdated        postern.EventType = "event_destination_updated.v0"
	EventDestinationDeleted        postern.EventType = "event_destination_deleted.v0"
	EventSubscriptionCreated       postern.EventType = "event_subscription_created.v0"
	EventSubscriptionUpdated       postern.EventType = "event_subscription_updated.v0"
	EventSubscriptionDeleted       postern.EventType = "event_subscription_deleted.v0"
	SSHCertificateAuthorityCreated postern.EventType = "ssh_certificate_authority_created.v0"
	SSHCertificateAuthorityUpdated postern.EventType = "ssh_certificate_authority_updated.v0"
	SSHCertificateAuthorityDeleted postern.EventType = "ssh_certificate_authority_deleted.v0"
	SSHHostCertificateCreated      postern.EventType = "ssh_host_certificate_created.v0"
	SSHHostCertificateUpdated      postern.EventType = "ssh_host_certificate_updated.v0"
	SSHHostCertificateDeleted      postern.EventType = "ssh_host_certificate_deleted.v0"
	SSHUserCertificateCreated      postern.EventType = "ssh_user_certificate_created.v0"
	SSHUserCertificateUpdated      postern.EventType = "ssh_user_certificate_updated.v0"
	SSHUserCertificateDeleted      postern.EventType = "ssh_user_certificate_deleted.v0"

	EndpointCreated postern.EventType = "endpoint_created.v0" // of cloud endpoints; ngrok has none of these
	EndpointUpdated postern.EventType = "endpoint_updated.v0"
	EndpointDeleted postern.EventType = "endpoint_deleted.v0"

	KubernetesOperatorCreated postern.EventType = "kubernetes_operator_created.v0" // ngrok has none of these
	KubernetesOperatorUpdated postern.EventType = "kubernetes_operator_updated.v0"
	KubernetesOperatorDeleted postern.EventType = "kubernetes_operator_deleted.v0"

	GatewayCreated      postern.EventType = "private_gateway_created.v0" // ngrok has none of these
	GatewayUpdated      postern.EventType = "private_gateway_updated.v0"
	GatewayDeleted      postern.EventType = "private_gateway_deleted.v0"
	GatewayTokenCreated postern.EventType = "private_gateway_token_created.v0"
	GatewayTokenUpdated postern.EventType = "private_gateway_token_updated.v0"
	GatewayTokenDeleted postern.EventType = "private_gateway_token_deleted.v0"
	GatewayTokenRotated postern.EventType = "private_gateway_token_rotated.v0"
)
