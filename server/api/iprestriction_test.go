package api_test

import (
	"net/http"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/api"
	"github.com/postern-dev/postern/server/event"
)

// idIn is the id of what a request made.
func idIn(made object) string {
	id, _ := made["id"].(string)
	return id
}

// subjects are the types of the events about something, in order, without repetition.
func (w *world) subjects(id string) []postern.EventType {
	var kinds []postern.EventType
	for _, e := range w.events() {
		if e.Subject == id && (len(kinds) == 0 || kinds[len(kinds)-1] != e.Type) {
			kinds = append(kinds, e.Type)
		}
	}
	return kinds
}

func TestIPPolicyRules(t *testing.T) {
	w := newWorld(t)
	const path = "/ip_policy_rules"
	policy := idIn(w.does(201, "POST", "/ip_policies", object{}))
	w.refused(400, postern.CodeIPPolicyAction, "POST", "/ip_policies", object{"action": "allow"})
	made := w.does(201, "POST", path, object{"cidr": "192.0.2.0/24", "ip_policy_id": policy, "action": "allow", "description": "office", "metadata": "m"})
	id := idIn(made)
	shaped(t, "the answer", made, object{
		"id": "ipr_<ksuid>", "uri": base + path + "/" + id, "created_at": "<time>Z", "description": "office", "metadata": "m",
		"cidr": "192.0.2.0/24", "action": "allow", "ip_policy": object{"id": policy, "uri": base + "/ip_policies/" + policy},
	})
	for _, c := range []struct {
		code postern.Code
		body object
	}{
		{postern.CodeIPRuleIncomplete, object{"ip_policy_id": policy, "action": "allow"}},
		{postern.CodeIPRuleIncomplete, object{"cidr": "192.0.2.0/24", "action": "allow"}},
		{postern.CodeIPRuleAction, object{"cidr": "192.0.2.0/24", "ip_policy_id": policy}},
		{postern.CodeIPRuleAction, object{"cidr": "192.0.2.0/24", "ip_policy_id": policy, "action": "drop"}},
		{postern.CodeIPRuleCIDRInvalid, object{"cidr": "192.0.2.0/33", "ip_policy_id": policy, "action": "allow"}},
		{postern.CodeIPRuleCIDRInvalid, object{"cidr": "office", "ip_policy_id": policy, "action": "allow"}},
		{postern.CodeIPRuleCIDRInvalid, object{"cidr": "fe80::%eth0/64", "ip_policy_id": policy, "action": "allow"}},
		{postern.CodeIPRuleCIDRInvalid, object{"cidr": "::ffff:192.0.2.0/120", "ip_policy_id": policy, "action": "allow"}},
		{postern.CodeIPRuleExists, object{"cidr": "192.0.2.0/24", "ip_policy_id": policy, "action": "deny"}},
		{postern.CodeIPRuleHostBits, object{"cidr": "192.0.2.1/24", "ip_policy_id": policy, "action": "allow"}},
		{postern.CodeIPRuleMaskMissing, object{"cidr": "192.0.2.1", "ip_policy_id": policy, "action": "allow"}},
		{postern.CodeIPPolicyUnknown, object{"cidr": "10.0.0.0/8", "ip_policy_id": "ipp_nobody", "action": "allow"}},
		{postern.CodeIPRuleDescription, object{"cidr": "10.0.0.0/8", "ip_policy_id": policy, "action": "allow", "description": strings.Repeat("x", 256)}},
	} {
		w.refused(400, c.code, "POST", path, c.body)
	}
	if message := w.refused(400, postern.CodeIPRuleHostBits, "POST", path, object{"cidr": "2001:db8::1/32", "ip_policy_id": policy, "action": "allow"}); !strings.Contains(message, "did you mean 2001:db8::/32") {
		t.Errorf("no suggestion in %s", message)
	}
	if message := w.refused(400, postern.CodeIPRuleMaskMissing, "POST", path, object{"cidr": "2001:db8::1", "ip_policy_id": policy, "action": "allow"}); !strings.Contains(message, "2001:db8::1/128") {
		t.Errorf("no suggestion in %s", message)
	}
	one := path + "/" + id
	w.refused(400, postern.CodeIPRuleUnchanged, "PATCH", one, object{})
	w.refused(400, postern.CodeFieldUnknown, "PATCH", one, object{"action": "deny"})
	w.refused(400, postern.CodeIPRuleHostBits, "PATCH", one, object{"cidr": "10.0.0.1/8"})
	w.does(200, "PATCH", one, object{"cidr": "192.0.2.0/24"}) // its own
	if got := w.does(200, "PATCH", one, object{"cidr": "10.0.0.0/8", "description": ""}); got["cidr"] != "10.0.0.0/8" || got["description"] != "" || got["metadata"] != "m" {
		t.Errorf("changed to %v", got)
	}
	other := w.stranger()
	other.refused(404, "", "GET", one, nil)
	other.refused(404, "", "DELETE", one, nil)
	other.refused(404, "", "PATCH", one, object{"description": ""})
	other.refused(400, postern.CodeIPPolicyUnknown, "POST", path, object{"cidr": "10.0.0.0/8", "ip_policy_id": policy, "action": "allow"})

	w.does(204, "DELETE", "/ip_policies/"+policy, nil) // and its rules with it
	w.refused(404, "", "GET", one, nil)
	if want := []postern.EventType{event.IPPolicyRuleCreated, event.IPPolicyRuleUpdated, event.IPPolicyRuleDeleted}; !slices.Equal(w.subjects(id), want) {
		t.Errorf("events %v, want %v", w.subjects(id), want)
	}
}

