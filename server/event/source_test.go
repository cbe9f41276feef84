package event_test

import (
	"slices"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

func TestSources(t *testing.T) {
	all := event.Sources()
	if len(slices.Compact(slices.Clone(all))) != 55 || !slices.IsSorted(all) {
		t.Errorf("%d types, sorted %v", len(all), slices.IsSorted(all))
	}
	for _, own := range []postern.EventType{
		event.APIKeyCreated, event.IPPolicyUpdated, event.CredentialRevoked, event.VaultDeleted, event.SecretCreated,
		event.EventDestinationCreated, event.EventSubscriptionDeleted, event.AgentSessionStopped,
	} {
		if !slices.Contains(all, own) {
			t.Errorf("%s cannot be subscribed to", own)
		}
	}
	if slices.Contains(all, event.NameClaimed) {
		t.Error("a type of our own is among ngrok's")
	}
}
