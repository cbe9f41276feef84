package access_test

import (
	"encoding/base64"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/access"
	"github.com/postern-dev/postern/agent/access/socks5"
)

const both = "socks5+http-connect"

func openProxy(t *testing.T, change func(*access.Config)) *opened {
	return open(t, func(c *access.Config) {
		c.Others = []string{"other"}
		c.Proxies = []access.Proxy{{Listen: anyPort, SOCKS5: true, HTTP: true}}
		if change != nil {
			change(c)
		}
	})
}

// command is a SOCKS client's greeting without a password, and its command.
func command(c socks5.Command, to socks5.Address) string {
	return string(socks5.AppendAddress([]byte{5, byte(c), 0}, to))
}

func named(name string, port uint16) socks5.Address { return socks5.Address{Name: name, Port: port} }

func TestSOCKS(t *testing.T) {
	o := openProxy(t, nil)
	o.set("stage:53/tcp", postern.Errorf(postern.CodeAccessDenied, "narrowed"))
	for _, test := range []struct {
		command socks5.Command
		to      socks5.Address
		reply   socks5.Reply
		answer  string
	}{
		{socks5.Connect, named("secure-gateway", 8081), socks5.Succeeded, "stage:8081/tcp hello\n"},
		{socks5.Connect, named("Secure-Gateway.", 8081), socks5.Succeeded, "stage:8081/tcp hello\n"},
		{socks5.Connect, named("stage", 8081), socks5.Succeeded, "stage:8081/tcp hello\n"},
		{socks5.Connect, named("other", 53), socks5.Succeeded, "other:53/tcp hello\n"},
		{socks5.Connect, named("stage", 53), socks5.NotAllowed, ""},
		{socks5.Connect, named("stage", 9), socks5.ConnectionRefused, ""},
		{socks5.Connect, named("stage", 0), socks5.ConnectionRefused, ""},
		{socks5.Connect, named("example.com", 80), socks5.NotAllowed, ""},
		{socks5.Connect, named("localhost", 80), socks5.NotAllowed, ""},
		{socks5.Connect, named("127.0.0.1", 80), socks5.NotAllowed, ""},
		{socks5.Connect, named("sta\nge", 80), socks5.NotAllowed, ""},
		{socks5.Connect, socks5.Address{IP: netip.MustParseAddr("127.0.0.1"), Port: 80}, socks5.NotAllowed, ""},
		{socks5.Connect, socks5.Address{IP: netip.MustParseAddr("::1"), Port: 80}, socks5.NotAllowed, ""},
		{socks5.Bind, named("stage", 8081), socks5.CommandNotSupported, ""},
		{9, named("stage", 8081), socks5.CommandNotSupported, ""},
	} {
		conn := o.dial(t, "tcp", both)
		if got := say(t, conn, "\x05\x02\x02\x00"); got != "\x05\x00" {
			t.Fatalf("the greeting was answered with %q", got)
		}
		got := say(t, conn, command(test.command, test.to))
		if want := string(socks5.AppendReply(nil, test.reply, netip.AddrPort{})); got != want {
			t.Errorf("%v: reply % x, want %d", test.to, got, test.reply)
			continue
		}
		if test.answer == "" {
			if rest, err := io.ReadAll(conn); len(rest) != 0 || err != nil {
				t.Errorf("%v: after the refusal %q, %v", test.to, rest, err)
			}
			continue
		}
		if got := say(t, conn, "hello\n"); got != test.answer {
			t.Errorf("%v: answer %q", test.to, got)
		}
	}
}

// What no SOCKS client says ends the connection, and what is no kind of address is told.
func TestSOCKSGarbage(t *testing.T) {
	o := openProxy(t, nil)
	for said, answer := range map[string]string{
		"\x04\x01\x1f\x91\x00\x00\x00\x01\x00":     "",
		"\x05\x01\x01":                             "\x05\xff",
		"\x05\x00":                                 "\x05\xff",
		"\x05\x01\x00\x04\x01\x00\x01":             "\x05\x00",
		"\x05\x01\x00\x05\x01\x00\x09\x00\x00\x50": "\x05\x00" + string(socks5.AppendReply(nil, socks5.AddressNotRecognised, netip.AddrPort{})),
		"\x00":                 "",
		"\x16\x03\x01\x00\x00": "",
	} {
		conn := o.dial(t, "tcp", both)
		if _, err := io.WriteString(conn, said); err != nil {
			t.Fatal(err)
		}
		_ = conn.(*net.TCPConn).CloseWrite()
		got, _ := io.ReadAll(conn) // a reset or an end
		if string(got) != answer {
			t.Errorf("%q: %q", said, got)
		}
	}
}

