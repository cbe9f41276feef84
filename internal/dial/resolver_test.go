package dial_test

import (
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/internal/testkit/ports"
)

// nameServer answers every question for an A record with 127.0.0.1.
func nameServer(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			var message dnsmessage.Message
			if message.Unpack(buffer[:n]) != nil || len(message.Questions) != 1 {
				continue
			}
			message.Response, message.Additionals = true, nil
			if question := message.Questions[0]; question.Type == dnsmessage.TypeA {
				message.Answers = []dnsmessage.Resource{{
					Header: dnsmessage.ResourceHeader{Name: question.Name, Class: question.Class, TTL: 1},
					Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
				}}
			}
			answer, err := message.Pack()
			if err == nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

// A name that only the given server knows; the one before it does not answer.
func TestResolver(t *testing.T) {
	listener := listen(t, "tcp", "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	dialer := dial.Dialer{Resolver: dial.ResolverAt(netip.MustParseAddrPort(ports.Address(t)), nameServer(t))}
	conn, err := dialer.Dial(t.Context(), "tcp", "connect.postern.test:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if dial.Resolver(nil) != nil {
		t.Error("no servers give a resolver of their own")
	}
}

func TestInterface(t *testing.T) {
	if runtime.GOOS != "linux" { // others have no 127.0.0.2
		return
	}
	listener := listen(t, "tcp", "127.0.0.1:0")
	for name, from := range map[string]string{"lo": "127.0.0.1", "127.0.0.2": "127.0.0.2"} {
		conn, err := (&dial.Dialer{Interface: name}).Dial(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Errorf("by %s: %v", name, err)
			continue
		}
		if got := conn.LocalAddr().(*net.TCPAddr).IP.String(); got != from {
			t.Errorf("by %s it leaves from %s", name, got)
		}
		conn.Close()
	}
	_, err := (&dial.Dialer{Interface: "nope0"}).Dial(t.Context(), "tcp", listener.Addr().String())
	if !postern.HasCode(err, postern.CodeConfigInvalid) || !strings.Contains(err.Error(), "nope0") {
		t.Errorf("by an interface that there is not: %v", err)
	}
}
