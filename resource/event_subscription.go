package resource

import (
	"net/http"
	"reflect"
)

// EventSubscription says which events go to which destinations.
type EventSubscription struct {
	Identity
	Notes
	Sources      []EventSource `json:"sources" doc:"The types of events that it is about."`
	Destinations []Ref         `json:"destinations" doc:"Where they go."`
}

// EventSource is a type of events that a subscription is about.
type EventSource struct {
	Type string `json:"type" doc:"The type of events, such as ip_policy_created.v0."`
	URI  string `json:"uri" doc:"Its address in this API."`
}

// EventSourceGiven names a type of events.
type EventSourceGiven struct {
	Type string `json:"type,omitzero" api:"required,checked" doc:"The type of events, such as ip_policy_created.v0."`
}

// EventSubscriptionCreate makes an EventSubscription.
type EventSubscriptionCreate struct {
	Description    string             `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata       string             `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Sources        []EventSourceGiven `json:"sources,omitzero" doc:"The types of events that it is to be about, each once."`
	DestinationIDs []string           `json:"destination_ids,omitzero" doc:"The ids of the event destinations to which they are to go."`
}

// EventSubscriptionUpdate changes an EventSubscription; what is nil stays.
type EventSubscriptionUpdate struct {
	Description    *string             `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata       *string             `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Sources        *[]EventSourceGiven `json:"sources,omitzero" doc:"The types of events that it is to be about, all of them."`
	DestinationIDs *[]string           `json:"destination_ids,omitzero" doc:"The ids of the event destinations to which they are to go, all of them."`
}

// EventSubscriptions are what the account wants to be told.
func EventSubscriptions() Collection[EventSubscription, EventSubscriptionCreate, EventSubscriptionUpdate] {
	source, given := reflect.TypeFor[EventSource](), reflect.TypeFor[EventSourceGiven]()
	return Define[EventSubscription, EventSubscriptionCreate, EventSubscriptionUpdate](Definition{
		Name: "event_subscriptions", Singular: "event subscription", Prefixes: []string{"esb"}, Operations: All,
		Routes: []Route{
			{Method: http.MethodPost, Path: "/{id}/sources", Doc: "Adds a type of events.", Body: given, Answer: source, Status: http.StatusCreated},
			{Method: http.MethodGet, Path: "/{id}/sources", Doc: "The types of events of one subscription, all at once.", Answer: source, Status: http.StatusOK, ListKey: "sources"},
			{Method: http.MethodGet, Path: "/{id}/sources/{type}", Doc: "One type of events.", Answer: source, Status: http.StatusOK},
			{Method: http.MethodPatch, Path: "/{id}/sources/{type}", Doc: "Puts another type of events in its place.", Body: given, Answer: source, Status: http.StatusOK},
			{Method: http.MethodDelete, Path: "/{id}/sources/{type}", Doc: "Removes a type of events.", Status: http.StatusNoContent},
		},
		Doc: "Which events go to which destinations.",
	})
}
