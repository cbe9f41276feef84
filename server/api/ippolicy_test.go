package api_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/event"
)

func TestIPPolicies(t *testing.T) {
	w := newWorld(t)
	made := w.does(201, "POST", "/ip_policies", object{"description": "office", "metadata": `{"a":1}`})
	id, _ := made["id"].(string)
	if !strings.HasPrefix(id, "ipp_") || len(id) != 4+27 || made["uri"] != base+"/ip_policies/"+id || made["description"] != "office" {
		t.Errorf("made %v", made)
	}
	if got := w.does(200, "GET", "/ip_policies/"+id, nil); got["metadata"] != `{"a":1}` || got["created_at"] != made["created_at"] {
		t.Errorf("got %v, made %v", got, made)
	}
	changed := w.does(200, "PATCH", "/ip_policies/"+id, object{"description": ""})
	if changed["description"] != "" || changed["metadata"] != `{"a":1}` {
		t.Errorf("changed to %v", changed)
	}
	w.refused(400, postern.CodeIPPolicyUnchanged, "PATCH", "/ip_policies/"+id, object{})
	w.does(204, "DELETE", "/ip_policies/"+id, nil)
	w.refused(404, "", "GET", "/ip_policies/"+id, nil)
	w.refused(404, "", "DELETE", "/ip_policies/"+id, nil)
	w.refused(404, "", "PATCH", "/ip_policies/"+id, object{"description": "x"})

	var kinds []postern.EventType
	for _, e := range w.events() {
		if e.Subject == id {
			kinds = append(kinds, e.Type)
			if e.Actor.ID != string(w.first.UserID) || e.Actor.Source != "API" || !strings.Contains(string(e.Object), `"uri":"`+base+"/ip_policies/"+id) {
				t.Errorf("event %s by %+v about %s", e.Type, e.Actor, e.Object)
			}
		}
	}
	if want := []postern.EventType{event.IPPolicyCreated, event.IPPolicyUpdated, event.IPPolicyDeleted}; !slices.Equal(kinds, want) {
		t.Errorf("events %v, want %v", kinds, want)
	}
}
