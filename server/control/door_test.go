package control_test

import (
	"net/netip"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/control"
)

func TestAgentsAreRestrictedByAddress(t *testing.T) {
	var doors access.Current
	w := newWorld(t, func(c *control.Config) { c.Access = &doors })
	account := w.service.credentials["alpha"].Account
	table := func(enforced bool) *access.Table {
		return access.NewTable([]access.Restriction{{Account: account, Part: access.Agents, Enforced: enforced,
			Rules: []access.Rule{{Network: netip.MustParsePrefix("192.0.2.0/24")}}}})
	}
	for _, c := range []struct {
		table *access.Table
		from  string
		code  postern.Code
	}{
		{nil, "198.51.100.1:1", ""},
		{table(true), "192.0.2.7:1", ""},
		{table(true), "198.51.100.1:1", postern.CodeAgentAddressRefused},
		{table(false), "198.51.100.1:1", ""},
	} {
		doors.Set(c.table)
		binder, _, err := w.Admit(t.Context(), newAgent(c.from), link.Hello{Token: "alpha"})
		if c.code == "" && err != nil || c.code != "" && !postern.HasCode(err, c.code) {
			t.Errorf("from %s: %v, want %q", c.from, err, c.code)
		}
		if binder != nil {
			binder.Release(nil)
		}
	}
	// Who guesses is not told more than that the token is wrong.
	doors.Set(table(true))
	if _, _, err := w.Admit(t.Context(), newAgent("198.51.100.2:1"), link.Hello{Token: "nobody's"}); !postern.HasCode(err, postern.CodeTokenInvalid) {
		t.Errorf("a wrong token from a refused address: %v", err)
	}
}

func TestIngressIsForItsAccountsAgents(t *testing.T) {
	var doors access.Current
	w := newWorld(t, func(c *control.Config) { c.Access = &doors })
	doors.SetIngresses(access.NewIngresses(map[postern.Hostname]postern.AccountID{
		"connect.mine.org": w.service.credentials["alpha"].Account, "connect.theirs.org": "ac_theirs",
	}))
	for name, code := range map[postern.Hostname]postern.Code{
		"":                             "",
		"connect.example.com":          "",
		"connect.mine.org":             "",
		"tunnel.eu.connect.mine.org":   "",
		"connect.theirs.org":           postern.CodeIngressForeign,
		"tunnel.eu.connect.theirs.org": postern.CodeIngressForeign,
	} {
		binder, _, err := w.Admit(link.WithServerNames(t.Context(), name), newAgent("192.0.2.1:1"), link.Hello{Token: "alpha"})
		if code == "" && err != nil || code != "" && !postern.HasCode(err, code) {
			t.Errorf("by %q: %v, want %q", name, err, code)
		}
		if binder != nil {
			binder.Release(nil)
		}
	}
}