func locked(c *access.Config) { c.User, c.Password = "ann", "secret" }

func TestSOCKSPassword(t *testing.T) {
	o := openProxy(t, locked)
	conn := o.dial(t, "tcp", both)
	if got := say(t, conn, "\x05\x01\x00"); got != "\x05\xff" {
		t.Errorf("without a password: %q", got)
	}
	conn = o.dial(t, "tcp", both)
	say(t, conn, "\x05\x01\x02")
	if got := say(t, conn, "\x01\x03ann\x05wrong"); got != "\x01\x01" {
		t.Errorf("a wrong password: %q", got)
	}
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("after a wrong password %d bytes", n)
	}
	conn = o.dial(t, "tcp", both)
	say(t, conn, "\x05\x02\x00\x02")
	if got := say(t, conn, "\x01\x03ann\x06secret"); got != "\x01\x00" {
		t.Errorf("the password: %q", got)
	}
	say(t, conn, command(socks5.Connect, named("stage", 8081)))
	if got := say(t, conn, "hello\n"); got != "stage:8081/tcp hello\n" {
		t.Errorf("answer %q", got)
	}
}

// Datagrams of the client reach the port that they name, answers tell where they are
// from, and the association ends with its connection.
func TestAssociate(t *testing.T) {
	o := openProxy(t, nil)
	conn := o.dial(t, "tcp", both)
	say(t, conn, "\x05\x01\x00")
	reply := say(t, conn, command(socks5.Associate, socks5.Address{IP: netip.IPv4Unspecified()}))
	if len(reply) != 10 || reply[1] != 0 {
		t.Fatalf("reply % x", reply)
	}
	relay := netip.AddrPortFrom(netip.AddrFrom4([4]byte([]byte(reply[4:8]))), uint16(reply[8])<<8|uint16(reply[9]))
	client, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(relay))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_ = client.SetDeadline(time.Now().Add(20 * time.Second))
	for _, bad := range [][]byte{
		[]byte("\x00\x00\x01\x03\x05stage\x00\x35fragment"), nil, []byte("garbage"),
		socks5.AppendDatagram(nil, named("example.com", 53), []byte("x")),
		socks5.AppendDatagram(nil, socks5.Address{IP: netip.MustParseAddr("127.0.0.1"), Port: 53}, []byte("x")),
	} {
		_, _ = client.Write(bad)
	}
	for _, to := range []socks5.Address{named("secure-gateway", 53), named("other", 53), named("secure-gateway", 53)} {
		got := say(t, client, string(socks5.AppendDatagram(nil, to, []byte("query"))))
		from, payload, err := socks5.ParseDatagram([]byte(got))
		gateway := strings.Replace(to.Name, "secure-gateway", "stage", 1)
		if from != to || string(payload) != gateway+":53/udp query" || err != nil {
			t.Errorf("%+v %q, %v", from, payload, err)
		}
	}
	stranger, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(relay))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	_, _ = stranger.Write(socks5.AppendDatagram(nil, named("stage", 8081), []byte("x")))
	say(t, client, string(socks5.AppendDatagram(nil, named("stage", 53), []byte("again")))) // behind the stranger's
	o.mu.Lock()
	if len(o.dialled) != 2 {
		t.Errorf("streams to %v, want one to each of two gateways", o.dialled)
	}
	o.mu.Unlock()
	_ = conn.Close()
	o.streams.Wait()
}

