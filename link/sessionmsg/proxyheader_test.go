package sessionmsg_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/sessionmsg"
)

var exampleHeader = link.Header{
	Endpoint:   "ep-bind-1",
	ClientAddr: netip.MustParseAddrPort("[2001:db8::1]:4711"),
	Scheme:     postern.HTTPS,
}

func TestProxyHeaderOnTheWire(t *testing.T) {
	raw := sessionmsg.AppendProxyHeader(nil, exampleHeader)
	const want = `{"Id":"ep-bind-1","ClientAddr":"[2001:db8::1]:4711","Proto":"https","EdgeType":"0","PassthroughTLS":false}`
	if got := string(raw[8:]); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if n := binary.LittleEndian.Uint64(raw); n != uint64(len(want)) {
		t.Errorf("length %d, want %d", n, len(want))
	}
}

func TestReadProxyHeaderTakesNoMore(t *testing.T) {
	r := bytes.NewReader(append(sessionmsg.AppendProxyHeader(nil, exampleHeader), "visitor"...))
	h, err := sessionmsg.ReadProxyHeader(r)
	if err != nil || h != exampleHeader {
		t.Fatalf("got %+v, %v", h, err)
	}
	if rest, _ := io.ReadAll(r); string(rest) != "visitor" {
		t.Errorf("the visitor's bytes are %q", rest)
	}
}

func TestReadProxyHeaderRefuses(t *testing.T) {
	sized := func(body string) string {
		return string(binary.LittleEndian.AppendUint64(nil, uint64(len(body)))) + body
	}
	tests := []struct{ name, wire string }{
		{"no length", "\x00\x00\x00\x00\x00\x00\x00\x00"},
		{"a length beyond reason", "\xff\xff\xff\xff\xff\xff\xff\x7f{"},
		{"a negative length", "\xff\xff\xff\xff\xff\xff\xff\xff{"},
		{"no JSON", sized("xxxx")},
		{"an unknown scheme", sized(`{"Proto":"gopher"}`)},
		{"a bad address", sized(`{"Proto":"tcp","ClientAddr":"nowhere"}`)},
		{"too much JSON", sized(`{"Id":"` + strings.Repeat("x", 9000) + `"}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := sessionmsg.ReadProxyHeader(strings.NewReader(tt.wire)); !postern.HasCode(err, postern.CodeProtocolViolation) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Every header that can be written is read back as it was, and is JSON.
func FuzzProxyHeaderRoundTrip(f *testing.F) {
	f.Add("id", "1.2.3.4:5", "tcp", true)
	f.Add("\"\\\x00é", "[::1]:65535", "https", false)
	f.Fuzz(func(t *testing.T, id, address, scheme string, passthrough bool) {
		parsed, err := postern.ParseScheme(scheme)
		if err != nil || len(id) > 1000 {
			return
		}
		client, err := netip.ParseAddrPort(address)
		if err != nil || client.Addr().Zone() != "" {
			return
		}
		h := link.Header{Endpoint: strings.ToValidUTF8(id, "?"), ClientAddr: client, Scheme: parsed, PassthroughTLS: passthrough}
		raw := sessionmsg.AppendProxyHeader(nil, h)
		if !json.Valid(raw[8:]) {
			t.Fatalf("not JSON: %s", raw[8:])
		}
		if got, err := sessionmsg.ReadProxyHeader(bytes.NewReader(raw)); err != nil || got != h {
			t.Fatalf("%+v became %+v (%v)", h, got, err)
		}
	})
}

// Hostile headers neither panic nor allocate beyond their limit, and what is
// accepted survives a round trip.
func FuzzReadProxyHeader(f *testing.F) {
	f.Add(sessionmsg.AppendProxyHeader(nil, exampleHeader))
	f.Add([]byte("\x02\x00\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		h, err := sessionmsg.ReadProxyHeader(bytes.NewReader(raw))
		if err != nil {
			return
		}
		again, err := sessionmsg.ReadProxyHeader(bytes.NewReader(sessionmsg.AppendProxyHeader(nil, h)))
		if err != nil || again != h {
			t.Fatalf("%+v became %+v (%v)", h, again, err)
		}
	})
}

func BenchmarkAppendProxyHeader(b *testing.B) {
	var buffer [256]byte
	b.ReportAllocs()
	for b.Loop() {
		sessionmsg.AppendProxyHeader(buffer[:0], exampleHeader)
	}
}

func BenchmarkReadProxyHeader(b *testing.B) {
	raw := sessionmsg.AppendProxyHeader(nil, exampleHeader)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := sessionmsg.ReadProxyHeader(bytes.NewReader(raw)); err != nil {
			b.Fatal(err)
		}
	}
}
