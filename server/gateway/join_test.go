package gateway_test

import (
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/gateway"
	"github.com/postern-dev/postern/server/store"
)

// join has a consumer reach a port, and gives his end.
func (w *world) join(acl *postern.ACL, gateway string, port uint16) (*testkit.PipeConn, *stream, <-chan error) {
	far, near := testkit.Pipe()
	st := &stream{PipeConn: near.(*testkit.PipeConn)}
	ended := make(chan error, 1)
	who := link.ConsumerIdentity{Session: "ts_1", Account: account, Credential: "cr_1", RemoteAddr: "203.0.113.7:1",
		Allows: func(name postern.Hostname, port uint16) bool { return acl.AllowsAccess(name.String(), port) }}
	go func() {
		called := false
		err := w.runtime.Join(w.t.Context(), who, link.GatewayPort{Gateway: gateway, Network: postern.TCP, Port: port}, st, func() error { called = true; return nil })
		if why := postern.AsError(err); err != nil && !called {
			st.Reset(why)
		}
		ended <- err
	}()
	return far.(*testkit.PipeConn), st, ended
}

func access(t *testing.T, rules ...string) *postern.ACL {
	t.Helper()
	acl, err := postern.ParseACL(rules)
	if err != nil {
		t.Fatal(err)
	}
	return &acl
}

func TestJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(r *rows, _ *gateway.Config) {
			r.gateways = append(r.gateways, store.Gateway{Meta: store.Meta{ID: "pgw_2", Account: "ac_2"}, Name: "foreign", Path: "sg_2"})
		})
		w.connect("203.0.113.1:1000", "1", 8081)
		for _, name := range []string{"stage", "STAGE", "pgw_1", "sg_1"} {
			conn, _, ended := w.join(access(t, "access:stage:8081"), name, 8081)
			if err := w.echo(conn); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := <-ended; err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.mu.Lock()
		r := w.records[0]
		w.mu.Unlock()
		if r.Consumer.Credential != "cr_1" || r.Consumer.Session != "ts_1" || r.Consumer.Account != account {
			t.Errorf("%+v", r.Consumer)
		}
		for _, test := range []struct {
			rule, name string
			port       uint16
			want       postern.Code
		}{
			{"access:stage:8081", "stage", 8082, postern.CodeAccessDenied},
			{"access:stage:8081", "none", 8081, postern.CodeAccessDenied}, // is not told that there is none
			{"access:stage:8081", "foreign", 8081, postern.CodeAccessDenied},
			{"bind:*", "stage", 8081, postern.CodeAccessDenied},
			{"bind:*", "sg_1", 8081, postern.CodeAccessDenied},
			{"access:*:*", "none", 8081, postern.CodeGatewayUnknown},
			{"access:*:*", "sg_2", 8081, postern.CodeGatewayUnknown}, // another account's
			{"access:*:*", "pgw_2", 8081, postern.CodeGatewayUnknown},
			{"access:*:*", "stage", 8082, postern.CodeGatewayPortClosed},
			{"access:*:*", "stage", 0, postern.CodeGatewayPortClosed},
		} {
			conn, st, ended := w.join(access(t, test.rule), test.name, test.port)
			if err := <-ended; !postern.HasCode(err, test.want) {
				t.Errorf("%s, %s:%d: %v", test.rule, test.name, test.port, err)
			}
			if why := st.reason(); why == nil || why.Code != test.want {
				t.Errorf("%s, %s:%d: the stream ends with %v", test.rule, test.name, test.port, why)
			}
			_ = conn.Close()
		}
	})
}

// After a start consumers may be back before connectors are: they wait for a moment.
func TestConsumersOfAServerThatHasJustBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		conn, _, ended := w.join(access(t, "access:stage:8081"), "stage", 8081)
		time.Sleep(time.Second)
		w.connect("203.0.113.1:1000", "1", 8081)
		if err := w.echo(conn); err != nil {
			t.Error(err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		time.Sleep(time.Minute)
		began := time.Now()
		conn, _, ended = w.join(access(t, "access:stage:*"), "stage", 8082)
		if err := <-ended; !postern.HasCode(err, postern.CodeGatewayPortClosed) || time.Since(began) != 0 {
			t.Errorf("%v, after %s", err, time.Since(began))
		}
		_ = conn.Close()
	})
}

// A credential that is narrowed loses what is open.
func TestNarrowedConsumer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.connect("203.0.113.1:1000", "1", 8081, 8082)
		acl := access(t, "access:stage:8081", "access:stage:8082")
		first, st, ended := w.join(acl, "stage", 8081)
		second, _, _ := w.join(acl, "stage", 8082)
		synctest.Wait()
		*acl = *access(t, "access:stage:8082")
		w.runtime.RecheckConsumers()
		if err := <-ended; err != nil || st.reason() == nil || st.reason().Code != postern.CodeAccessDenied {
			t.Errorf("%v, %v", err, st.reason())
		}
		_ = first.Close()
		if err := w.echo(second); err != nil {
			t.Error(err)
		}
		w.edit(func(r *rows) { r.gateways[0].Name = "another" }) // the rules speak of stage
		synctest.Wait()
		third, _, ended := w.join(acl, "sg_1", 8082)
		if err := <-ended; !postern.HasCode(err, postern.CodeAccessDenied) {
			t.Errorf("%v", err)
		}
		_ = third.Close()
	})
}

// Health is what a probe finds at the target's end of the way.
func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(_ *rows, c *gateway.Config) { c.Live.ProbeEvery = 30 * time.Second })
		silent := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
		up, down := w.connect("203.0.113.1:1000", "1"), w.connect("203.0.113.2:1000", "2")
		up.target, down.target = silent, func(net.Conn) {}
		down.transport = "chisel/3" // takes connections for a target that is down, and ends them
		for _, c := range []*connector{up, down} {
			if _, err := c.bind(8081, ""); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(5 * time.Second)
		state := w.runtime.State("pgw_1")
		if len(state.Endpoints) != 1 || len(state.Endpoints[0].Offers) != 2 || state.Endpoints[0].Health != gateway.HealthUp {
			t.Fatalf("%+v", state.Endpoints)
		}
		for i, want := range []gateway.Health{gateway.HealthUp, gateway.HealthDown} {
			if got := state.Endpoints[0].Offers[i]; got.Health != want {
				t.Errorf("%+v", got)
			}
		}
		before := down.count()
		for range 4 {
			_ = w.dial("127.64.0.1:8081").Close()
			synctest.Wait()
		}
		if down.count() != before {
			t.Error("a target that is down got a connection while another one was up")
		}
		down.mu.Lock()
		down.target = silent
		down.mu.Unlock()
		time.Sleep(35 * time.Second)
		if got := w.runtime.State("pgw_1").Endpoints[0].Offers[1]; got.Health != gateway.HealthUp {
			t.Errorf("came back, and is %+v", got)
		}
		up.mu.Lock()
		up.refuse = postern.Errorf(postern.CodeUpstreamUnreachable, "connection refused")
		up.mu.Unlock()
		time.Sleep(35 * time.Second)
		if got := w.runtime.State("pgw_1").Endpoints[0].Offers[0]; got.Health != gateway.HealthDown || got.Why == "" {
			t.Errorf("refuses, and is %+v", got)
		}
	})
}
