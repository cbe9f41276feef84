package event

import "github.com/postern-dev/postern"

// The types of events about who may do something.
const (
	ServiceUserCreated postern.EventType = "service_user_created.v0"
	ServiceUserUpdated postern.EventType = "service_user_updated.v0"
	ServiceUserDeleted postern.EventType = "service_user_deleted.v0"

	SSHCredentialCreated postern.EventType = "ssh_public_key_created.v0"
	SSHCredentialUpdated postern.EventType = "ssh_public_key_updated.v0"
	SSHCredentialDeleted postern.EventType = "ssh_public_key_deleted.v0"

	ApplicationUserDeleted    postern.EventType = "application_user_deleted.v0"
	ApplicationSessionDeleted postern.EventType = "application_session_deleted.v0"

	// CredentialUnrestricted comes beside CredentialUpdated where a credential that had
	// limits has none any more.
	CredentialUnrestricted postern.EventType = "tunnel_credential_unrestricted.v0"
)
