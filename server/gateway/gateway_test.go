package gateway_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/gateway"
	"github.com/postern-dev/postern/server/quota"
	"github.com/postern-dev/postern/server/store"
)

func TestAPortIsReachedThroughItsConnector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		c := w.connect("203.0.113.1:1000", "1", 8081)
		if err := w.echo(w.dial("127.64.0.1:8081")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		w.mu.Lock()
		r := w.records[0]
		w.mu.Unlock()
		if r.Outcome() != "ok" || r.BytesIn != 8 || r.BytesOut != 8 || r.Port != 8081 || r.Network != "tcp" || r.Target != "192.168.0.3:8081" ||
			r.ConnectorAddr != "203.0.113.1:1000" || r.Gateway != "pgw_1" || r.Account != account || r.Consumer.Addr.String() != "127.0.0.1:50000" {
			t.Errorf("%+v", r)
		}
		c.Close(postern.Errorf(postern.CodeLinkLost, "gone"))
		if want := []gateway.ChangeKind{gateway.ConnectorConnected, gateway.EndpointUp, gateway.ConnectorLeft}; !slices.Equal(w.kinds(), want) {
			t.Errorf("%v", w.kinds())
		}
		time.Sleep(11 * time.Second)
		if _, err := w.net.dial("127.64.0.1:8081", "127.0.0.1:1"); !errors.Is(err, errRefused) {
			t.Errorf("the port is open though nobody offers it: %v", err)
		}
		if last := w.kinds(); last[len(last)-1] != gateway.EndpointDown {
			t.Errorf("%v", last)
		}
	})
}

// What streams hand on and fetch by themselves is counted, too, and as fast as the account may
// move it.
func TestWhatStreamsPumpIsCounted(t *testing.T) {
	const bytes, rate = 300 << 10, 64 << 10
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ *rows, c *gateway.Config) {
			c.Meters = quota.New()
			c.Meters.SetDefaults(quota.Defaults{Account: postern.Limits{BytesPerSecond: rate}})
		})
		c := newConnector("203.0.113.1:1000")
		c.pumps = true
		w.offer(c, "1", 8081)
		conn, began := w.dial("127.64.0.1:8081"), time.Now()
		go func() {
			_, _ = conn.Write(make([]byte, bytes))
			_ = conn.CloseWrite()
		}()
		if n, err := io.Copy(io.Discard, conn); n != bytes || err != nil {
			t.Fatalf("%d bytes came back, %v", n, err)
		}
		if took := time.Since(began); took < (2*bytes-2*rate)/rate*time.Second {
			t.Errorf("%d bytes each way took %s at %d a second", bytes, took, rate)
		}
		_ = conn.Close()
		synctest.Wait()
		w.mu.Lock()
		defer w.mu.Unlock()
		if r := w.records[0]; r.Outcome() != "ok" || r.BytesIn != bytes || r.BytesOut != bytes {
			t.Errorf("%+v", r)
		}
	})
}

// Two gateways may have the same port.
func TestGatewaysDoNotShareTheirPorts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other, row := secret("pgw_2", 1)
		w := newWorld(t, func(r *rows, _ *gateway.Config) {
			r.gateways = append(r.gateways, store.Gateway{Meta: store.Meta{ID: "pgw_2", Account: account}, Name: "test", Path: "sg_2",
				Listen: []netip.Addr{netip.MustParseAddr("127.64.0.2")}, Conflict: store.GatewayRefuse})
			r.tokens = append(r.tokens, row)
		})
		one := w.connect("203.0.113.1:1000", "1", 8081)
		two := newConnector("203.0.113.1:1001")
		if err := w.admit(two, w.token, link.GatewayHello{Gateway: "sg_2"}); !postern.HasCode(err, postern.CodeGatewayTokenInvalid) {
			t.Fatalf("another gateway's token: %v", err)
		}
		if err := w.admit(two, other, link.GatewayHello{Gateway: "sg_2"}); err != nil {
			t.Fatal(err)
		}
		if _, err := two.bind(8081, ""); err != nil {
			t.Fatal(err)
		}
		for _, at := range []string{"127.64.0.1:8081", "127.64.0.2:8081"} {
			if err := w.echo(w.dial(at)); err != nil {
				t.Error(at, err)
			}
		}
		if one.count() != 1 || two.count() != 1 {
			t.Errorf("%d and %d streams", one.count(), two.count())
		}
	})
}

// An unknown gateway and a wrong token are one to a stranger, also over plain HTTP.
func TestStrangersLearnNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		wrong, _ := secret("pgw_1", 9)
		say := func(token postern.Secret, path string, plain bool) string {
			err := w.admit(newConnector("203.0.113.1:1000"), token, link.GatewayHello{Gateway: path, Plain: plain})
			if err == nil {
				t.Fatal("admitted")
			}
			return err.Error()
		}
		for _, plain := range []bool{false, true} {
			known, unknown := say(wrong, "sg_1", plain), say(wrong, "sg_none", plain)
			if known != unknown {
				t.Errorf("%q, %q", known, unknown)
			}
		}
		if got := say(w.token, "sg_1", true); !strings.Contains(got, "replace the token") {
			t.Errorf("%q", got)
		}
	})
}

func TestGuessersAreThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		addr := netip.MustParseAddr("203.0.113.1")
		for i := range byte(10) {
			if w.runtime.Throttled(addr, "x") {
				t.Fatalf("throttled after %d failures", i)
			}
			wrong, _ := secret("pgw_1", 2+i)
			if err := w.admit(newConnector("203.0.113.1:1000"), wrong, link.GatewayHello{Gateway: "sg_1"}); !postern.HasCode(err, postern.CodeGatewayTokenInvalid) {
				t.Fatal(err)
			}
		}
		err := w.admit(newConnector("203.0.113.1:1000"), w.token, link.GatewayHello{Gateway: "sg_1"})
		if !postern.HasCode(err, postern.CodeTooManyFailures) || !w.runtime.Throttled(addr, w.token) {
			t.Errorf("%v", err)
		}
		time.Sleep(time.Minute)
		w.connect("203.0.113.1:1000", "1", 8081)
	})
}

// Who sends no token is throttled by his address, and nobody else with him.
func TestMissingTokensLockNobodyOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for range 20 {
			if err := w.admit(newConnector("203.0.113.1:1000"), "", link.GatewayHello{Gateway: "sg_1"}); err == nil {
				t.Fatal("admitted without a token")
			}
		}
		if !w.runtime.Throttled(netip.MustParseAddr("203.0.113.1"), "") || w.runtime.Throttled(netip.MustParseAddr("203.0.113.2"), "") {
			t.Error("not the address alone is throttled")
		}
	})
}

// What a connector says of itself is shown to another's operator without its tricks.
func TestMessagesHoldNoControlCharacters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.connect("203.0.113.1:1000", "1\x1b[2J\n\xff", 8081)
		_, err := w.connect("203.0.113.2:1000", "2").bind(8081, "10.0.0.1:80")
		if err == nil || strings.ContainsAny(err.Error(), "\x1b\n") || !strings.Contains(err.Error(), "1?[2J??") {
			t.Errorf("%q", err)
		}
	})
}

// Insecure gateways take tokens over plain HTTP.
func TestInsecureGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(r *rows, _ *gateway.Config) { r.gateways[0].Insecure = true })
		if err := w.admit(newConnector("203.0.113.1:1000"), w.token, link.GatewayHello{Gateway: "sg_1", Plain: true}); err != nil {
			t.Fatal(err)
		}
	})
}

func TestWhatMayBeOffered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(r *rows, _ *gateway.Config) {
			r.gateways[0].Ports = []string{"8000-8999", "80"}
			r.tokens[0].Ports, r.tokens[0].Targets = []string{"8081/tcp", "80", "9000", "8090"}, []string{"192.168.0.0/24:*", "db.corp.example:5432"}
		})
		w.net.held[netip.MustParseAddrPort("127.64.0.1:8090")] = true
		c := w.connect("203.0.113.1:1000", "1", 8081)
		for _, test := range []struct {
			port   uint16
			target string
			want   postern.Code
			text   string
		}{
			{8081, "192.168.0.3:1", postern.CodeGatewayPortConflict, "twice"},
			{8082, "192.168.0.3:1", postern.CodeGatewayPortRefused, "the token may not offer port 8082/tcp"},
			{9000, "192.168.0.3:1", postern.CodeGatewayPortRefused, "the gateway has no port 9000/tcp"},
			{80, "192.168.0.3:1", postern.CodeGatewayPortRefused, "listen_allow"},
			{8081, "192.168.1.3:1", postern.CodeGatewayPortRefused, "target 192.168.1.3:1"},
			{8081, "db.corp.example:80", postern.CodeGatewayPortRefused, "target"},
			{8081, "nowhere", postern.CodeGatewayPortRefused, "HOST:PORT"},
			{0, "192.168.0.3:1", postern.CodeGatewayPortRefused, "1 to 65535"},
			{8090, "192.168.0.3:1", postern.CodeGatewayAddressInUse, "127.64.0.1:8090"},
		} {
			if _, err := c.bind(test.port, test.target); !postern.HasCode(err, test.want) || !strings.Contains(err.Error(), test.text) {
				t.Errorf("%d for %s: %v", test.port, test.target, err)
			}
		}
		for _, scheme := range []postern.Scheme{postern.HTTP, "", "sctp"} {
			_, err := c.binder.Bind(t.Context(), link.BindRequest{URL: postern.URLRequest{Scheme: scheme, Port: 8081}, ForwardsTo: "192.168.0.3:1"})
			if !postern.HasCode(err, postern.CodeGatewayPortRefused) {
				t.Errorf("%q: %v", scheme, err)
			}
		}
	})
}

func TestConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		first := w.connect("203.0.113.1:1000", "111", 8081)
		second := w.connect("203.0.113.2:1000", "222")
		_, err := second.bind(8081, "10.0.0.1:80")
		if !postern.HasCode(err, postern.CodeGatewayPortConflict) {
			t.Fatal(err)
		}
		for _, part := range []string{"8081/tcp", "203.0.113.1", "111", "192.168.0.3:8081"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not name %s", err, part)
			}
		}
		if _, err := second.bind(8081, ""); err != nil {
			t.Errorf("the same target makes a pool: %v", err)
		}
		third := w.connect("203.0.113.3:1000", "333")
		first.freeze()
		second.freeze()
		if _, err := third.bind(8081, "10.0.0.1:80"); err != nil { // in the way are ghosts alone
			t.Error(err)
		}
		w.edit(func(r *rows) { r.gateways[0].Conflict = store.GatewayPool })
		synctest.Wait()
		fourth := w.connect("203.0.113.4:1000", "444")
		if _, err := fourth.bind(8081, "10.0.0.4:80"); err != nil {
			t.Error(err)
		}
	})
}

// New connections go to the connector with the fewest; one that dies takes its own with it.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		one, two := w.connect("203.0.113.1:1000", "1", 8081), w.connect("203.0.113.2:1000", "2", 8081)
		var conns []net.Conn
		for range 10 {
			conns = append(conns, w.dial("127.64.0.1:8081"))
			synctest.Wait()
		}
		if one.count() != 5 || two.count() != 5 {
			t.Errorf("%d and %d streams", one.count(), two.count())
		}
		one.Close(postern.Errorf(postern.CodeLinkLost, "killed"))
		synctest.Wait()
		broken := 0
		for _, conn := range conns {
			_ = conn.SetDeadline(time.Now().Add(time.Second))
			_, err := conn.Write([]byte("x"))
			if err == nil {
				_, err = conn.Read(make([]byte, 1))
			}
			if err != nil {
				broken++
			}
			_ = conn.Close()
		}
		if broken != 5 {
			t.Errorf("%d connections broke", broken)
		}
		if err := w.echo(w.dial("127.64.0.1:8081")); err != nil {
			t.Error(err)
		}
	})
}

// A connector that comes back with its id takes the place of its ghost at once.
func TestTakeover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		ghost := w.connect("203.0.113.1:1000", "1", 8081)
		ghost.freeze()
		held := w.dial("127.64.0.1:8081")
		synctest.Wait()
		began := time.Now()
		back := w.connect("203.0.113.1:2000", "1", 8081)
		if ghost.Cause() == nil || time.Since(began) != 0 {
			t.Errorf("the ghost lives on, after %s", time.Since(began))
		}
		if _, err := held.Read(make([]byte, 1)); err == nil {
			t.Error("the ghost's connection lives on")
		}
		_ = held.Close()
		if err := w.echo(w.dial("127.64.0.1:8081")); err != nil || back.count() != 1 {
			t.Error(err)
		}
		other, row := secret("pgw_1", 1)
		w.edit(func(r *rows) { r.tokens = append(r.tokens, row) })
		synctest.Wait()
		stranger := newConnector("203.0.113.9:1")
		if err := w.admit(stranger, other, link.GatewayHello{Gateway: "sg_1", Instance: "1"}); err != nil || back.Cause() != nil {
			t.Errorf("another token's connector took its place: %v", err)
		}
	})
}

// A dead connector is noticed within 20 s, and avoided before.
func TestDeadConnector(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		dead, alive := w.connect("203.0.113.1:1000", "1", 8081), w.connect("203.0.113.2:1000", "2", 8081)
		time.Sleep(time.Second)
		dead.freeze()
		time.Sleep(12 * time.Second) // asked after ten, in doubt after two more
		before := dead.count()
		for range 4 {
			if err := w.echo(w.dial("127.64.0.1:8081")); err != nil {
				t.Fatal(err)
			}
		}
		if dead.count() != before {
			t.Error("a connector that owes an answer got a connection")
		}
		time.Sleep(8 * time.Second) // 20 s since it answered last
		if dead.Cause() == nil {
			t.Error("not noticed within 20 s")
		}
		if alive.Cause() != nil {
			t.Error(alive.Cause())
		}
	})
}

