package service_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
	"github.com/postern-dev/postern/server/service"
	"github.com/postern-dev/postern/server/store"
)

// Who comes at the same time as another gets no address and no name twice.
func TestPrivateGatewaysAtOnce(t *testing.T) {
	w := newWorld(t, func(c *service.Config) { c.StoreTimeout = time.Minute })
	c, _ := w.bootstrap(t)
	var mu sync.Mutex
	made, codes := map[string]int{}, map[postern.Code]int{}
	create := func(wanted resource.PrivateGatewayCreate) {
		gateway, err := w.PrivateGateways().Create(t.Context(), callerOf(c), wanted)
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			codes[postern.AsError(err).Code]++
			return
		}
		made[gateway.Listen[0]]++
	}
	var running sync.WaitGroup
	for i := range 8 {
		running.Go(func() { create(resource.PrivateGatewayCreate{Name: "same"}) })
		running.Go(func() {
			create(resource.PrivateGatewayCreate{Name: "listener-" + string('a'+rune(i)), Listen: []string{"127.0.0.77"}})
		})
		running.Go(func() { create(resource.PrivateGatewayCreate{Name: "own-" + string('a'+rune(i))}) })
	}
	running.Wait()
	if len(made) != 10 || made["127.0.0.77"] != 1 || codes[postern.CodeGatewayNameTaken] != 7 || codes[postern.CodeGatewayAddressTaken] != 7 {
		t.Errorf("made %v, refused %v", made, codes)
	}
	for text, count := range made {
		addr := netip.MustParseAddr(text)
		if count != 1 || text != "127.0.0.77" && (!netip.MustParsePrefix("127.64.0.0/10").Contains(addr) || strings.HasSuffix(text, ".0") || strings.HasSuffix(text, ".255")) {
			t.Errorf("%s belongs to %d", text, count)
		}
	}
}

// Where the machine does not have the addresses that gateways are given, as some systems
// do not, the answer says so.
func TestPrivateGatewaysWithoutLoopback(t *testing.T) {
	tried := 0
	w := newWorld(t, func(c *service.Config) {
		c.Gateways.Try = func(_ context.Context, network string, at netip.AddrPort) error {
			if tried++; at.Addr() == netip.MustParseAddr("127.0.0.1") && network == "tcp" {
				return nil
			}
			return &netError{syscall.EADDRNOTAVAIL}
		}
	})
	c, _ := w.bootstrap(t)
	_, err := w.PrivateGateways().Create(t.Context(), callerOf(c), resource.PrivateGatewayCreate{Name: "a"})
	refused(t, err, postern.CodeGatewayAddressUnusable)
	if !errors.Is(err, syscall.EADDRNOTAVAIL) || !strings.Contains(postern.AsError(err).Text(), syscall.EADDRNOTAVAIL.Error()) || tried < 2 {
		t.Errorf("after %d attempts: %v", tried, err)
	}
	if _, err := w.PrivateGateways().Create(t.Context(), callerOf(c), resource.PrivateGatewayCreate{Name: "a", Listen: []string{"127.0.0.1"}}); err != nil {
		t.Error(err)
	}
}

// netError is what the system's calls fail with.
type netError struct{ errno syscall.Errno }

func (e *netError) Error() string { return "listen: " + e.errno.Error() }
func (e *netError) Unwrap() error { return e.errno }

// Tokens are good for as long as they are said to be, and are not in the database.
func TestGatewayTokens(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	gateway := must[resource.PrivateGateway](t)(w.PrivateGateways().Create(t.Context(), callerOf(c), resource.PrivateGatewayCreate{Name: "a"}))
	end := w.clock.Now().Add(2 * time.Hour)
	made := must[resource.PrivateGatewayToken](t)(w.PrivateGatewayTokens().Create(t.Context(), callerOf(c), resource.PrivateGatewayTokenCreate{GatewayID: gateway.ID, ExpiresAt: &end}))
	admits := func(token *string, want bool) {
		t.Helper()
		_, tokens, err := w.Gateways(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = service.AdmitGatewayToken(postern.Secret(*token), gateway.ID, w.clock.Now(), func(id string) (store.GatewayToken, bool) {
			for _, row := range tokens {
				if row.ID == id {
					return row, true
				}
			}
			return store.GatewayToken{}, false
		})
		if (err == nil) != want {
			t.Errorf("at %s: %v, want it good: %v", w.clock.Now(), err, want)
		}
	}
	admits(gateway.Token, true)
	admits(made.Token, true)
	overlap := "1h"
	rotated := must[resource.PrivateGatewayToken](t)(w.PrivateGatewayTokens().Rotate(t.Context(), callerOf(c), made.ID, resource.Rotation{Overlap: &overlap}))
	admits(made.Token, true)
	admits(rotated.Token, true)
	w.clock.Advance(time.Hour)
	admits(made.Token, false)
	admits(rotated.Token, true)
	w.clock.Advance(time.Hour)
	admits(rotated.Token, false)
	admits(gateway.Token, true)
	reader := callerOf(c)
	reader.Role = postern.ReadOnly
	_, err := w.PrivateGatewayTokens().Rotate(t.Context(), reader, made.ID, resource.Rotation{})
	refused(t, err, postern.CodeNotPermitted)
	w.close()
	stored := w.stored(t)
	for _, token := range []*string{gateway.Token, made.Token, rotated.Token} {
		if secret := (*token)[strings.LastIndexByte(*token, '_')+1:]; strings.Contains(stored, secret) {
			t.Errorf("%s is in the database", *token)
		}
	}
}

// The domain of a gateway is no endpoint's, also after a restart, until it is given up.
func TestGatewayDomainsAreNoEndpoints(t *testing.T) {
	w := newWorld(t)
	c, _ := w.bootstrap(t)
	owning(t, w, c, "cust.org")
	at := postern.URL{Scheme: postern.HTTPS, Host: "gw.cust.org"}
	taken := func(w *world, want bool) {
		t.Helper()
		if err := w.CheckCloud(c.Account, at, true); (err != nil) != want || want && !postern.HasCode(err, postern.CodeAlreadyOnline) {
			t.Errorf("an agent: %v, want it refused: %v", err, want)
		}
	}
	policy := `{"on_http_request":[{"actions":[{"type":"deny"}]}]}`
	cloud := resource.EndpointCreate{Type: "cloud", URL: "https://gw.cust.org", TrafficPolicy: policy}
	gateway := must[resource.PrivateGateway](t)(w.PrivateGateways().Create(t.Context(), callerOf(c), resource.PrivateGatewayCreate{Name: "a", Domain: "gw.cust.org"}))
	taken(w, true)
	_, err := w.Endpoints().Create(t.Context(), callerOf(c), cloud)
	refused(t, err, postern.CodeCloudEndpointExists)
	w = w.restart(t)
	taken(w, true)
	other := "other.cust.org"
	must[resource.PrivateGateway](t)(w.PrivateGateways().Update(t.Context(), callerOf(c), gateway.ID, resource.PrivateGatewayUpdate{Domain: &other}))
	taken(w, false)
	back := "gw.cust.org"
	must[resource.PrivateGateway](t)(w.PrivateGateways().Update(t.Context(), callerOf(c), gateway.ID, resource.PrivateGatewayUpdate{Domain: &back}))
	taken(w, true)
	if err := w.PrivateGateways().Delete(t.Context(), callerOf(c), gateway.ID); err != nil {
		t.Fatal(err)
	}
	taken(w, false)
	must[resource.Endpoint](t)(w.Endpoints().Create(t.Context(), callerOf(c), cloud))
}
