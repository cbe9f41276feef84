package event

import "github.com/postern-dev/postern"

// The types of events about names and addresses that accounts reserve.
const (
	DomainCreated postern.EventType = "domain_created.v0"
	DomainUpdated postern.EventType = "domain_updated.v0"
	DomainDeleted postern.EventType = "domain_deleted.v0"
)
