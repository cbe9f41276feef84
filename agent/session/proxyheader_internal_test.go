package session

import (
	"bytes"
	"net/netip"
	"testing"
	"testing/iotest"

	"github.com/postern-dev/postern/relay"
)

// The header is cut off exactly, however it arrives.
func TestReadProxyHeader(t *testing.T) {
	src, dst := netip.MustParseAddrPort("203.0.113.7:4711"), netip.MustParseAddrPort("192.0.2.1:443")
	for _, version := range []int{1, 2} {
		header, err := relay.ProxyHeader(version, src, dst)
		if err != nil {
			t.Fatal(err)
		}
		rest := bytes.NewBuffer(append(bytes.Clone(header), "GET /"...))
		got, err := readProxyHeader(iotest.OneByteReader(rest), version)
		if err != nil || !bytes.Equal(got, header) || rest.String() != "GET /" {
			t.Errorf("version %d: read %q, %v, left %q", version, got, err, rest)
		}
	}
}

func TestReadProxyHeaderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		version int
		bytes   []byte
	}{
		"v1 without end":     {1, bytes.Repeat([]byte("P"), 200)},
		"v1 cut":             {1, []byte("PROXY TCP4")},
		"v2 of something":    {2, bytes.Repeat([]byte("G"), 64)},
		"v2 too long":        {2, append([]byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff"), make([]byte, 70000)...)},
		"v2 cut":             {2, []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0cabc")},
		"v2 without a start": {2, []byte("\r\n")},
	} {
		if got, err := readProxyHeader(bytes.NewReader(c.bytes), c.version); err == nil {
			t.Errorf("%s: read %q", name, got)
		}
	}
}

func FuzzReadProxyHeader(f *testing.F) {
	f.Add(1, []byte("PROXY UNKNOWN\r\nrest"))
	f.Add(2, []byte("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c0123456789abrest"))
	f.Fuzz(func(t *testing.T, version int, text []byte) {
		r := bytes.NewReader(text)
		header, err := readProxyHeader(r, version)
		if err == nil && (!bytes.HasPrefix(text, header) || r.Len() != len(text)-len(header) || len(header) > longestV2) {
			t.Fatalf("read %q of %q, left %d bytes", header, text, r.Len())
		}
	})
}
