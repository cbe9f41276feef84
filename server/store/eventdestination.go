package store

import "github.com/postern-dev/postern"

// EventDestination is where events are delivered to.
type EventDestination struct {
	Meta
	Format string
	Target []byte // the target's JSON as the API shows it, without the secret
	Secret []byte // sealed; empty where the target has none
}

// EventSubscription says which events go to which destinations.
type EventSubscription struct {
	Meta
	Sources      []postern.EventType
	Destinations EventDestinationIDs
}

// EventDestinationIDs are destinations of a subscription, by their ids. Rows can be found
// by one of them, with the filter HasDestination.
type EventDestinationIDs []string

// HasDestination is true of the subscriptions that name a destination. It is for stores
// only: in memory one can look.
func HasDestination(id string) Filter {
	return Compare{Field: "destinations", Op: Contains, Value: `"` + id + `"`}
}