// Consumers wait while nobody offers the port, for as long as it is held.
func TestHold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.connect("203.0.113.1:1000", "", 8081).Close(postern.Errorf(postern.CodeLinkLost, "restarts"))
		waiting := make(chan error, 1)
		conn := w.dial("127.64.0.1:8081")
		go func() { waiting <- w.echo(conn) }()
		time.Sleep(5 * time.Second)
		back := w.connect("203.0.113.1:1001", "", 8081)
		if err := <-waiting; err != nil {
			t.Error(err)
		}
		back.Close(postern.Errorf(postern.CodeLinkLost, "leaves for good"))
		began := time.Now()
		if err := w.echo(w.dial("127.64.0.1:8081")); err == nil {
			t.Error("nobody answers, but somebody did")
		}
		if waited := time.Since(began); waited != 10*time.Second {
			t.Errorf("waited %s", waited)
		}
		if last := w.outcomes(); last[len(last)-1] != string(postern.CodeGatewayPortClosed) {
			t.Errorf("%v", last)
		}
	})
}

// What a token or gateway may not have any more it loses at once.
func TestNarrowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		c := w.connect("203.0.113.1:1000", "1", 8081, 8082)
		conn := w.dial("127.64.0.1:8081")
		synctest.Wait()
		w.edit(func(r *rows) { r.tokens[0].Ports = []string{"8082"} })
		synctest.Wait()
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("a connection lives on to a port that may not be offered")
		}
		_ = conn.Close()
		c.mu.Lock()
		stopped := len(c.stopped)
		c.mu.Unlock()
		if stopped != 1 || c.Cause() != nil {
			t.Errorf("%d ports stopped, %v", stopped, c.Cause())
		}
		if err := w.echo(w.dial("127.64.0.1:8082")); err != nil {
			t.Error(err)
		}
		w.edit(func(r *rows) { r.tokens = nil })
		synctest.Wait()
		if !postern.HasCode(c.Cause(), postern.CodeGatewayTokenInvalid) {
			t.Errorf("revoked: %v", c.Cause())
		}
	})
}

func TestExpiryAndRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(r *rows, _ *gateway.Config) { r.tokens[0].ExpiresAt = time.Now().Add(time.Hour) })
		c := w.connect("203.0.113.1:1000", "1", 8081)
		_, fresh := secret("pgw_1", 1)
		w.edit(func(r *rows) {
			row := &r.tokens[0]
			row.Rotation = postern.Rotation{At: time.Now(), Previous: row.Verifier, Until: time.Now().Add(10 * time.Minute)}
			row.Verifier = fresh.Verifier
		})
		time.Sleep(9 * time.Minute)
		if c.Cause() != nil {
			t.Fatalf("ended within the overlap: %v", c.Cause())
		}
		time.Sleep(time.Minute + time.Second)
		if !postern.HasCode(c.Cause(), postern.CodeGatewayTokenInvalid) {
			t.Errorf("after the overlap: %v", c.Cause())
		}
		renewed := postern.Secret("sgt_" + strings.Repeat("a", 27) + "_" + strings.Repeat("B", 21))
		c = newConnector("203.0.113.1:1001")
		if err := w.admit(c, renewed, link.GatewayHello{Gateway: "sg_1"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if c.Cause() == nil {
			t.Error("lives on after its token's time")
		}
	})
}

func TestDeletedGateway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		c := w.connect("203.0.113.1:1000", "1", 8081)
		conn := w.dial("127.64.0.1:8081")
		synctest.Wait()
		w.edit(func(r *rows) { r.gateways = nil })
		synctest.Wait()
		if !postern.HasCode(c.Cause(), postern.CodeGatewayUnknown) {
			t.Errorf("%v", c.Cause())
		}
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("a connection lives on")
		}
		_ = conn.Close()
		if _, err := w.net.dial("127.64.0.1:8081", "127.0.0.1:1"); !errors.Is(err, errRefused) {
			t.Error("the port is open")
		}
	})
}

// While the store is down everything goes on as it was.
func TestDeadStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.edit(func(r *rows) { r.down = true })
		time.Sleep(time.Hour)
		w.connect("203.0.113.1:1000", "1", 8081)
		if err := w.echo(w.dial("127.64.0.1:8081")); err != nil {
			t.Error(err)
		}
	})
}

func TestConsumersNetworks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(r *rows, _ *gateway.Config) {
			r.gateways[0].Consumers = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		})
		w.connect("203.0.113.1:1000", "1", 8081)
		conn, err := w.net.dial("127.64.0.1:8081", "10.1.1.1:1")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if err := w.echo(w.dial("127.64.0.1:8081")); err == nil {
			t.Error("a consumer from elsewhere was served")
		}
		w.edit(func(r *rows) { r.gateways[0].Consumers = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")} })
		synctest.Wait()
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("a connection lives on that would be refused now")
		}
		_ = conn.Close()
		if got := w.outcomes(); !slices.Equal(got, []string{string(postern.CodeAccessDenied), string(postern.CodeAccessDenied)}) {
			t.Errorf("%v", got)
		}
	})
}
