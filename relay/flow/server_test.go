package flow_test

import (
	"bytes"
	"fmt"
	"net"
	"testing"

	"github.com/postern-dev/postern/relay/flow"
)

// Sources are told apart, and each datagram comes back whole to whom it belongs.
func TestSourcesAndBoundaries(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			service := loopback(t, "127.0.0.1:0")
			go echo(service)
			conn := loopback(t, address)
			port := conn.LocalAddr().(*net.UDPAddr).Port
			s := serve(t, conn, flow.Config{Open: relayed(t, service.LocalAddr().String(), nil)})
			host := "127.0.0.1"
			if address == "[::1]:0" {
				host = "::1"
			}
			for i := range 8 { // in turn: the service's own socket holds three of the largest
				pingPong(t, dial(t, net.JoinHostPort(host, fmt.Sprint(port))), i)
			}
			if c := s.Counters(); c.Opened.Load() != 8 || c.AllDropped() != 0 {
				t.Errorf("%d flows, %d datagrams dropped", c.Opened.Load(), c.AllDropped())
			}
		})
	}
}

func pingPong(t *testing.T, conn *net.UDPConn, salt int) {
	buffer := make([]byte, 1<<16)
	for _, n := range []int{5, 0, 1472, 9000, flow.MaxDatagram, 1} {
		sent := payload(n)
		if n > 0 {
			sent[0] = byte(salt)
		}
		if _, err := conn.Write(sent); err != nil {
			t.Errorf("source %d: %v", salt, err)
			return
		}
		got, err := conn.Read(buffer)
		if err != nil || !bytes.Equal(buffer[:got], sent) {
			t.Errorf("source %d: %d bytes came back for %d: %v", salt, got, n, err)
			return
		}
	}
}

// A host with several addresses answers from the one that was asked: a connected socket
// hears nobody else.
func TestRepliesComeFromTheAddressAsked(t *testing.T) {
	service := loopback(t, "127.0.0.1:0")
	go echo(service)
	for _, wildcard := range []string{"0.0.0.0:0", "[::]:0"} {
		conn := loopback(t, wildcard)
		serve(t, conn, flow.Config{Open: relayed(t, service.LocalAddr().String(), nil)})
		for _, asked := range []string{"127.0.0.2", "127.0.0.3"} {
			client := dial(t, net.JoinHostPort(asked, fmt.Sprint(conn.LocalAddr().(*net.UDPAddr).Port)))
			pingPong(t, client, 1)
		}
	}
}
