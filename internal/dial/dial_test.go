package dial_test

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/ports"
)

func listen(t *testing.T, network, addr string) net.Listener {
	t.Helper()
	listener, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

func TestLocalhostIsLoopback(t *testing.T) {
	for _, bind := range []string{"127.0.0.1:0", "[::1]:0"} {
		listener := listen(t, "tcp", bind)
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		for _, host := range []string{"localhost", "app.localhost", "A.B.LOCALHOST", "app.localhost."} {
			conn, err := new(dial.Dialer).Dial(t.Context(), "tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Errorf("listening on %s, dialling %s: %v", bind, host, err)
				continue
			}
			conn.Close()
		}
	}
}

// Permit sees addresses, never names, and what it refuses is not connected to.
func TestPermit(t *testing.T) {
	listener := listen(t, "tcp", "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	no := errors.New("not this one")
	for _, host := range []string{"127.0.0.1", "app.localhost"} {
		var asked []netip.AddrPort
		d := dial.Dialer{Permit: func(addr netip.AddrPort) error {
			asked = append(asked, addr)
			return no
		}}
		if conn, err := d.Dial(t.Context(), "tcp", net.JoinHostPort(host, port)); !errors.Is(err, no) {
			t.Errorf("%s: connected to %v, %v", host, conn, err)
		}
		if len(asked) == 0 || asked[0].String() != listener.Addr().String() {
			t.Errorf("%s: asked about %v", host, asked)
		}
		d.Permit = func(addr netip.AddrPort) error { return nil }
		conn, err := d.Dial(t.Context(), "tcp", net.JoinHostPort(host, port))
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	}
}

func TestLocalhostFamilies(t *testing.T) {
	listener := listen(t, "tcp", "127.0.0.1:0")
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	if conn, err := new(dial.Dialer).Dial(t.Context(), "tcp6", "app.localhost:"+port); err == nil {
		conn.Close()
		t.Error("tcp6 reached an IPv4 listener")
	}
}

func TestRefusedNamesBothAddresses(t *testing.T) {
	_, err := new(dial.Dialer).Dial(t.Context(), "tcp", fmt.Sprintf("localhost:%d", ports.For(t, 1).First))
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1") || !strings.Contains(err.Error(), "::1") {
		t.Errorf("Dial = %v, want both loopback addresses named", err)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listen(t, "unix", path)
	conn, err := new(dial.Dialer).Dial(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestIsLocalhost(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost.": true, "x.localhost": true,
		"": false, "notlocalhost": false, "localhost.example.com": false, "127.0.0.1": false,
	} {
		if got := dial.IsLocalhost(host); got != want {
			t.Errorf("IsLocalhost(%q) = %v", host, got)
		}
	}
}

func TestPool(t *testing.T) {
	certificate, want := testkit.Certificate(t, "a.test")
	good, bad := filepath.Join(t.TempDir(), "ca.pem"), filepath.Join(t.TempDir(), "bad.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	write(t, good, block)
	write(t, bad, []byte("no certificate"))
	if got, err := dial.Pool(good); err != nil || !got.Equal(want) {
		t.Errorf("Pool(file) = %v, want the file's certificate", err)
	}
	for _, system := range []string{"", "trusted", "host"} {
		if got, err := dial.Pool(system); err != nil || got == nil {
			t.Errorf("Pool(%q) = %v", system, err)
		}
	}
	for path, want := range map[string]postern.Code{bad: postern.CodeConfigInvalid,
		filepath.Join(t.TempDir(), "absent.pem"): postern.CodeFileUnreadable} {
		_, err := dial.Pool(path)
		if !postern.HasCode(err, want) || !strings.Contains(err.Error(), path) {
			t.Errorf("Pool(%q) = %v, want %s with the path", path, err, want)
		}
	}
}

// "trusted" is the system and what login saved, whether that is there or not.
func TestServerPool(t *testing.T) {
	certificate, _ := testkit.Certificate(t, "a.test")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	dir := t.TempDir()
	saved, bad, absent := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "bad.pem"), filepath.Join(dir, "absent.pem")
	write(t, saved, block)
	write(t, bad, []byte("no certificate"))
	system, err := dial.Pool("host")
	if err != nil {
		t.Fatal(err)
	}
	both := system.Clone()
	both.AppendCertsFromPEM(block)
	for _, c := range []struct {
		cas, saved string
		both       bool
	}{{"", saved, true}, {"trusted", saved, true}, {"host", saved, false}, {"", "", false}, {"trusted", absent, false}} {
		want := map[bool]interface{ Equal(*x509.CertPool) bool }{true: both, false: system}[c.both]
		if got, err := dial.ServerPool(c.cas, c.saved); err != nil || !want.Equal(got) {
			t.Errorf("ServerPool(%q, %q): %v, or another pool", c.cas, c.saved, err)
		}
	}
	if _, err := dial.ServerPool("", bad); !postern.HasCode(err, postern.CodeConfigInvalid) {
		t.Errorf("ServerPool of a damaged file = %v", err)
	}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
