package service

import (
	"context"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// EventSubscriptions are the use cases of event subscriptions.
type EventSubscriptions = Collection[store.EventSubscription, resource.EventSubscription, resource.EventSubscriptionCreate, resource.EventSubscriptionUpdate, *store.EventSubscription]

// maxDestinations bounds those of one subscription.
const maxDestinations = 100

// EventSubscriptions returns the use cases of event subscriptions.
func (s *Service) EventSubscriptions() *EventSubscriptions {
	definition := resource.EventSubscriptions().Definition
	return &EventSubscriptions{
		service: s, definition: definition, rows: store.Tx.EventSubscriptions,
		events: eventTypes{event.EventSubscriptionCreated, event.EventSubscriptionUpdated, event.EventSubscriptionDeleted},
		build: func(d *draft, by Caller, row *store.EventSubscription, c resource.EventSubscriptionCreate) error {
			row.Description, row.Metadata = c.Description, c.Metadata
			if err := setSources(row, c.Sources); err != nil {
				return err
			}
			return setDestinations(d, by, row, c.DestinationIDs)
		},
		change: func(d *draft, by Caller, row *store.EventSubscription, u resource.EventSubscriptionUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			if u.Sources != nil {
				if err := setSources(row, *u.Sources); err != nil {
					return err
				}
			}
			if u.DestinationIDs == nil {
				return nil
			}
			return setDestinations(d, by, row, *u.DestinationIDs)
		},
		show: func(_ reader, row *store.EventSubscription) (resource.EventSubscription, error) {
			shown := resource.EventSubscription{Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta),
				Sources: s.sourcesOf(row), Destinations: make([]resource.Ref, len(row.Destinations))}
			for i, id := range row.Destinations {
				shown.Destinations[i] = *s.ref(resource.EventDestinations().Definition, id)
			}
			return shown, nil
		},
	}
}

func (s *Service) sourcesOf(row *store.EventSubscription) []resource.EventSource {
	sources := make([]resource.EventSource, len(row.Sources))
	for i, kind := range row.Sources {
		sources[i] = s.source(row, kind)
	}
	return sources
}

func (s *Service) source(row *store.EventSubscription, kind postern.EventType) resource.EventSource {
	return resource.EventSource{Type: string(kind), URI: s.uri(resource.EventSubscriptions().Definition, row.ID) + "/sources/" + string(kind)}
}

func setSources(row *store.EventSubscription, given []resource.EventSourceGiven) error {
	row.Sources = []postern.EventType{}
	for _, source := range given {
		if err := addSource(row, source.Type); err != nil {
			return err
		}
	}
	return nil
}

func addSource(row *store.EventSubscription, kind string) error {
	known := event.Sources()
	if !slices.Contains(known, postern.EventType(kind)) {
		words := make([]string, len(known))
		for i, one := range known {
			words[i] = string(one)
		}
		return postern.Errorf(postern.CodeEventTypeUnknown, "there is no type of events %q; there are: %s", clip(kind), strings.Join(words, ", "))
	}
	if slices.Contains(row.Sources, postern.EventType(kind)) {
		return postern.Errorf(postern.CodeEventSourceRepeated, "the subscription has %s already", kind)
	}
	row.Sources = append(row.Sources, postern.EventType(kind))
	return nil
}

func setDestinations(d *draft, by Caller, row *store.EventSubscription, ids []string) error {
	if len(ids) > maxDestinations {
		return postern.Errorf(postern.CodeValueInvalid, "the field \"destination_ids\" has %d ids; at most %d are allowed", len(ids), maxDestinations)
	}
	row.Destinations = store.EventDestinationIDs{}
	for _, id := range ids {
		if slices.Contains(row.Destinations, id) {
			continue
		}
		switch _, err := d.EventDestinations().Get(d.ctx, by.Account, id); {
		case postern.HasCode(err, postern.CodeNotFound):
			return postern.Errorf(postern.CodeEventDestinationUnknown, "the account has no event destination %q", clip(id))
		case err != nil:
			return err
		}
		row.Destinations = append(row.Destinations, id)
	}
	return nil
}

// EventSources returns the sources of a subscription.
func (s *Service) EventSources(ctx context.Context, by Caller, id string) ([]resource.EventSource, error) {
	shown, err := s.EventSubscriptions().Get(ctx, by, id)
	return shown.Sources, err
}

// EventSource returns one of them; CodeNotFound.
func (s *Service) EventSource(ctx context.Context, by Caller, id, kind string) (resource.EventSource, error) {
	sources, err := s.EventSources(ctx, by, id)
	if err != nil {
		return resource.EventSource{}, err
	}
	for _, source := range sources {
		if source.Type == kind {
			return source, nil
		}
	}
	return resource.EventSource{}, noSource(id, kind)
}

// AddEventSource adds a source to a subscription.
func (s *Service) AddEventSource(ctx context.Context, by Caller, id, kind string) (resource.EventSource, error) {
	return s.editSources(ctx, by, id, kind, func(row *store.EventSubscription) error { return addSource(row, kind) })
}

// ReplaceEventSource puts another source in the place of one, or the same.
func (s *Service) ReplaceEventSource(ctx context.Context, by Caller, id, kind, with string) (resource.EventSource, error) {
	return s.editSources(ctx, by, id, with, func(row *store.EventSubscription) error {
		at := slices.Index(row.Sources, postern.EventType(kind))
		if at < 0 {
			return noSource(id, kind)
		}
		others := *row
		others.Sources = slices.Delete(slices.Clone(row.Sources), at, at+1)
		if err := addSource(&others, with); err != nil {
			return err
		}
		row.Sources[at] = postern.EventType(with)
		return nil
	})
}

// RemoveEventSource removes a source from a subscription.
func (s *Service) RemoveEventSource(ctx context.Context, by Caller, id, kind string) error {
	_, err := s.editSources(ctx, by, id, kind, func(row *store.EventSubscription) error {
		at := slices.Index(row.Sources, postern.EventType(kind))
		if at < 0 {
			return noSource(id, kind)
		}
		row.Sources = slices.Delete(row.Sources, at, at+1)
		return nil
	})
	return err
}

func (s *Service) editSources(ctx context.Context, by Caller, id, kind string, edit func(*store.EventSubscription) error) (resource.EventSource, error) {
	_, err := s.EventSubscriptions().edit(ctx, by, id, func(_ *draft, row *store.EventSubscription) error { return edit(row) })
	return s.source(&store.EventSubscription{Meta: store.Meta{ID: id}}, postern.EventType(kind)), err
}

func noSource(id, kind string) error {
	return postern.Errorf(postern.CodeNotFound, "the subscription %s has no source %q", clip(id), clip(kind))
}
