package service

import (
	"encoding/json"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/event"
	"github.com/postern-dev/postern/server/store"
)

// EventDestinations are the use cases of event destinations.
type EventDestinations = Collection[store.EventDestination, resource.EventDestination, resource.EventDestinationCreate, resource.EventDestinationUpdate, *store.EventDestination]

const (
	// formatJSON is how events are written.
	formatJSON = "json"

	// Where targets' secrets are sealed: neither may change.
	sealedEventDestination, sealedTargetSecret = "event_destination", "secret"
)

// EventDestinations returns the use cases of event destinations.
func (s *Service) EventDestinations() *EventDestinations {
	definition := resource.EventDestinations().Definition
	return &EventDestinations{
		service: s, definition: definition, rows: store.Tx.EventDestinations,
		stored: map[string]string{"format": "format"},
		events: eventTypes{event.EventDestinationCreated, event.EventDestinationUpdated, event.EventDestinationDeleted},
		build: func(d *draft, _ Caller, row *store.EventDestination, c resource.EventDestinationCreate) error {
			row.Description, row.Metadata = c.Description, c.Metadata
			if err := setFormat(row, c.Format); err != nil {
				return err
			}
			return s.setTarget(d, row, c.Target)
		},
		change: func(d *draft, _ Caller, row *store.EventDestination, u resource.EventDestinationUpdate) error {
			set(&row.Description, u.Description)
			set(&row.Metadata, u.Metadata)
			if u.Format != nil {
				if err := setFormat(row, *u.Format); err != nil {
					return err
				}
			}
			if u.Target == nil {
				return nil
			}
			return s.setTarget(d, row, *u.Target)
		},
		release: releaseEventDestination,
		show: func(_ reader, row *store.EventDestination) (resource.EventDestination, error) {
			shown := resource.EventDestination{Identity: s.identity(definition, &row.Meta), Notes: notes(&row.Meta), Format: row.Format}
			target, err := targetOf(row)
			shown.Target = target
			return shown, err
		},
	}
}

func setFormat(row *store.EventDestination, format string) error {
	if format != "" && format != formatJSON {
		return postern.Errorf(postern.CodeValueInvalid, "the field \"format\" is %q; it must be %q", clip(format), formatJSON)
	}
	row.Format = formatJSON
	return nil
}

// setTarget checks a target, keeps it, and seals its secret. Where the target is of the
// kind that the row has, and brings no secret, the one that is there stays.
func (s *Service) setTarget(d *draft, row *store.EventDestination, given resource.EventTargetGiven) error {
	target, err := readTarget(given)
	if err != nil {
		return err
	}
	switch {
	case target.secret != "":
		if row.Secret, err = s.seal(d, sealedEventDestination, row.ID, sealedTargetSecret, []byte(target.secret)); err != nil {
			return err
		}
	case target.needsSecret != "":
		before, err := targetOf(row)
		if err != nil {
			return err
		}
		if len(row.Secret) == 0 || secretHolder(before) != secretHolder(target.shown) {
			return missing(target.needsSecret)
		}
	default:
		row.Secret = nil
	}
	row.Target, err = json.Marshal(target.shown)
	return err
}

// secretHolder says whom a target's secret is of; "" where there is none.
func secretHolder(t resource.EventTarget) string {
	creds := func(service string, auth resource.AWSAuth) string {
		if auth.Creds == nil {
			return ""
		}
		return service + " " + auth.Creds.AWSAccessKeyID
	}
	switch {
	case t.Firehose != nil:
		return creds("aws", t.Firehose.Auth)
	case t.Kinesis != nil:
		return creds("aws", t.Kinesis.Auth)
	case t.CloudwatchLogs != nil:
		return creds("aws", t.CloudwatchLogs.Auth)
	case t.Datadog != nil:
		return "datadog"
	case t.AzureLogsIngestion != nil:
		return "azure " + t.AzureLogsIngestion.TenantID + " " + t.AzureLogsIngestion.ClientID
	}
	return ""
}

func targetOf(row *store.EventDestination) (target resource.EventTarget, err error) {
	if len(row.Target) == 0 {
		return target, nil
	}
	if err := json.Unmarshal(row.Target, &target); err != nil {
		return target, postern.Errorf(postern.CodeInternal, "the target of the event destination %s cannot be read", row.ID).Because(err)
	}
	return target, nil
}

// releaseEventDestination refuses what subscriptions name.
func releaseEventDestination(d *draft, by Caller, row *store.EventDestination) error {
	const named = 5
	using, err := d.EventSubscriptions().List(d.ctx, store.Page{Account: by.Account, Limit: named, Where: store.HasDestination(row.ID)})
	if err != nil || len(using) == 0 {
		return err
	}
	ids := make([]string, len(using))
	for i, subscription := range using {
		ids[i] = subscription.ID
	}
	return postern.Errorf(postern.CodeEventDestinationInUse, "the event destination %s is used by %s", row.ID, strings.Join(ids, ", "))
}