func TestIPRestrictions(t *testing.T) {
	w := newWorld(t)
	const path = "/ip_restrictions"
	first, second := idIn(w.does(201, "POST", "/ip_policies", object{})), idIn(w.does(201, "POST", "/ip_policies", object{}))
	made := w.does(201, "POST", path, object{"type": "agent", "enforced": true, "ip_policy_ids": []string{first, second, first}})
	id := idIn(made)
	shaped(t, "the answer", made, object{
		"id": "ipx_<ksuid>", "uri": base + path + "/" + id, "created_at": "<time>Z", "description": "", "metadata": "",
		"type": "agent", "enforced": true,
		"ip_policies": []any{object{"id": first, "uri": base + "/ip_policies/" + first}, object{"id": second, "uri": base + "/ip_policies/" + second}},
	})
	w.refused(400, postern.CodeIPRestrictionPolicyUnknown, "POST", path, object{"type": "api", "ip_policy_ids": []string{"ipp_nobody"}})
	w.refused(400, postern.CodeIPRestrictionExists, "POST", path, object{"type": "agent", "ip_policy_ids": []string{first}})
	w.refused(400, postern.CodeIPRestrictionType, "POST", path, object{"type": "visitors", "ip_policy_ids": []string{first}})
	w.refused(400, postern.CodeIPRestrictionType, "POST", path, object{"ip_policy_ids": []string{first}})
	w.refused(400, postern.CodeIPRestrictionEmpty, "POST", path, object{"type": "api"})
	w.refused(400, postern.CodeIPRestrictionEmpty, "PATCH", path+"/"+id, object{"ip_policy_ids": []string{}})
	w.refused(400, postern.CodeFieldUnknown, "PATCH", path+"/"+id, object{"type": "api"})
	message := w.refused(400, postern.CodeIPPolicyInUse, "DELETE", "/ip_policies/"+first, nil)
	if !strings.Contains(message, id) {
		t.Errorf("the message does not name the restriction: %s", message)
	}
	if got := w.does(200, "PATCH", path+"/"+id, object{"enforced": false, "ip_policy_ids": []string{second}}); got["enforced"] != false ||
		!reflect.DeepEqual(got["ip_policies"], []any{object{"id": second, "uri": base + "/ip_policies/" + second}}) {
		t.Errorf("changed to %v", got)
	}
	w.does(204, "DELETE", "/ip_policies/"+first, nil)

	other := w.stranger()
	other.refused(404, "", "GET", path+"/"+id, nil)
	other.refused(404, "", "DELETE", path+"/"+id, nil)
	other.refused(400, postern.CodeIPRestrictionPolicyUnknown, "POST", path, object{"type": "agent", "ip_policy_ids": []string{second}})
	theirs := idIn(other.does(201, "POST", "/ip_policies", object{}))
	other.does(201, "POST", path, object{"type": "agent", "ip_policy_ids": []string{theirs}}) // one for each account

	w.does(204, "DELETE", path+"/"+id, nil)
	w.does(204, "DELETE", "/ip_policies/"+second, nil)
	if want := []postern.EventType{event.IPRestrictionCreated, event.IPRestrictionUpdated, event.IPRestrictionDeleted}; !slices.Equal(w.subjects(id), want) {
		t.Errorf("events %v, want %v", w.subjects(id), want)
	}
}

func TestLastRuleOfTheDashboard(t *testing.T) {
	w := newWorld(t)
	policy := idIn(w.does(201, "POST", "/ip_policies", object{}))
	rule := func(cidr string) string {
		return "/ip_policy_rules/" + idIn(w.does(201, "POST", "/ip_policy_rules", object{"cidr": cidr, "ip_policy_id": policy, "action": "allow"}))
	}
	first, second := rule("192.0.2.0/24"), rule("198.51.100.0/24")
	restriction := "/ip_restrictions/" + idIn(w.does(201, "POST", "/ip_restrictions", object{"type": "dashboard", "enforced": true, "ip_policy_ids": []string{policy}}))
	w.does(204, "DELETE", first, nil)
	w.refused(400, postern.CodeIPRuleLast, "DELETE", second, nil)
	w.does(200, "PATCH", restriction, object{"enforced": false})
	w.does(204, "DELETE", second, nil)
}

func TestAPIIsRestrictedByAddress(t *testing.T) {
	var doors access.Current
	w := newWorld(t, func(c *api.Config) { c.Access = &doors })
	from := func(addr string) func(*http.Request) {
		return func(r *http.Request) { r.RemoteAddr = addr }
	}
	table := func(enforced bool) *access.Table {
		return access.NewTable([]access.Restriction{{Account: w.first.AccountID, Part: access.API, Enforced: enforced,
			Rules: []access.Rule{{Network: netip.MustParsePrefix("192.0.2.0/24")}}}})
	}
	doors.Set(table(true))
	w.does(200, "GET", "/ip_policies", nil, from("192.0.2.9:1"))
	w.does(200, "GET", "/ip_policies", nil, from("[::ffff:192.0.2.9]:1"))
	w.refused(403, postern.CodeAPIAddressRefused, "GET", "/ip_policies", nil, from("198.51.100.1:1"))
	w.refused(403, postern.CodeAPIAddressRefused, "POST", "/ip_policies", object{}, from("198.51.100.1:1"))
	w.refused(403, postern.CodeKeyInvalid, "GET", "/ip_policies", nil, from("198.51.100.1:1"), header("Authorization", "Bearer "+strings.Repeat("0", 27)+"_"+strings.Repeat("0", 21)))
	other := w.stranger()
	other.does(200, "GET", "/ip_policies", nil, from("198.51.100.1:1"))
	doors.Set(table(false))
	w.does(200, "GET", "/ip_policies", nil, from("198.51.100.1:1"))
}
