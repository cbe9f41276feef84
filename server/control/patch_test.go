package control_test

import (
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/control"
	"github.com/postern-dev/postern/server/policy"
)

// An endpoint that is online changes its policy, and has none in the end; it stays who it
// is all the while, and keeps the policy that it has where the new one cannot be used.
func TestPatchPolicy(t *testing.T) {
	library := policy.NewLibrary(policy.Editable{})
	w := newWorld(t, func(c *control.Config) { c.Policies = library })
	w.cluster.Obey(func(e postern.Endpoint) (*policy.Program, error) {
		return library.Compile(string(e.ID), e.Options.Policy.Reveal(), control.PolicyTarget(e.URL, e.Options))
	})
	c := w.connect(link.Hello{Token: "alpha"})
	bound := c.bind(t, request(t, "https://app.example.com"))
	const first, second, broken = "on_http_request: [{actions: [{type: deny}]}]", "on_tcp_connect: [{actions: [{type: deny}]}]", "on_http_request: [{actions: [{type: x}]}]"
	for _, step := range []struct {
		text, force string
		code        postern.Code
	}{
		{text: first, force: first},
		{text: broken, force: first, code: postern.CodePolicyActionUnknown},
		{text: second, force: second},
		{text: " \n", force: ""},
		{text: first, force: first},
		{text: "", force: ""},
	} {
		err := c.Patch(t.Context(), link.Patch{EndpointID: bound.EndpointID, TrafficPolicy: &step.text})
		if step.code == "" && err != nil || step.code != "" && !postern.HasCode(err, step.code) {
			t.Errorf("%q: %v", step.text, err)
		}
		r := w.table.Load().HTTP("app.example.com", true)
		m, err := r.Owner.Pick(nil)
		if err != nil || m.ID() != bound.EndpointID {
			t.Fatalf("after %q: %v", step.text, err)
		}
		var member, route string
		if m.Policy() != nil {
			member = m.Policy().Text()
		}
		if len(r.Policies) > 0 {
			route = r.Policies[0].Text()
		}
		if member != step.force || route != step.force {
			t.Errorf("after %q the member has %q and its route %q, want %q", step.text, member, route, step.force)
		}
		if held := w.Sessions()[0].Endpoints[0].Options.Policy.Reveal(); held != step.force {
			t.Errorf("after %q the session has %q", step.text, held)
		}
	}
}
