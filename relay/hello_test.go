package relay_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/relay"
)

// clientHello records what crypto/tls sends first. Its default key shares are
// post-quantum.
func clientHello(t testing.TB, c *tls.Config) []byte {
	t.Helper()
	client, server := testkit.Pipe()
	defer server.Close()
	go func() {
		_ = tls.Client(client, c).Handshake()
		_ = client.Close()
	}()
	_ = server.SetReadDeadline(time.Now().Add(10 * time.Second))
	head := make([]byte, 5)
	if _, err := io.ReadFull(server, head); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(server, body); err != nil {
		t.Fatal(err)
	}
	return append(head, body...)
}

// inRecords cuts a hello's one record into records of at most n bytes.
func inRecords(hello []byte, n int) []byte {
	var out []byte
	for piece := range slices.Chunk(hello[5:], n) {
		out = append(out, 22, 3, 1, byte(len(piece)>>8), byte(len(piece)))
		out = append(out, piece...)
	}
	return out
}

// sniff feeds bytes in pieces of the size, followed by the end of the connection, and
// checks that all of them can still be read afterwards.
func sniff(t testing.TB, input []byte, size int) (relay.ClientHello, error) {
	t.Helper()
	p := relay.NewPeeked(&script{input: input, size: size}, 64<<10)
	hello, err := relay.SniffHello(p)
	rest, readErr := io.ReadAll(p)
	if readErr != nil || !bytes.Equal(rest, input) {
		t.Fatalf("after sniffing %d of %d bytes are left, or they differ; err %v", len(rest), len(input), readErr)
	}
	return hello, err
}

// script is a connection that says its input in pieces and then ends.
type script struct {
	net.Conn
	input []byte
	size  int
}

func (s *script) Read(b []byte) (int, error) {
	if len(s.input) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), max(s.size, 1))], s.input)
	s.input = s.input[n:]
	return n, nil
}

// Write takes what a TLS server answers.
func (s *script) Write(b []byte) (int, error) { return len(b), nil }

func TestSniffHello(t *testing.T) {
	long := make([]string, 60)
	for i := range long {
		long[i] = strings.Repeat(string(rune('a'+i%26)), 200)
	}
	cases := map[string]struct {
		config *tls.Config
		want   relay.ClientHello
	}{
		"usual": {
			&tls.Config{ServerName: "app.example.com", NextProtos: []string{"h2", "http/1.1"}},
			relay.ClientHello{ServerName: "app.example.com", ALPN: []string{"h2", "http/1.1"}, Versions: []uint16{0x0304, 0x0303}},
		},
		"mixed case": {&tls.Config{ServerName: "App.Example.COM"},
			relay.ClientHello{ServerName: "app.example.com", Versions: []uint16{0x0304, 0x0303}}},
		"dialled an address": {&tls.Config{ServerName: "127.0.0.1"}, relay.ClientHello{Versions: []uint16{0x0304, 0x0303}}},
		"TLS 1.2 only": {&tls.Config{ServerName: "old.example.com", MaxVersion: tls.VersionTLS12},
			relay.ClientHello{ServerName: "old.example.com", Versions: []uint16{0x0303}}},
		"large": {&tls.Config{ServerName: "a.example", NextProtos: long, MinVersion: tls.VersionTLS13},
			relay.ClientHello{ServerName: "a.example", ALPN: long, Versions: []uint16{0x0304}}},
	}
	for name, c := range cases {
		c.config.InsecureSkipVerify = true // lets a config without a name through
		whole := clientHello(t, c.config)
		for how, input := range map[string][]byte{
			"one record":       whole,
			"records of 100":   inRecords(whole, 100),
			"records of 7":     inRecords(whole, 7),
			"with early bytes": append(slices.Clone(whole), "early data"...),
		} {
			for _, size := range []int{1, 37, 1 << 20} {
				hello, err := sniff(t, input, size)
				if err != nil || hello.ServerName != c.want.ServerName ||
					!slices.Equal(hello.ALPN, c.want.ALPN) || !slices.Equal(hello.Versions, c.want.Versions) {
					t.Errorf("%s, %s, %d bytes a read: %+v, %v", name, how, size, hello, err)
				}
			}
		}
	}
}

