package service_test

import (
	"crypto/sha256"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

func TestAdmitGatewayToken(t *testing.T) {
	now := time.Date(2031, 5, 17, 9, 30, 0, 0, time.UTC)
	unique, good, old := strings.Repeat("a", 27), strings.Repeat("s", 21), strings.Repeat("o", 21)
	row := store.GatewayToken{Meta: store.Meta{ID: "pgt_" + unique}, Gateway: "pgw_1", Verifier: sha256.Sum256([]byte(good)),
		Rotation:  postern.Rotation{At: now, Previous: sha256.Sum256([]byte(old)), Until: now.Add(time.Minute)},
		ExpiresAt: now.Add(time.Hour)}
	find := func(id string) (store.GatewayToken, bool) { return row, id == row.ID }
	for what, test := range map[string]struct {
		token   string
		gateway string
		after   time.Duration
		want    bool
	}{
		"good":              {"sgt_" + unique + "_" + good, "pgw_1", 0, true},
		"replaced":          {"sgt_" + unique + "_" + old, "pgw_1", 0, true},
		"replaced too long": {"sgt_" + unique + "_" + old, "pgw_1", time.Minute, false},
		"in the last hour":  {"sgt_" + unique + "_" + good, "pgw_1", time.Hour - 1, true},
		"over":              {"sgt_" + unique + "_" + good, "pgw_1", time.Hour, false},
		"another gateway's": {"sgt_" + unique + "_" + good, "pgw_2", 0, false},
		"wrong":             {"sgt_" + unique + "_" + strings.Repeat("x", 21), "pgw_1", 0, false},
		"unknown":           {"sgt_" + strings.Repeat("b", 27) + "_" + good, "pgw_1", 0, false},
		"an authtoken":      {unique + "_" + good, "pgw_1", 0, false},
		"its id":            {"pgt_" + unique + "_" + good, "pgw_1", 0, false},
		"empty":             {"", "pgw_1", 0, false},
		"the mark alone":    {"sgt_", "pgw_1", 0, false},
		"longer":            {"sgt_" + unique + "_" + good + "s", "pgw_1", 0, false},
	} {
		got, err := service.AdmitGatewayToken(postern.Secret(test.token), test.gateway, now.Add(test.after), find)
		if (err == nil) != test.want || test.want && got.ID != row.ID {
			t.Errorf("%s: %v, %v", what, got.ID, err)
		}
		if err != nil && (!postern.HasCode(err, postern.CodeGatewayTokenInvalid) || strings.Contains(err.Error(), "pgw_")) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The runtime is told of everybody's gateways.
func TestGateways(t *testing.T) {
	w := newWorld(t)
	mine, _ := w.bootstrap(t)
	other := w.stranger(t, "2")
	meta := func(id string, account postern.AccountID) store.Meta {
		return store.Meta{ID: id, Account: account, CreatedAt: w.clock.Now(), UpdatedAt: w.clock.Now()}
	}
	err := w.store.Write(t.Context(), func(tx store.Tx) error {
		for i, account := range []postern.AccountID{mine.Account, other.Account} {
			id := string('1' + rune(i))
			g := store.Gateway{Meta: meta("pgw_"+id, account), Name: "stage", Path: "sg_" + id, Listen: []netip.Addr{netip.MustParseAddr("127.64.0." + id)}}
			if err := tx.Gateways().Create(t.Context(), g); err != nil {
				return err
			}
			if err := tx.GatewayTokens().Create(t.Context(), store.GatewayToken{Meta: meta("pgt_"+id, account), Gateway: g.ID, Ports: []string{"53/udp"}}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	gateways, tokens, err := w.Gateways(t.Context())
	if err != nil || len(gateways) != 2 || len(tokens) != 2 {
		t.Fatalf("%v, %v, %v", gateways, tokens, err)
	}
	for i, id := range []string{"2", "1"} {
		if gateways[i].ID != "pgw_"+id || gateways[i].Listen[0] != netip.MustParseAddr("127.64.0."+id) || tokens[i].Gateway != gateways[i].ID {
			t.Errorf("%+v, %+v", gateways[i], tokens[i])
		}
	}
}
