//go:build unix

package handover_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

func (n *node) SessionsOf(account postern.AccountID) []postern.Session {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []postern.Session
	for id, s := range n.sessions {
		if account == "ac_1" {
			all = append(all, postern.Session{ID: id, Account: account, Agent: postern.AgentInfo{Metadata: s.metadata}})
		}
	}
	return all
}

func (n *node) Command(ctx context.Context, id postern.SessionID, command link.Command) error {
	if s := n.Link(id); s != nil {
		return s.Command(ctx, command)
	}
	return &postern.Error{Code: postern.CodeNotFound}
}

func TestSessionsOfOtherProcesses(t *testing.T) {
	dir := t.TempDir()
	old := newNode(t, dir)
	var want []string
	for i := range 200 { // more than one reply holds
		id := postern.SessionID(fmt.Sprintf("ts_%03d", i))
		s := old.agent(id)
		old.mu.Lock()
		s.metadata = strings.Repeat("m", 4096+i%2)
		old.mu.Unlock()
		want = append(want, string(id))
	}
	young := newNode(t, dir)
	must(t, young.Join(t.Context()))
	var got []string
	for _, s := range young.Sessions(t.Context(), "ac_1") {
		got = append(got, string(s.ID))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	if others := young.Sessions(t.Context(), "ac_2"); len(others) > 0 {
		t.Errorf("another account's: %v", others)
	}

	stop := link.Command{Action: link.Stop}
	if err := young.Peers.Command(t.Context(), "ac_1", "ts_007", stop); !postern.HasCode(err, postern.CodeStopUnsupported) {
		t.Errorf("a command to an agent of the other process: %v", err)
	}
	for account, id := range map[postern.AccountID]postern.SessionID{"ac_1": "ts_none", "ac_2": "ts_007"} {
		if err := young.Peers.Command(t.Context(), account, id, stop); !postern.HasCode(err, postern.CodeNotFound) {
			t.Errorf("%s of %s: %v", id, account, err)
		}
	}
	must(t, old.Close())
	if gone := young.Sessions(t.Context(), "ac_1"); len(gone) > 0 {
		t.Errorf("sessions of a process that has ended: %d", len(gone))
	}
}