func TestCONNECT(t *testing.T) {
	o := openProxy(t, nil)
	o.set("stage:53/tcp", postern.Errorf(postern.CodeAccessDenied, "narrowed"))
	for head, want := range map[string]string{
		"CONNECT secure-gateway:8081 HTTP/1.1\r\nHost: secure-gateway:8081\r\n\r\n":           "200 Connection established",
		"CONNECT SECURE-GATEWAY:8081 HTTP/1.1\r\nHost: secure-gateway\r\n\r\n":                "200 Connection established",
		"CONNECT stage:8081 HTTP/1.0\r\n\r\n":                                                 "200 Connection established",
		"CONNECT stage:53 HTTP/1.1\r\nHost: stage:53\r\n\r\n":                                 "403 Forbidden",
		"CONNECT stage:9 HTTP/1.1\r\nHost: stage:9\r\n\r\n":                                   "502 Bad Gateway",
		"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n":                   "403 Forbidden",
		"CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n":                         "403 Forbidden",
		"CONNECT stage:8081 HTTP/1.1\r\nHost: evil.example\r\n\r\n":                           "400 Bad Request",
		"CONNECT stage:8081 HTTP/1.1\r\nHost: stage:8081\r\nHost: stage:8081\r\n\r\n":         "400 Bad Request",
		"CONNECT stage:8081 HTTP/1.1\r\nHost: stage:8081\r\nContent-Length: 3\r\n\r\n":        "400 Bad Request",
		"CONNECT stage HTTP/1.1\r\nHost: stage\r\n\r\n":                                       "400 Bad Request",
		"CONNECT stage:0x1f91 HTTP/1.1\r\nHost: stage\r\n\r\n":                                "400 Bad Request",
		"CONNECT stage:8081 HTTP/2\r\n\r\n":                                                   "400 Bad Request",
		"CONNECT\r\n\r\n":                                                                     "400 Bad Request",
		"GET http://secure-gateway:8081/ HTTP/1.1\r\nHost: secure-gateway:8081\r\n\r\n":       "405 Method Not Allowed",
		"POST / HTTP/1.1\r\nHost: 127.0.0.1:8888\r\nOrigin: https://evil.example\r\n\r\nbody": "405 Method Not Allowed",
	} {
		conn := o.dial(t, "tcp", both)
		got := say(t, conn, head)
		if !strings.HasPrefix(got, "HTTP/1.1 "+want+"\r\n") {
			t.Errorf("%q: %q", head, got)
		}
		if strings.HasPrefix(want, "200") {
			if got := say(t, conn, "hello\n"); got != "stage:8081/tcp hello\n" {
				t.Errorf("%q: answer %q", head, got)
			}
		}
	}
}

// A client that does not wait for the answer loses nothing.
func TestCONNECTWithEarlyBytes(t *testing.T) {
	o := openProxy(t, nil)
	conn := o.dial(t, "tcp", both)
	if _, err := io.WriteString(conn, "CONNECT stage:8081 HTTP/1.1\r\nHost: stage:8081\r\n\r\nearly\n"); err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.TCPConn).CloseWrite()
	got, err := io.ReadAll(conn)
	if want := "HTTP/1.1 200 Connection established\r\n\r\nstage:8081/tcp early\nthe end\n"; string(got) != want || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCONNECTPassword(t *testing.T) {
	o := openProxy(t, locked)
	for authorization, want := range map[string]string{
		"":                           "407",
		"Basic " + in("ann:no"):      "407",
		"Basic " + in("annsecret"):   "407",
		"Bearer " + in("ann:secret"): "407",
		"basic " + in("ann:secret"):  "200",
	} {
		conn := o.dial(t, "tcp", both)
		head := "CONNECT stage:8081 HTTP/1.1\r\nHost: stage:8081\r\n"
		if authorization != "" {
			head += "Proxy-Authorization: " + authorization + "\r\n"
		}
		if got := say(t, conn, head+"\r\n"); !strings.HasPrefix(got, "HTTP/1.1 "+want) || strings.Contains(got, "Proxy-Authenticate: Basic") != (want == "407") {
			t.Errorf("%q: %q", authorization, got)
		}
	}
}

func in(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }

// A head has a size.
func TestLongHead(t *testing.T) {
	o := openProxy(t, nil)
	conn := o.dial(t, "tcp", both)
	_, _ = io.WriteString(conn, "CONNECT stage:8081 HTTP/1.1\r\nX: "+strings.Repeat("x", 64<<10)) // the rest may meet a reset
	if rest, _ := io.ReadAll(conn); len(rest) != 0 {
		t.Errorf("answer %q", rest)
	}
}

// One protocol alone is one protocol alone.
func TestOneProtocol(t *testing.T) {
	o := open(t, func(c *access.Config) {
		c.Proxies = []access.Proxy{{Listen: anyPort, SOCKS5: true}, {Listen: anyPort, HTTP: true}}
	})
	for to, said := range map[string]string{"socks5": "CONNECT stage:8081 HTTP/1.1\r\n\r\n", "http-connect": "\x05\x01\x00"} {
		conn := o.dial(t, "tcp", to)
		_, _ = io.WriteString(conn, said)
		if rest, _ := io.ReadAll(conn); len(rest) != 0 {
			t.Errorf("%s: %q", to, rest)
		}
	}
}
