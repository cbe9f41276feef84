package relay_test

import (
	"bufio"
	"bytes"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay"
)

func TestProxyHeader(t *testing.T) {
	v4, v4b := netip.MustParseAddrPort("192.0.2.7:51000"), netip.MustParseAddrPort("198.51.100.1:443")
	v6, v6b := netip.MustParseAddrPort("[2001:db8::7]:51000"), netip.MustParseAddrPort("[2001:db8::1]:443")
	mapped := netip.MustParseAddrPort("[::ffff:192.0.2.7]:51000")
	zoned := netip.MustParseAddrPort("[fe80::1%eth0]:51000")
	cases := map[string]struct {
		version  int
		src, dst netip.AddrPort
		want     string
	}{
		"v1 IPv4":        {1, v4, v4b, "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n"},
		"v1 mapped IPv4": {1, mapped, v4b, "PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n"},
		"v1 unknown":     {1, netip.AddrPort{}, v4b, "PROXY UNKNOWN\r\n"},
		"v1 IPv6": {1, v6, v6b, "PROXY TCP6 2001:0db8:0000:0000:0000:0000:0000:0007 " +
			"2001:0db8:0000:0000:0000:0000:0000:0001 51000 443\r\n"},
		"v1 mixed": {1, v4, v6b, "PROXY TCP6 0000:0000:0000:0000:0000:ffff:c000:0207 " +
			"2001:0db8:0000:0000:0000:0000:0000:0001 51000 443\r\n"},
		"v2 IPv4":    {2, v4, v4b, "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\xc7\x38\x01\xbb"},
		"v2 unknown": {2, v4, netip.AddrPort{}, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"},
		"v2 zone": {2, zoned, v6b, "\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24" +
			"\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
			"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\xc7\x38\x01\xbb"},
	}
	for name, c := range cases {
		got, err := relay.ProxyHeader(c.version, c.src, c.dst)
		if err != nil || string(got) != c.want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		if len(got) > 107 {
			t.Errorf("%s: %d bytes are more than a receiver must take", name, len(got))
		}
	}
	if _, err := relay.ProxyHeader(3, v4, v4b); !postern.HasCode(err, postern.CodeOptionUnsupported) {
		t.Errorf("version 3: %v", err)
	}
}

func TestAcceptProxied(t *testing.T) {
	const body = "GET / HTTP/1.1\r\n"
	cases := map[string]struct{ header, remote, local string }{
		"v1":           {"PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\n", "192.0.2.7:51000", "198.51.100.1:443"},
		"v1 IPv6":      {"PROXY TCP6 2001:db8::7 2001:db8::1 51000 443\r\n", "[2001:db8::7]:51000", "[2001:db8::1]:443"},
		"v1 unknown":   {"PROXY UNKNOWN\r\n", "192.0.2.1:40001", "192.0.2.2:443"},
		"v2 local":     {"\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00", "192.0.2.1:40001", "192.0.2.2:443"},
		"v2 extension": {"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x10\xc0\x00\x02\x07\xc6\x33\x64\x01\xc7\x38\x01\xbb\x04\x00\x01\x00", "192.0.2.7:51000", "198.51.100.1:443"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			proxy, inner := memory(t)
			write(t, proxy, c.header+body)
			_ = proxy.CloseWrite()
			p, err := relay.AcceptProxied(inner, time.Second, 1<<10)
			if err != nil {
				t.Fatal(err)
			}
			if p.RemoteAddr().String() != c.remote || p.LocalAddr().String() != c.local {
				t.Errorf("from %s to %s", p.RemoteAddr(), p.LocalAddr())
			}
			if seen, err := p.Peek(4); err != nil || string(seen[:4]) != "GET " {
				t.Errorf("peeked %q, %v", seen, err)
			}
			if got, err := io.ReadAll(p); string(got) != body || err != nil {
				t.Errorf("read %q, %v", got, err)
			}
		})
	}
}

func TestAcceptProxiedRefuses(t *testing.T) {
	cases := map[string]struct {
		input string
		code  postern.Code
	}{
		"no header":      {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", postern.CodeRequestInvalid},
		"TLS":            {"\x16\x03\x01\x02\x00", postern.CodeRequestInvalid},
		"bad address":    {"PROXY TCP4 192.0.2.777 198.51.100.1 51000 443\r\n", postern.CodeRequestInvalid},
		"v2 too long":    {"\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff" + string(make([]byte, 1000)), postern.CodeRequestInvalid},
		"v1 without end": {"PROXY TCP4 " + string(bytes.Repeat([]byte{'1'}, 200)), postern.CodeRequestInvalid},
		"half a header":  {"PROXY TC", postern.CodeRequestTimeout},
		"silence":        {"", postern.CodeRequestTimeout},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				proxy, inner := memory(t)
				write(t, proxy, c.input)
				if _, err := relay.AcceptProxied(inner, 5*time.Second, 1<<10); !postern.HasCode(err, c.code) {
					t.Fatalf("got %v, want %s", err, c.code)
				}
			})
		})
	}
}

// FuzzProxyHeader: what we write, an independent reader understands.
func FuzzProxyHeader(f *testing.F) {
	f.Add([]byte{192, 0, 2, 7}, []byte{198, 51, 100, 1}, uint16(1), uint16(65535))
	f.Add([]byte{192, 0, 2, 7}, make([]byte, 16), uint16(0), uint16(443))
	f.Fuzz(func(t *testing.T, from, to []byte, fromPort, toPort uint16) {
		src, ok1 := netip.AddrFromSlice(from)
		dst, ok2 := netip.AddrFromSlice(to)
		if !ok1 || !ok2 {
			return
		}
		for version := 1; version <= 2; version++ {
			header, err := relay.ProxyHeader(version, netip.AddrPortFrom(src, fromPort), netip.AddrPortFrom(dst, toPort))
			if err != nil {
				t.Fatal(err)
			}
			read, err := proxyproto.Read(bufio.NewReader(bytes.NewReader(header)))
			if err != nil {
				t.Fatalf("%q: %v", header, err)
			}
			a, b, ok := read.TCPAddrs()
			if !ok || a.AddrPort().Addr().Unmap() != src.Unmap() || b.AddrPort().Addr().Unmap() != dst.Unmap() ||
				a.Port != int(fromPort) || b.Port != int(toPort) {
				t.Fatalf("%q: read as %v, %v", header, a, b)
			}
		}
	})
}

// FuzzAcceptProxied: whatever a proxy sends, nothing panics and nothing is lost.
func FuzzAcceptProxied(f *testing.F) {
	f.Add([]byte("PROXY TCP4 192.0.2.7 198.51.100.1 51000 443\r\nhello"))
	f.Add([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x07\xc6\x33\x64\x01\xc7\x38\x01\xbbhello"))
	f.Fuzz(func(t *testing.T, input []byte) {
		p, err := relay.AcceptProxied(&timeless{script{input: input, size: 11}}, time.Second, 1<<10)
		if err != nil {
			return
		}
		rest, err := io.ReadAll(p)
		if err != nil || !bytes.HasSuffix(input, rest) {
			t.Fatalf("%q behind %q, %v", rest, input, err)
		}
	})
}

// timeless is a script that knows no deadlines.
type timeless struct{ script }

func (*timeless) SetReadDeadline(time.Time) error { return nil }