func TestSniffHelloRefuses(t *testing.T) {
	good := clientHello(t, &tls.Config{ServerName: "app.example.com"})
	change := func(edit func(b []byte) []byte) []byte { return edit(slices.Clone(good)) }
	rename := func(to string) []byte { // keeps the length
		return bytes.Replace(good, []byte("app.example.com"), []byte(to), 1)
	}
	cases := map[string]struct {
		input []byte
		code  postern.Code
	}{
		"nothing":            {nil, postern.CodeStreamReset},
		"plain HTTP":         {[]byte("GET / HTTP/1.1\r\n\r\n"), postern.CodeRequestInvalid},
		"an alert":           {[]byte{21, 3, 1, 0, 2, 1, 0}, postern.CodeRequestInvalid},
		"cut in the record":  {good[:100], postern.CodeStreamReset},
		"cut in the header":  {good[:3], postern.CodeStreamReset},
		"empty record":       {[]byte{22, 3, 1, 0, 0}, postern.CodeRequestInvalid},
		"record too long":    {[]byte{22, 3, 1, 0xff, 0xff}, postern.CodeRequestInvalid},
		"ServerHello first":  {change(func(b []byte) []byte { b[5] = 2; return b }), postern.CodeRequestInvalid},
		"message too long":   {change(func(b []byte) []byte { b[6] = 2; return b }), postern.CodeHeaderTooLarge},
		"wildcard name":      {rename("*.p.example.com"), postern.CodeHostnameInvalid},
		"name with a port":   {rename("app.example:443"), postern.CodeHostnameInvalid},
		"name with NUL":      {rename("app\x00example.com"), postern.CodeHostnameInvalid},
		"body that ends":     {[]byte{22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3}, postern.CodeRequestInvalid},
		"endless, unlimited": {inRecords(append([]byte{0, 0, 0, 0, 0, 1, 0, 0xff, 0xff}, make([]byte, 70<<10)...), 1<<14), postern.CodeHeaderTooLarge},
	}
	for name, c := range cases {
		hello, err := sniff(t, c.input, 1<<20)
		if !postern.HasCode(err, c.code) {
			t.Errorf("%s: %+v, %v; want %s", name, hello, err, c.code)
		}
	}
}

// A stranger that says nothing is not waited for: the caller's deadline counts.
func TestSniffHelloKeepsTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		visitor, inner := memory(t)
		write(t, visitor, "\x16\x03\x01")
		p := relay.NewPeeked(inner, 64<<10)
		_ = p.SetReadDeadline(time.Now().Add(10 * time.Second))
		started := time.Now()
		if _, err := relay.SniffHello(p); !postern.HasCode(err, postern.CodeRequestTimeout) {
			t.Fatalf("got %v", err)
		}
		if took := time.Since(started); took != 10*time.Second {
			t.Fatalf("took %s", took)
		}
	})
}

// interrupted tells whether the first records are not all of the handshake:
// crypto/tls lets warnings pass between them, and we do not.
func interrupted(input []byte) bool {
	for len(input) > 5 && input[0] == 22 {
		input = input[min(5+int(input[3])<<8+int(input[4]), len(input)):]
	}
	return len(input) > 0 && input[0] == 21
}

var errSeen = errors.New("seen")

// FuzzSniffHello holds our parser to crypto/tls: what that accepts we understand in
// the same way, unless the name is none; and whatever comes, nothing is consumed.
func FuzzSniffHello(f *testing.F) {
	for _, c := range []*tls.Config{
		{ServerName: "app.example.com", NextProtos: []string{"h2", "http/1.1"}},
		{ServerName: "x.example", MaxVersion: tls.VersionTLS12},
		{ServerName: "192.0.2.1", InsecureSkipVerify: true},
	} {
		hello := clientHello(f, c)
		f.Add(hello, 1<<20)
		f.Add(inRecords(hello, 50), 3)
		f.Add(hello[:60], 1)
	}
	f.Fuzz(func(t *testing.T, input []byte, size int) {
		ours, err := sniff(t, input, size)
		var theirs *tls.ClientHelloInfo
		server := tls.Server(&script{input: input, size: 1 << 20}, &tls.Config{
			GetConfigForClient: func(info *tls.ClientHelloInfo) (*tls.Config, error) {
				theirs = info
				return nil, errSeen
			},
		})
		_ = server.Handshake()
		if theirs == nil || interrupted(input) {
			return // we may route what crypto/tls would refuse: whoever ends TLS decides
		}
		if err != nil {
			if !postern.HasCode(err, postern.CodeHostnameInvalid) {
				t.Fatalf("crypto/tls reads %q, we fail: %v", theirs.ServerName, err)
			}
			return
		}
		if want := strings.ToLower(strings.TrimSuffix(theirs.ServerName, ".")); ours.ServerName.String() != want {
			t.Fatalf("server name %q, crypto/tls reads %q", ours.ServerName, want)
		}
		if !slices.Equal(ours.ALPN, theirs.SupportedProtos) {
			t.Fatalf("ALPN %q, crypto/tls reads %q", ours.ALPN, theirs.SupportedProtos)
		}
	})
}

func BenchmarkSniffHello(b *testing.B) {
	hello := clientHello(b, &tls.Config{ServerName: "app.example.com", NextProtos: []string{"h2", "http/1.1"}})
	b.ReportAllocs()
	for b.Loop() {
		p := relay.NewPeeked(&script{input: hello, size: 1 << 20}, 64<<10)
		if _, err := relay.SniffHello(p); err != nil {
			b.Fatal(err)
		}
	}
}
