package connector

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
)

func remotes(t *testing.T, texts ...string) []Remote {
	t.Helper()
	parsed, _, err := ParseRemotes(texts)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// apply takes over other remotes of the one gateway.
func (r *rig) apply(t *testing.T, texts ...string) {
	t.Helper()
	g := r.config.Gateways[0]
	g.Remotes = remotes(t, texts...)
	if err := r.Apply(t.Context(), []Gateway{g}, nil); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// Over our link remotes come, go and change, and the connection stays.
func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &fakeGateway{}
		r := newRig(t, far, nil, "R:8081:db:80", "R:8082:mail:25", "R:53:dns:53/udp")
		r.start(t)
		synctest.Wait()
		r.apply(t, "R:8081:db:80", "R:8082:post:25", "R:8083:web:80", "R:53:dns:53")
		want := []string{"53=dns:53", "8081=db:80", "8082=post:25", "8083=web:80"}
		if diff := cmp.Diff(want, far.online()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if far.attempts() != 1 || !r.Status().Healthy() {
			t.Errorf("%d connections, %+v", far.attempts(), r.Status())
		}
		if got := len(r.gateways[0].lines[0].portsNow()); got != 4 {
			t.Errorf("%d ports are kept", got)
		}
		// What a new connection offers is the new state too.
		far.latest().Close(lost("gone"))
		time.Sleep(time.Second)
		synctest.Wait()
		if diff := cmp.Diff(want, far.online()); diff != "" {
			t.Errorf("after a reconnect (-want +got)\n%s", diff)
		}
		r.stop(t)
	})
}

// Over a fixed wire, a remote that is new gets a connection of its own, a target that
// changes none, and one that is gone ends the connection only where it was the last.
func TestApplyFixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &fakeGateway{fixed: true}
		r := newRig(t, far, nil, "R:8081:db:80", "R:8082:mail:25")
		r.start(t)
		synctest.Wait()
		first := far.latest()
		r.apply(t, "R:8081:other:80", "R:8082:mail:25", "R:8083:web:80")
		if far.attempts() != 2 || len(far.asked[1]) != 1 || far.asked[1][0].Port != 8083 {
			t.Fatalf("connections that offer %v", far.asked)
		}
		if got := r.gateways[0].lines[0].port(Key{tcp, 8081}).Target(); got != "other:80" {
			t.Errorf("8081 leads to %s", got)
		}
		r.apply(t, "R:8081:other:80", "R:8082:mail:25")
		if far.latest().Cause() == nil || first.Cause() != nil {
			t.Error("the connection of what is gone stays, or the other one went")
		}
		r.apply(t, "R:8082:mail:25")
		if first.Cause() != nil {
			t.Error("the connection of what is left went")
		}
		stream := first.open(t, Key{tcp, 8081})
		if why := stream.refusal(); why == nil || why.Code != postern.CodeEndpointUnknown {
			t.Errorf("a stream for a remote that is gone ended with %v", why)
		}
		r.stop(t)
	})
}

// Gateways come and go; the others are not touched. A bad one changes nothing.
func TestApplyGateways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &fakeGateway{fixed: true}
		r := newRig(t, far, nil, "R:8081:db:80")
		r.start(t)
		synctest.Wait()
		one := r.config.Gateways[0]
		two := one
		two.Name, two.Address = "two", "http://gateway.test/sg_2"
		if err := r.Apply(t.Context(), []Gateway{one, two}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(far.wires) != 2 || far.wires[0].Cause() != nil {
			t.Errorf("%d connections, the first ended with %v", len(far.wires), far.wires[0].Cause())
		}
		three := two
		three.Name = "three"
		three.CAs = "/nowhere/ca.pem"
		for _, wrong := range [][]Gateway{{one, three}, {one, one}, {}} {
			if err := r.Apply(t.Context(), wrong, nil); err == nil {
				t.Errorf("%d gateways were taken over", len(wrong))
			}
		}
		two.Token = "another"
		if err := r.Apply(t.Context(), []Gateway{one, two}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(far.wires) != 3 || far.wires[0].Cause() != nil || far.wires[1].Cause() == nil {
			t.Errorf("another token made %d connections", len(far.wires))
		}
		if err := r.Apply(t.Context(), []Gateway{two}, nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if far.wires[0].Cause() == nil || far.wires[2].Cause() != nil {
			t.Error("the gateway that is gone is still connected, or the other one is not")
		}
		r.stop(t)
	})
}

// A remote that the gateway refuses is asked for again, and harms no other.
func TestRefusedRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := &fakeGateway{}
		far.refuseOffer(Key{tcp, 8081}, postern.Errorf(postern.CodeGatewayPortConflict, "taken by db:80 of another connector"))
		r := newRig(t, far, nil, "R:8081:db:80", "R:8082:mail:25")
		r.start(t)
		synctest.Wait()
		if diff := cmp.Diff([]string{"8082=mail:25"}, far.online()); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if now := r.Status(); now.Healthy() || !strings.Contains(now.Gateways[0].Ports[0].Refusal, "another connector") {
			t.Errorf("%+v", now)
		}
		time.Sleep(time.Hour)
		if told := only(r.log.lines(), "the gateway does not take the port"); len(told) != 1 {
			t.Errorf("it is told %d times in an hour", len(told))
		}
		far.refuseOffer(Key{tcp, 8081}, nil)
		time.Sleep(mostReoffer)
		synctest.Wait()
		if !r.Status().Healthy() {
			t.Errorf("%+v", r.Status())
		}
		// The gateway may take it offline by itself.
		far.latest().Withdraw(t.Context(), Key{tcp, 8082})
		r.gateways[0].lines[0].stopped(far.latest(), Key{tcp, 8082}, postern.Errorf(postern.CodeEndpointOffline, "stopped by ada"))
		synctest.Wait()
		if !r.Status().Healthy() {
			t.Errorf("it was not asked for again: %+v", r.Status())
		}
		r.stop(t)
	})
}

// Rules keep remotes out at the start where that can be known, with and without a name.
func TestRules(t *testing.T) {
	for _, c := range []struct {
		remote, rules string
		allowed       bool
	}{
		{"R:8081:db.corp.example:5432", "", true},
		{"R:8081:db.corp.example:5432", "db.corp.example:5432", true},
		{"R:8081:db.corp.example:5432", "*.corp.example:*", true},
		{"R:8081:db.corp.example:5432", "db.corp.example:80", false},
		{"R:8081:db.corp.example:5432", "10.0.0.0/8:5432", true}, // known when it is dialled
		{"R:8081:db.corp.example:5432", "10.0.0.0/8:80 [fd00::/8]:443", false},
		{"R:8081:10.1.2.3:5432", "10.0.0.0/8:*", true},
		{"R:8081:10.1.2.3:5432", "192.168.0.0/16:* db:*", false},
		{"R:8081:[fd00::3]:5432", "[fd00::/8]:*", true},
		{"R:8081:[fd00::3]:5432", "[fe80::/10]:*", false},
	} {
		rules, err := allow.ParseTargets(strings.Fields(c.rules))
		if err != nil {
			t.Fatal(err)
		}
		_, err = New(Config{Gateways: []Gateway{{Address: "http://gateway.test/sg_1", Remotes: remotes(t, c.remote)}}, Allow: rules})
		if c.allowed != (err == nil) || err != nil && !postern.HasCode(err, postern.CodeTargetRefused) {
			t.Errorf("%s with %q: %v", c.remote, c.rules, err)
		}
	}
}
