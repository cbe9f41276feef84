package storetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/store"
)

func gateways() kind[store.Gateway, *store.Gateway] {
	return kind[store.Gateway, *store.Gateway]{
		rows: store.Tx.Gateways,
		fill: func(_ context.Context, _ store.Tx, g *store.Gateway, n int) error {
			g.Name, g.Path = postern.Hostname(fmt.Sprint("stage-", n)), fmt.Sprint("sg_", n)
			g.Listen = []netip.Addr{netip.AddrFrom4([4]byte{127, 64, 0, byte(n)})}
			g.Conflict, g.Hold = store.GatewayRefuse, 10*time.Second
			if n%2 == 0 {
				g.Domain, g.Insecure = postern.Hostname(fmt.Sprintf("gw%d.example.com", n)), true
				g.Ports, g.Consumers = []string{"8081", "53/udp"}, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
			}
			return nil
		},
		change: func(g *store.Gateway) {
			g.Name, g.Domain, g.Listen = "other", "", []netip.Addr{netip.MustParseAddr("::1"), netip.MustParseAddr("10.0.0.1")}
			g.Ports, g.Hold, g.Conflict, g.Insecure, g.Consumers = []string{"*"}, 0, store.GatewayPool, false, nil
		},
	}
}

func gatewayTokens() kind[store.GatewayToken, *store.GatewayToken] {
	return kind[store.GatewayToken, *store.GatewayToken]{
		rows: store.Tx.GatewayTokens,
		fill: func(ctx context.Context, tx store.Tx, k *store.GatewayToken, n int) error {
			k.Gateway, k.Verifier = fmt.Sprint("pgw_", n), [32]byte{byte(n), 255, 31: 7}
			if n%2 == 0 {
				k.Rotation = postern.Rotation{At: k.CreatedAt, Previous: [32]byte{31: 9}, Until: k.CreatedAt.Add(time.Hour)}
				k.Ports, k.Targets, k.ExpiresAt = []string{"53/udp"}, []string{"10.0.0.0/8:*"}, k.CreatedAt.Add(time.Hour)
			}
			gateway := store.Gateway{Meta: k.Meta, Name: "stage", Path: k.ID}
			gateway.ID, gateway.Name = k.Gateway, postern.Hostname(k.Gateway)
			return tx.Gateways().Create(ctx, gateway)
		},
		change: func(k *store.GatewayToken) {
			k.Verifier, k.Rotation = [32]byte{1}, postern.Rotation{At: k.UpdatedAt}
			k.Ports, k.Targets, k.ExpiresAt = nil, []string{"*:443"}, k.UpdatedAt
		},
	}
}

// testGatewayKeys is about what there may be only one of.
func testGatewayKeys(t *testing.T, f *fixture) {
	mine, others := f.owner(t, 1).Account, f.owner(t, 2).Account
	gateway := func(id string, account postern.AccountID, name, path, domain string) store.Gateway {
		return store.Gateway{Meta: store.Meta{ID: id, Account: account, CreatedAt: f.now, UpdatedAt: f.now},
			Name: postern.Hostname(name), Path: path, Domain: postern.Hostname(domain)}
	}
	stop := errors.New("stop")
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		return tx.Gateways().Create(ctx, gateway("pgw_1", mine, "stage", "sg_1", "gw.example.com"))
	})
	for what, g := range map[string]store.Gateway{
		"name":   gateway("pgw_2", mine, "stage", "sg_2", ""),
		"path":   gateway("pgw_2", mine, "other", "sg_1", ""),
		"domain": gateway("pgw_2", others, "other", "sg_2", "gw.example.com"),
	} {
		err := f.Store.Write(t.Context(), func(tx store.Tx) error {
			if err := tx.Gateways().Create(t.Context(), g); !postern.HasCode(err, postern.CodeConflict) {
				t.Errorf("a second gateway with the same %s: %v", what, err)
			}
			return stop
		})
		if !errors.Is(err, stop) {
			t.Fatal(err)
		}
	}
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		return tx.Gateways().Create(ctx, gateway("pgw_2", others, "stage", "sg_2", ""))
	})
	f.write(t, func(ctx context.Context, tx store.Tx) error {
		return tx.Gateways().Create(ctx, gateway("pgw_3", others, "second", "sg_3", "")) // without a domain, as another is
	})
	err := f.Store.Write(t.Context(), func(tx store.Tx) error {
		token := store.GatewayToken{Meta: store.Meta{ID: "pgt_1", Account: mine, CreatedAt: f.now, UpdatedAt: f.now}, Gateway: "pgw_1"}
		if err := tx.GatewayTokens().Create(t.Context(), token); err != nil {
			return err
		}
		return tx.Gateways().Delete(t.Context(), mine, "pgw_1")
	})
	if !postern.HasCode(err, postern.CodeConflict) {
		t.Errorf("a gateway goes before its tokens: %v", err)
	}
}
