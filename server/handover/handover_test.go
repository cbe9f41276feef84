//go:build unix

package handover_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/handover"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sockets gives the two ends of a connection between two processes.
func sockets(t *testing.T) (running, newcomer *net.UnixConn) {
	t.Helper()
	ln, err := handover.Listen(t.TempDir(), "s")
	must(t, err)
	defer ln.Close()
	newcomer, err = handover.Dial(t.Context(), filepath.Dir(ln.Addr().String()), "s")
	must(t, err)
	running, err = ln.AcceptUnix()
	must(t, err)
	t.Cleanup(func() { running.Close(); newcomer.Close() })
	return running, newcomer
}

func tcp(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln
}

func udp(t *testing.T) *net.UDPConn {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	must(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// running is a process that can hand over, with many ports.
type running struct {
	handover.Giver
	https   net.Listener
	dns     *net.UDPConn
	ports   handover.PortSockets
	conn    net.Conn // where a test ends it from here
	retired bool
}

func newRunning(t *testing.T, ports int) *running {
	t.Helper()
	lock, err := os.Create(filepath.Join(t.TempDir(), "lock"))
	must(t, err)
	t.Cleanup(func() { lock.Close() })
	r := &running{https: tcp(t), dns: udp(t), ports: handover.PortSockets{TCP: make(map[uint16]net.Listener), UDP: make(map[uint16]*net.UDPConn)}}
	for range ports {
		ln := tcp(t)
		r.ports.TCP[uint16(ln.Addr().(*net.TCPAddr).Port)] = ln
		conn := udp(t)
		r.ports.UDP[uint16(conn.LocalAddr().(*net.UDPAddr).Port)] = conn
		ln, conn = tcp(t), udp(t)
		r.ports.Gateways = append(r.ports.Gateways,
			handover.GatewaySocket{Gateway: "pgw_1", At: netip.MustParseAddrPort(ln.Addr().String()), Listener: ln},
			handover.GatewaySocket{Gateway: "pgw_2", At: netip.MustParseAddrPort(conn.LocalAddr().String()), Conn: conn})
	}
	r.Giver = handover.Giver{
		Release: "1.0", Lock: lock, Listeners: []handover.Listener{{Name: "listen.https", Address: ":443", Listener: r.https}, {Name: "listen.dns", Address: ":53", Datagrams: r.dns}},
		Retire: func(give func(handover.PortSockets) error) error {
			err := give(r.ports)
			r.retired = err == nil
			return err
		},
	}
	return r
}

// give runs the running side; what it ended with comes over the channel.
func (r *running) give(t *testing.T, conn *net.UnixConn) <-chan error {
	over := make(chan error, 1)
	go func() { over <- r.Give(t.Context(), conn) }()
	return over
}

// accepts tells whether a connection to the address is accepted by ln.
func accepts(t *testing.T, ln net.Listener, address net.Addr) {
	t.Helper()
	conn, err := net.Dial("tcp", address.String())
	must(t, err)
	defer conn.Close()
	must(t, ln.(*net.TCPListener).SetDeadline(time.Now().Add(10*time.Second)))
	taken, err := ln.Accept()
	must(t, err)
	taken.Close()
}

// receives tells whether a datagram to the address is received by conn.
func receives(t *testing.T, conn *net.UDPConn, address net.Addr) {
	t.Helper()
	from, err := net.Dial("udp", address.String())
	must(t, err)
	defer from.Close()
	_, err = from.Write([]byte("x"))
	must(t, err)
	must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, _, err = conn.ReadFrom(make([]byte, 1))
	must(t, err)
}

func TestListenersAndLockGoOver(t *testing.T) {
	r := newRunning(t, 150) // more than one message can take
	conn, newcomer := sockets(t)
	over := r.give(t, conn)
	taker, err := handover.Ask(t.Context(), newcomer, "2.0")
	must(t, err)
	defer taker.Close()
	if taker.Release != "1.0" || len(taker.Listeners) != 2 || taker.Listeners[0].Name != "listen.https" || taker.Listeners[0].Address != ":443" {
		t.Fatalf("%+v", taker)
	}
	if _, err := taker.Lock.WriteString("is the same file"); err != nil {
		t.Fatal(err)
	}
	ports, err := taker.Ports(t.Context())
	must(t, err)
	if len(ports.TCP) != len(r.ports.TCP) || len(ports.UDP) != len(r.ports.UDP) || len(ports.Gateways) != len(r.ports.Gateways) {
		t.Fatalf("%d and %d ports of %d and %d", len(ports.TCP), len(ports.UDP), len(r.ports.TCP), len(r.ports.UDP))
	}
	goesOn, err := taker.Serving(t.Context())
	must(t, err)
	if goesOn {
		t.Fatal("the running process goes on")
	}
	must(t, <-over)
	if !r.retired {
		t.Fatal("the running process did not retire")
	}
	must(t, r.https.Close())
	accepts(t, taker.Listeners[0].Listener, r.https.Addr())
	if had := taker.Listeners[1]; had.Name != "listen.dns" || had.Address != ":53" || had.Datagrams == nil {
		t.Fatalf("%+v", had)
	}
	must(t, r.dns.Close())
	receives(t, taker.Listeners[1].Datagrams, r.dns.LocalAddr())
	for port, ln := range ports.TCP {
		must(t, r.ports.TCP[port].Close())
		accepts(t, ln, r.ports.TCP[port].Addr())
		must(t, ln.Close())
	}
	for port, conn := range ports.UDP {
		must(t, r.ports.UDP[port].Close())
		receives(t, conn, r.ports.UDP[port].LocalAddr())
		must(t, conn.Close())
	}
	for i, one := range ports.Gateways {
		had := r.ports.Gateways[i]
		if one.Gateway != had.Gateway || one.At != had.At || (one.Conn == nil) != (had.Conn == nil) {
			t.Fatalf("a gateway's socket was %+v and is %+v", had, one)
		}
		if one.Conn != nil {
			must(t, had.Conn.Close())
			receives(t, one.Conn, net.UDPAddrFromAddrPort(one.At))
			must(t, one.Conn.Close())
			continue
		}
		must(t, had.Listener.Close())
		accepts(t, one.Listener, net.TCPAddrFromAddrPort(one.At))
		must(t, one.Listener.Close())
	}
	if text, err := os.ReadFile(r.Lock.Name()); string(text) != "is the same file" {
		t.Fatalf("%q, %v", text, err)
	}
}

// B5-4: whatever fails before the newcomer serves, the running process goes on as if
// nothing had happened.
func TestFailuresLeaveTheRunningProcessAsItWas(t *testing.T) {
	cases := map[string]func(t *testing.T, conn *net.UnixConn) (ends bool){
		"it is gone at once": func(t *testing.T, conn *net.UnixConn) bool { return conn.Close() == nil },
		"it is gone after the offer": func(t *testing.T, conn *net.UnixConn) bool {
			taker, err := handover.Ask(t.Context(), conn, "2.0")
			must(t, err)
			taker.Close()
			return true
		},
		"it is gone after the ports": func(t *testing.T, conn *net.UnixConn) bool {
			taker, err := handover.Ask(t.Context(), conn, "2.0")
			must(t, err)
			ports, err := taker.Ports(t.Context())
			must(t, err)
			for _, ln := range ports.TCP {
				must(t, ln.Close())
			}
			taker.Close()
			return true
		},
		"another version": func(t *testing.T, conn *net.UnixConn) bool {
			say(t, conn, `{"Kind":"hello","Version":99}`)
			return answered(t, conn)
		},
		"the wrong message": func(t *testing.T, conn *net.UnixConn) bool {
			say(t, conn, `{"Kind":"serving"}`)
			return answered(t, conn)
		},
		"no message": func(t *testing.T, conn *net.UnixConn) bool {
			say(t, conn, `]`)
			return answered(t, conn)
		},
		"too much": func(t *testing.T, conn *net.UnixConn) bool {
			_, err := conn.Write([]byte{0xff, 0xff, 0xff, 0xff})
			must(t, err)
			return answered(t, conn)
		},
	}
	for what, newcomer := range cases {
		t.Run(what, func(t *testing.T) {
			r := newRunning(t, 3)
			conn, other := sockets(t)
			over := r.give(t, conn)
			newcomer(t, other)
			if err := <-over; err == nil || r.retired {
				t.Fatalf("retired %v, %v", r.retired, err)
			}
			accepts(t, r.https, r.https.Addr())
			for _, ln := range r.ports.TCP {
				accepts(t, ln, ln.Addr())
			}
		})
	}
}

func say(t *testing.T, conn *net.UnixConn, text string) {
	t.Helper()
	_, err := conn.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...))
	must(t, err)
}

