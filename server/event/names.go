package event

import "github.com/postern-dev/postern"

// The types of events about what accounts reserve, and who may come from where.
const (
	DomainCreated postern.EventType = "domain_created.v0"
	DomainUpdated postern.EventType = "domain_updated.v0"
	DomainDeleted postern.EventType = "domain_deleted.v0"

	AddressCreated postern.EventType = "tcp_address_created.v0"
	AddressUpdated postern.EventType = "tcp_address_updated.v0"
	AddressDeleted postern.EventType = "tcp_address_deleted.v0"

	IngressCreated postern.EventType = "agent_ingress_created.v0"
	IngressUpdated postern.EventType = "agent_ingress_updated.v0"
	IngressDeleted postern.EventType = "agent_ingress_deleted.v0"

	IPPolicyRuleCreated postern.EventType = "ip_policy_rule_created.v0"
	IPPolicyRuleUpdated postern.EventType = "ip_policy_rule_updated.v0"
	IPPolicyRuleDeleted postern.EventType = "ip_policy_rule_deleted.v0"

	IPRestrictionCreated postern.EventType = "ip_restriction_created.v0"
	IPRestrictionUpdated postern.EventType = "ip_restriction_updated.v0"
	IPRestrictionDeleted postern.EventType = "ip_restriction_deleted.v0"
)
