package socks5_test

import (
	"bytes"
	"errors"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern/agent/access/socks5"
)

// The examples are RFC 1928's and RFC 1929's formats, byte by byte.
func TestGreeting(t *testing.T) {
	methods, err := socks5.ReadMethods(strings.NewReader("\x05\x02\x00\x02rest"))
	if err != nil || !slices.Equal(methods, []socks5.Method{socks5.NoAuthentication, socks5.Password}) {
		t.Errorf("%v, %v", methods, err)
	}
	if got := socks5.AppendMethod(nil, socks5.NoneAcceptable); string(got) != "\x05\xff" {
		t.Errorf("% x", got)
	}
	if _, err := socks5.ReadMethods(strings.NewReader("\x04\x01\x00\x50")); !errors.Is(err, socks5.ErrMalformed) {
		t.Errorf("SOCKS 4: %v", err)
	}
	name, password, err := socks5.ReadPassword(strings.NewReader("\x01\x03ann\x06secret"))
	if name != "ann" || password != "secret" || err != nil {
		t.Errorf("%q %q %v", name, password, err)
	}
	if got := socks5.AppendVerdict(socks5.AppendVerdict(nil, true), false); string(got) != "\x01\x00\x01\x01" {
		t.Errorf("% x", got)
	}
}

func TestRequests(t *testing.T) {
	for raw, want := range map[string]socks5.Request{
		"\x05\x01\x00\x03\x0esecure-gateway\x1f\x91": {Command: socks5.Connect, Address: socks5.Address{Name: "secure-gateway", Port: 8081}},
		"\x05\x03\x00\x01\x7f\x00\x00\x01\x00\x00":   {Command: socks5.Associate, Address: socks5.Address{IP: netip.MustParseAddr("127.0.0.1")}},
		"\x05\x02\x00\x04" + strings.Repeat("\x00", 15) + "\x01\x00\x50": {Command: socks5.Bind,
			Address: socks5.Address{IP: netip.MustParseAddr("::1"), Port: 80}},
	} {
		got, err := socks5.ReadRequest(strings.NewReader(raw))
		if got != want || err != nil {
			t.Errorf("%q: %+v, %v", raw, got, err)
		}
	}
	for raw, want := range map[string]error{
		"\x04\x01\x00\x01":                 socks5.ErrMalformed,
		"\x05\x01\x01\x01":                 socks5.ErrMalformed,
		"\x05\x01\x00\x03\x00\x00\x50":     socks5.ErrMalformed,
		"\x05\x01\x00\x02\x00\x00":         socks5.ErrAddressKind,
		"\x05\x01\x00\x03\x05name":         io.ErrUnexpectedEOF,
		"":                                 io.EOF,
		"\x05\x01\x00\x01\x7f\x00\x00\x01": io.EOF,
	} {
		if _, err := socks5.ReadRequest(strings.NewReader(raw)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", raw, err, want)
		}
	}
	if got := socks5.AppendReply(nil, socks5.Succeeded, netip.AddrPort{}); string(got) != "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00" {
		t.Errorf("% x", got)
	}
}

func TestDatagrams(t *testing.T) {
	to := socks5.Address{Name: "secure-gateway", Port: 53}
	raw := socks5.AppendDatagram(nil, to, []byte("query"))
	if got, payload, err := socks5.ParseDatagram(raw); got != to || string(payload) != "query" || err != nil {
		t.Errorf("%+v, %q, %v", got, payload, err)
	}
	raw[2] = 1
	for _, bad := range [][]byte{raw, nil, {0, 0}, {1, 0, 0, 1}, {0, 0, 0, 1, 127}} {
		if _, _, err := socks5.ParseDatagram(bad); !errors.Is(err, socks5.ErrMalformed) {
			t.Errorf("% x: %v", bad, err)
		}
	}
}

// What a hostile client says neither panics nor is read beyond its end, and what is
// accepted is written the same again.
func FuzzReadRequest(f *testing.F) {
	f.Add([]byte("\x05\x01\x00\x03\x0esecure-gateway\x1f\x91"))
	f.Add([]byte("\x05\x03\x00\x01\x7f\x00\x00\x01\x00\x00"))
	f.Add(append([]byte("\x05\x02\x00\x04"), make([]byte, 18)...))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bytes.NewReader(raw)
		request, err := socks5.ReadRequest(r)
		if err != nil {
			return
		}
		again := socks5.AppendAddress([]byte{socks5.Version, byte(request.Command), 0}, request.Address)
		if request.Address.IP.Is4In6() {
			return // written as IPv4
		}
		if read := raw[:len(raw)-r.Len()]; !bytes.Equal(again, read) {
			t.Fatalf("% x was read and % x written", read, again)
		}
	})
}

// The same for datagrams and for the greeting with a password.
func FuzzParseDatagram(f *testing.F) {
	f.Add(socks5.AppendDatagram(nil, socks5.Address{Name: "secure-gateway", Port: 53}, []byte("query")))
	f.Add([]byte("\x00\x00\x00\x01\x7f\x00\x00\x01\x00\x35"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		to, payload, err := socks5.ParseDatagram(raw)
		if err == nil && !to.IP.Is4In6() {
			if again := socks5.AppendDatagram(nil, to, payload); !bytes.Equal(again, raw) {
				t.Fatalf("% x became % x", raw, again)
			}
		}
		r := bytes.NewReader(raw)
		if methods, err := socks5.ReadMethods(r); err == nil && len(methods) > 255 {
			t.Fatal("too many methods")
		}
		_, _, _ = socks5.ReadPassword(r)
	})
}
