package gateway_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server/gateway"
)

// loopback opens ports of its choice on this machine, whatever port is asked for.
type loopback struct{}

func (loopback) ListenTCP(context.Context, netip.AddrPort) (net.Listener, error) {
	return net.Listen("tcp", "127.0.0.1:0")
}

func (loopback) ListenUDP(context.Context, netip.AddrPort) (net.PacketConn, error) {
	return net.ListenPacket("udp", "127.0.0.1:0")
}

// onLoopback has a world use real ports.
func onLoopback(_ *rows, c *gateway.Config) { c.Sockets = loopback{} }

// duplicate is the same socket as another process has it.
func duplicate(t *testing.T, s gateway.Socket) gateway.Socket {
	t.Helper()
	file := testkit.Duplicate(t, s.Listener.(*net.TCPListener))
	defer file.Close()
	var err error
	if s.Listener, err = net.FileListener(file); err != nil {
		t.Fatal(err)
	}
	return s
}

// A consumer who comes when the ports were handed over waits until a connector has come
// over; one that is there stays where it is.
func TestHandOver(t *testing.T) {
	old, next := newWorld(t, onLoopback), newWorld(t, onLoopback)
	stays := old.connect("203.0.113.1:1000", "1", 8081)
	refused := errors.New("not now")
	if err := old.runtime.HandOver(func([]gateway.Socket) error { return refused }); !errors.Is(err, refused) {
		t.Fatal(err)
	}
	var at net.Addr
	var late net.Listener
	err := old.runtime.HandOver(func(all []gateway.Socket) error {
		if len(all) != 1 || all[0].Gateway != "pgw_1" || all[0].At != netip.MustParseAddrPort("127.64.0.1:8081") {
			t.Fatalf("%+v", all)
		}
		at = all[0].Listener.Addr()
		stranger := duplicate(t, all[0])
		stranger.Gateway, late = "pgw_none", stranger.Listener
		next.runtime.Adopt([]gateway.Socket{duplicate(t, all[0]), stranger})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := late.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the port of no gateway is open: %v", err)
	}
	if _, err := stays.bind(8082, ""); !postern.HasCode(err, postern.CodeLinkDraining) {
		t.Errorf("a port was opened by the process that has retired: %v", err)
	}
	next.runtime.ServeAdopted()
	conn, err := net.Dial("tcp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := conn.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	old.runtime.Leave(t.Context(), 0)
	if !postern.HasCode(stays.Cause(), postern.CodeLinkDraining) {
		t.Errorf("%v", stays.Cause())
	}
	next.connect("203.0.113.1:1001", "1", 8081)
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Errorf("who waited was not served: %v", err)
	}
}
