package service_test

import (
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/service"
)

func TestReservedPortIsItsAccountsForEver(t *testing.T) {
	w := newWorld(t, func(c *service.Config) {
		c.Regions, c.TCPPorts = []string{"eu"}, service.PortRange{First: 20000, Last: 20001}
	})
	mine, _ := w.bootstrap(t)
	theirs := w.stranger(t, "other")
	made, err := w.ReservedAddrs().Create(t.Context(), callerOf(mine), resource.ReservedAddrCreate{})
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(made.Addr, ":")
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatalf("addr %s", made.Addr)
	}
	port, free := uint16(number), uint16(40001-number)
	for range 3 {
		refused(t, w.ClaimPort(t.Context(), theirs, postern.TCP, port), postern.CodePortUnavailable)
		if got, err := w.AssignPort(t.Context(), asker(theirs, "tcp"), postern.TCP, 0, 20000, 20001, none); got != free || err != nil {
			t.Errorf("chosen %d, %v; want %d", got, err, free)
		}
		_, err := w.AssignPort(t.Context(), asker(theirs, "tcp2"), postern.TCP, 0, 20000, 20001, none)
		refused(t, err, postern.CodePortUnavailable)
		w.clock.Advance(2 * service.Reservation) // unused for longer than other ports are kept
	}
	if err := w.ClaimPort(t.Context(), mine, postern.TCP, port); err != nil {
		t.Errorf("its own account: %v", err)
	}
	again, err := w.ReservedAddrs().Create(t.Context(), callerOf(mine), resource.ReservedAddrCreate{})
	if err != nil || again.Addr == made.Addr {
		t.Errorf("the second is %s, %v", again.Addr, err)
	}
	_, err = w.ReservedAddrs().Create(t.Context(), callerOf(mine), resource.ReservedAddrCreate{})
	refused(t, err, postern.CodeNoAddressFree)
	w.clock.Advance(2 * service.Reservation)
	if err := w.ReservedAddrs().Delete(t.Context(), callerOf(mine), made.ID); err != nil {
		t.Fatal(err)
	}
	if err := w.ClaimPort(t.Context(), theirs, postern.TCP, port); err != nil {
		t.Errorf("given up: %v", err)
	}
}

func TestRestrictionsAndIngressesOfAllAccounts(t *testing.T) {
	w := newWorld(t)
	mine, _ := w.bootstrap(t)
	for n, c := range []postern.Credential{mine, w.stranger(t, "other")} {
		by := callerOf(c)
		policy, err := w.IPPolicies().Create(t.Context(), by, resource.IPPolicyCreate{})
		if err != nil {
			t.Fatal(err)
		}
		for cidr, action := range map[string]string{"10.0.0.0/8": "allow", "10.1.0.0/16": "deny"} {
			if _, err := w.IPPolicyRules().Create(t.Context(), by, resource.IPPolicyRuleCreate{CIDR: cidr, IPPolicyID: policy.ID, Action: action}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.IPRestrictions().Create(t.Context(), by, resource.IPRestrictionCreate{Type: "agent", Enforced: n == 0, IPPolicyIDs: []string{policy.ID}}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.AgentIngresses().Create(t.Context(), by, resource.AgentIngressCreate{Domain: "connect" + strconv.Itoa(n) + ".org"}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := w.Restrictions(t.Context())
	if err != nil || len(all) != 2 {
		t.Fatalf("restrictions %v, %v", all, err)
	}
	table := access.NewTable(all)
	for addr, want := range map[string]access.Verdict{"10.2.0.1": access.Passes, "10.1.0.1": access.Refused, "11.0.0.1": access.Refused} {
		if got := table.Check(mine.Account, access.Agents, netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %d, want %d", addr, got, want)
		}
	}
	if got := table.Check("ac_other", access.Agents, netip.MustParseAddr("11.0.0.1")); got != access.Noted {
		t.Errorf("not enforced: %d", got)
	}
	owners, err := w.Ingresses(t.Context())
	if err != nil || len(owners) != 2 || owners["connect0.org"] != mine.Account || owners["connect1.org"] != "ac_other" {
		t.Errorf("ingresses %v, %v", owners, err)
	}
}
