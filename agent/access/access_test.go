package access_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/access"
	"github.com/postern-dev/postern/internal/testkit"
)

func TestParsePort(t *testing.T) {
	for text, want := range map[string]access.Port{
		"8081":                {Network: "tcp", Port: 8081, Listen: netip.MustParseAddrPort("127.0.0.1:8081")},
		"8081/tcp":            {Network: "tcp", Port: 8081, Listen: netip.MustParseAddrPort("127.0.0.1:8081")},
		"8081:9000":           {Network: "tcp", Port: 8081, Listen: netip.MustParseAddrPort("127.0.0.1:9000")},
		"8081:0":              {Network: "tcp", Port: 8081, Listen: netip.MustParseAddrPort("127.0.0.1:0")},
		"53/udp":              {Network: "udp", Port: 53, Listen: netip.MustParseAddrPort("127.0.0.1:53")},
		"53/UDP:5353":         {Network: "udp", Port: 53, Listen: netip.MustParseAddrPort("127.0.0.1:5353")},
		"8081:0.0.0.0:9000":   {Network: "tcp", Port: 8081, Listen: netip.MustParseAddrPort("0.0.0.0:9000")},
		"8081:localhost:9000": {Network: "tcp", Port: 8081, Listen: netip.MustParseAddrPort("127.0.0.1:9000")},
		"8081:[::1]:9000":     {Network: "tcp", Port: 8081, Listen: netip.MustParseAddrPort("[::1]:9000")},
	} {
		want.Gateway = "stage"
		if got, err := access.ParsePort("stage", text); got != want || err != nil {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "0", "65536", "-1", "+1", "http", "8081/sctp", "8081:", "8081:x", "8081:host.example:9000", "8081:9000:x",
		"8081:1.2.3:9000", ":8081", "8081/udp/tcp", "8081:127.0.0.1:", " 8081"} {
		if got, err := access.ParsePort("stage", text); !postern.HasCode(err, postern.CodeFlagInvalid) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

// Connections reach the port, and each end's half-close the other one.
func TestTCP(t *testing.T) {
	o := open(t, func(c *access.Config) { c.Ports = []access.Port{port(t, "8081:0")} })
	conn := o.dial(t, "tcp", "stage:8081/tcp")
	if got := say(t, conn, "hello\n"); got != "stage:8081/tcp hello\n" {
		t.Errorf("answer %q", got)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	if rest, err := io.ReadAll(conn); string(rest) != "the end\n" || err != nil {
		t.Errorf("after the half-close: %q, %v", rest, err)
	}
}

// What the server refuses is a connection that is reset, never one that ends in peace;
// and the next one may go through.
func TestRefusedLater(t *testing.T) {
	o := open(t, func(c *access.Config) { c.Ports = []access.Port{port(t, "8081:0")} })
	o.set("stage:8081/tcp", postern.Errorf(postern.CodeAccessDenied, "narrowed"))
	for range 2 {
		if !o.cut(t, "stage:8081/tcp") {
			t.Error("the connection ended in peace")
		}
	}
	o.set("stage:8081/tcp", nil)
	if got := say(t, o.dial(t, "tcp", "stage:8081/tcp"), "hello\n"); got != "stage:8081/tcp hello\n" {
		t.Errorf("answer %q", got)
	}
}

// Each source of datagrams has a flow of its own; boundaries are kept, empty ones too.
func TestUDP(t *testing.T) {
	o := open(t, func(c *access.Config) { c.Ports = []access.Port{port(t, "53/udp:0")} })
	one, two := o.dial(t, "udp", "stage:53/udp"), o.dial(t, "udp", "stage:53/udp")
	for _, text := range []string{"a", "", strings.Repeat("x", 8000)} {
		for _, conn := range []net.Conn{one, two} {
			if got := say(t, conn, text); got != "stage:53/udp "+text {
				t.Errorf("answer of %d bytes to %d", len(got), len(text))
			}
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.dialled) != 2 {
		t.Errorf("%d streams for two sources", len(o.dialled))
	}
}

// At the start the server is asked for every port: what it refuses is told and not
// opened, what nobody offers yet is; where nothing is left that is an error.
func TestRefusedAtTheStart(t *testing.T) {
	var refused []string
	o := open(t, func(c *access.Config) {
		g := c.Dialer.(*gateways)
		g.refuse["stage:53/udp"] = postern.Errorf(postern.CodeAccessDenied, "not you")
		c.Ports = []access.Port{port(t, "8081:0"), port(t, "9:0")}
		c.Proxies = []access.Proxy{{Listen: anyPort, SOCKS5: true}}
		c.Refused = func(p access.Port, why *postern.Error) { refused = append(refused, p.String()+" "+string(why.Code)) }
	})
	if len(o.at) != 3 || len(refused) != 0 {
		t.Errorf("open are %v, refused %v", o.at, refused)
	}
	for what, c := range map[string]struct {
		ports []string
		code  postern.Code
	}{
		"denied":  {[]string{"53/udp:0"}, postern.CodeAccessDenied},
		"unknown": {[]string{"8081:0", "53/udp:0"}, postern.CodeGatewayUnknown},
	} {
		t.Run(what, func(t *testing.T) {
			g := &gateways{refuse: map[string]*postern.Error{"stage:53/udp": postern.Errorf(c.code, "not you"), "stage:8081/tcp": postern.Errorf(c.code, "not you")}}
			var ports []access.Port
			var told []string
			for _, text := range c.ports {
				ports = append(ports, port(t, text))
			}
			a, err := access.Listen(t.Context(), access.Config{Dialer: g, Gateway: "stage", Ports: ports, Logger: testkit.Logger(t),
				Refused: func(p access.Port, why *postern.Error) { told = append(told, p.String()) }})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Run(t.Context()); !postern.HasCode(err, c.code) {
				t.Errorf("Run = %v", err)
			}
			if len(told) != len(c.ports) {
				t.Errorf("told were %v", told)
			}
		})
	}
}

// A proxy of a gateway that does not exist is of no use to anybody.
func TestProxyOfAnUnknownGateway(t *testing.T) {
	g := &gateways{refuse: map[string]*postern.Error{}}
	a, err := access.Listen(t.Context(), access.Config{Dialer: g, Gateway: "nowhere", Proxies: []access.Proxy{{Listen: anyPort, HTTP: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Run(t.Context()); !postern.HasCode(err, postern.CodeGatewayUnknown) {
		t.Errorf("Run = %v", err)
	}
}

func TestAddressInUse(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	p := port(t, "8081")
	p.Listen = netip.MustParseAddrPort(taken.Addr().String())
	_, err = access.Listen(t.Context(), access.Config{Dialer: &gateways{}, Gateway: "stage", Ports: []access.Port{port(t, "53/udp:0"), p}})
	if !postern.HasCode(err, postern.CodeFlagInvalid) || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("Listen = %v", err)
	}
}

// One connection too many is reset, and none of the others is touched.
func TestConnectionLimit(t *testing.T) {
	o := open(t, func(c *access.Config) {
		c.Ports, c.Connections = []access.Port{port(t, "8081:0")}, 2
	})
	first, second := o.dial(t, "tcp", "stage:8081/tcp"), o.dial(t, "tcp", "stage:8081/tcp")
	for _, conn := range []net.Conn{first, second} {
		say(t, conn, "hello\n")
	}
	if !o.cut(t, "stage:8081/tcp") {
		t.Error("the third was not cut")
	}
	if got := say(t, first, "still here\n"); !strings.Contains(got, "still here") {
		t.Errorf("the first got %q", got)
	}
}

// The end closes listeners at once, and connections end by themselves.
func TestDrain(t *testing.T) {
	o := open(t, func(c *access.Config) { c.Ports = []access.Port{port(t, "8081:0")} })
	conn := o.dial(t, "tcp", "stage:8081/tcp")
	say(t, conn, "hello\n")
	o.cancel()
	closed := func() bool {
		other, err := net.DialTimeout("tcp", o.at["stage:8081/tcp"], time.Second)
		if err == nil {
			other.Close()
		}
		return err != nil
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !closed() {
		<-tick.C
	}
	if got := say(t, conn, "still here\n"); !strings.Contains(got, "still here") {
		t.Errorf("got %q", got)
	}
	_ = conn.Close()
}

// Of several ports those that are allowed are opened.
func TestPartlyRefused(t *testing.T) {
	g := &gateways{refuse: map[string]*postern.Error{"stage:53/udp": postern.Errorf(postern.CodeAccessDenied, "not you")}}
	var refused []string
	opened := make(chan string, 2)
	a, err := access.Listen(t.Context(), access.Config{
		Dialer: g, Gateway: "stage", Ports: []access.Port{port(t, "53/udp:0"), port(t, "8081:0")},
		Opened:  func(_ net.Addr, to string) { opened <- to },
		Refused: func(p access.Port, _ *postern.Error) { refused = append(refused, p.String()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	to := <-opened
	cancel()
	if err := <-done; err != nil || to != "stage:8081/tcp" || !slices.Equal(refused, []string{"stage:53/udp"}) || len(opened) != 0 {
		t.Errorf("%v; open is %s, refused %v", err, to, refused)
	}
}