// answered tells whether the running process says why, before it closes.
func answered(t *testing.T, conn *net.UnixConn) bool {
	t.Helper()
	must(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	text, err := io.ReadAll(conn)
	if len(text) < 4 {
		t.Errorf("closed without a word: %v", err)
	}
	return true
}

// A running process that does not hand over, or ends half-way, is an error with a code.
func TestNewcomerIsTold(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		r := newRunning(t, 0)
		r.Retire = func(func(handover.PortSockets) error) error {
			return postern.Errorf(postern.CodeServerBusy, "not now")
		}
		conn, newcomer := sockets(t)
		over := r.give(t, conn)
		taker, err := handover.Ask(t.Context(), newcomer, "2.0")
		must(t, err)
		defer taker.Close()
		if _, err := taker.Ports(t.Context()); !postern.HasCode(err, postern.CodeServerBusy) {
			t.Errorf("%v", err)
		}
		if err := <-over; err == nil {
			t.Error("no error at the running process")
		}
	})
	t.Run("too late", func(t *testing.T) {
		r := newRunning(t, 1)
		ctx, giveUp := context.WithCancel(t.Context())
		conn, newcomer := sockets(t)
		over := make(chan error, 1)
		go func() { over <- r.Give(ctx, conn) }()
		taker, err := handover.Ask(t.Context(), newcomer, "2.0")
		must(t, err)
		defer taker.Close()
		ports, err := taker.Ports(t.Context())
		must(t, err)
		for _, ln := range ports.TCP {
			defer ln.Close()
		}
		giveUp() // as it does when its patience ends
		if err := <-over; err == nil || r.retired {
			t.Fatalf("retired %v, %v", r.retired, err)
		}
		if goesOn, err := taker.Serving(t.Context()); !goesOn || err == nil {
			t.Errorf("the newcomer believes that it is the server: %v", err)
		}
	})
	t.Run("gone in the last moment", func(t *testing.T) {
		r := newRunning(t, 1)
		r.Retire = func(give func(handover.PortSockets) error) error {
			return errors.Join(give(r.ports), r.conn.Close())
		}
		conn, newcomer := sockets(t)
		r.conn = conn
		over := r.give(t, conn)
		taker, err := handover.Ask(t.Context(), newcomer, "2.0")
		must(t, err)
		defer taker.Close()
		ports, err := taker.Ports(t.Context())
		must(t, err)
		for _, ln := range ports.TCP {
			defer ln.Close()
		}
		if goesOn, err := taker.Serving(t.Context()); goesOn || !postern.HasCode(err, postern.CodeHandOverRefused) {
			t.Errorf("nobody is the server: %v, %v", goesOn, err)
		}
		<-over
	})
	t.Run("gone", func(t *testing.T) {
		conn, newcomer := sockets(t)
		go func() {
			_, _ = conn.Read(make([]byte, 4))
			_ = conn.Close()
		}()
		if _, err := handover.Ask(t.Context(), newcomer, "2.0"); !postern.HasCode(err, postern.CodeHandOverRefused) {
			t.Errorf("%v", err)
		}
	})
}

// A directory whose path is too long for a socket's is reached all the same.
func TestLongPaths(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a-directory-with-a-name-that-is-rather-long", "and-another-one-below-it-that-is-as-long-as-the-first")
	must(t, os.MkdirAll(dir, 0o700))
	ln, err := handover.Listen(dir, "postern.sock")
	must(t, err)
	conn, err := handover.Dial(t.Context(), dir, "postern.sock")
	must(t, err)
	must(t, errors.Join(conn.Close(), ln.Close()))
	again, err := handover.Listen(dir, "postern.sock") // the file of the first is still there
	must(t, err)
	must(t, again.Close())
}
