package event

import (
	"slices"

	"github.com/postern-dev/postern"
)

// Sources lists the types of events that may be subscribed to, sorted: the ones that
// ngrok has, 55. Of resources that this server does not have there are never events. The
// server's own types, such as NameClaimed, are for its own parts.
func Sources() []postern.EventType {
	types := []postern.EventType{AgentSessionStarted, AgentSessionStopped, "http_request_complete.v0", "tcp_connection_closed.v0"}
	for _, kind := range []string{
		"api_key", "certificate_authority", "domain", "event_destination", "event_subscription", "ip_policy", "ip_policy_rule",
		"ip_restriction", "secret", "ssh_certificate_authority", "ssh_host_certificate", "ssh_public_key", "ssh_user_certificate",
		"tcp_address", "tls_certificate", "tunnel_credential", "vault",
	} {
		for _, change := range []string{"created", "updated", "deleted"} {
			types = append(types, postern.EventType(kind+"_"+change+".v0"))
		}
	}
	slices.Sort(types)
	return types
}
