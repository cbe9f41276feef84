package session_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
)

func TestParseUpstream(t *testing.T) {
	type want struct {
		shown  string
		secure bool
		host   string // as Host header
	}
	for _, c := range []struct {
		scheme postern.Scheme
		text   string
		want   want
	}{
		{postern.HTTPS, "8080", want{"http://localhost:8080", false, "localhost:8080"}}, // S0-42
		{postern.HTTPS, " :8080 ", want{"http://localhost:8080", false, "localhost:8080"}},
		{postern.HTTPS, "myservice.genesys.com", want{"http://myservice.genesys.com:80", false, "myservice.genesys.com"}}, // S0-41
		{postern.HTTPS, "10.1.2.3:3000", want{"http://10.1.2.3:3000", false, "10.1.2.3:3000"}},                            // S0-40
		{postern.HTTPS, "http://host", want{"http://host:80", false, "host"}},
		{postern.HTTPS, "HTTP://host:81/", want{"http://host:81", false, "host:81"}},
		{postern.HTTPS, "https://host", want{"https://host:443", true, "host"}},
		{postern.HTTP, "localhost:443", want{"https://localhost:443", true, "localhost"}}, // S0-42
		{postern.HTTP, "http://host:443", want{"http://host:443", false, "host:443"}},
		{postern.HTTPS, "[::1]:80", want{"http://[::1]:80", false, "[::1]"}},
		{postern.HTTPS, "[fe80::1%eth0]:8080", want{"http://[fe80::1%eth0]:8080", false, "[fe80::1%eth0]:8080"}},
		{postern.HTTPS, "unix:///run/app.sock", want{"unix:///run/app.sock", false, "localhost"}},
		{postern.HTTPS, "file:///", want{"file:///", false, "localhost"}},
		{postern.HTTP, "FILE:///srv/my site", want{"file:///srv/my site", false, "localhost"}},
		{postern.HTTP, `file://C:\site`, want{`file:///C:\site`, false, "localhost"}},
		{postern.HTTP, "file:///C:/site", want{"file:///C:/site", false, "localhost"}},
		{postern.TCP, "22", want{"localhost:22", false, "localhost:22"}},
		{postern.TCP, "tcp://db:5432", want{"db:5432", false, "db:5432"}},
		{postern.TCP, "db:443", want{"db:443", false, "db:443"}},
		{postern.TCP, "tls://db:5432", want{"tls://db:5432", true, "db:5432"}},
		{postern.TLS, "443", want{"tls://localhost:443", true, "localhost"}},
		{postern.TLS, "80", want{"localhost:80", false, "localhost"}},
		{postern.TLS, "tcp://host:443", want{"tcp://host:443", false, "host:443"}},
	} {
		u, err := session.ParseUpstream(c.text, c.scheme)
		if err != nil {
			t.Errorf("%s %q: %v", c.scheme, c.text, err)
			continue
		}
		if got := (want{u.String(), u.Secure, u.HostHeader()}); got != c.want {
			t.Errorf("%s %q: %+v, want %+v", c.scheme, c.text, got, c.want)
		}
	}
}

func TestParseUpstreamRefuses(t *testing.T) {
	for _, c := range []struct {
		scheme postern.Scheme
		text   string
	}{
		{postern.HTTPS, ""}, {postern.HTTPS, "://"}, {postern.HTTPS, "http://"}, {postern.HTTPS, "http://h/path"},
		{postern.HTTPS, "http://user@h"}, {postern.HTTPS, "h?q"}, {postern.HTTPS, "0"}, {postern.HTTPS, "65536"},
		{postern.HTTPS, "h:"}, {postern.HTTPS, "h:+80"}, {postern.HTTPS, "h:x"}, {postern.HTTPS, "::1"}, {postern.HTTPS, "::1:80"},
		{postern.HTTPS, "[::1"}, {postern.HTTPS, "[1.2.3.4]:80"}, {postern.HTTPS, "a b:80"}, {postern.HTTPS, "a\r\nb:80"},
		{postern.HTTPS, "ftp://h"}, {postern.TCP, "file:///srv"}, {postern.HTTPS, "file://srv"}, {postern.HTTPS, "file://"}, {postern.HTTPS, "file:///a\x00"}, {postern.HTTPS, "tcp://h:1"}, {postern.HTTPS, "unix://relative"},
		{postern.UDP, "h"}, {postern.UDP, "tcp://h:53"}, {postern.UDP, "unix:///a"}, {postern.UDP, "udp://h:53/x"}, {postern.UDP, "0"}, {postern.TCP, "udp://h:53"}, {postern.HTTPS, "udp://h:53"},
		{postern.TCP, "h"}, {postern.TCP, "http://h:80"}, {postern.TLS, "h"}, {postern.HTTPS, `h\x`},
	} {
		if u, err := session.ParseUpstream(c.text, c.scheme); !postern.HasCode(err, postern.CodeUpstreamAddressInvalid) {
			t.Errorf("%s %q = %v, %v, want a refusal", c.scheme, c.text, u, err)
		}
	}
}

func TestParseServer(t *testing.T) {
	for text, want := range map[string]string{
		"connect.example.com":           "connect.example.com:443",
		"connect.example.com:8443":      "connect.example.com:8443",
		"https://connect.example.com/":  "connect.example.com:443",
		"tls://connect.example.com:444": "connect.example.com:444",
		"127.0.0.1:8443":                "127.0.0.1:8443",
		"127.0.0.1":                     "127.0.0.1:443",
		"[::1]":                         "[::1]:443",
		"[::1]:8443":                    "[::1]:8443",
	} {
		if got, err := session.ParseServer(text); got != want || err != nil {
			t.Errorf("ParseServer(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", ":443", "http://a", "a/b", "a b", "a:0", "a:b", "8443", "user@a", "::1"} {
		if got, err := session.ParseServer(text); !postern.HasCode(err, postern.CodeFlagInvalid) {
			t.Errorf("ParseServer(%q) = %q, %v, want a refusal", text, got, err)
		}
	}
}

// What parses is shown in a form that parses to the same, and can be dialled.
func FuzzParseUpstream(f *testing.F) {
	for _, seed := range []string{"8080", ":1", "h", "h:80", "https://h", "[::1]:80", "unix:///a", "file:///a", "file://C:/", "tls://h:1", "http://h:443", "udp://h:53", "\x00"} {
		f.Add(seed, 0)
		f.Add(seed, 2)
		f.Add(seed, 4)
	}
	schemes := []postern.Scheme{postern.HTTP, postern.HTTPS, postern.TCP, postern.TLS, postern.UDP}
	f.Fuzz(func(t *testing.T, text string, n int) {
		scheme := schemes[uint(n)%5]
		u, err := session.ParseUpstream(text, scheme)
		if err != nil {
			return
		}
		again, err := session.ParseUpstream(u.String(), scheme)
		if err != nil || again != u {
			t.Fatalf("%q is shown as %q, which parses to %+v, %v; want %+v", text, u, again, err, u)
		}
		if u.Network == "tcp" || u.Network == "udp" {
			port := u.Address[strings.LastIndexByte(u.Address, ':')+1:]
			if _, err := netip.ParseAddrPort("127.0.0.1:" + port); err != nil {
				t.Fatalf("%q has the address %q", text, u.Address)
			}
		}
	})
}

func TestParseDatagramUpstream(t *testing.T) {
	for text, address := range map[string]string{
		"5353": "localhost:5353", ":53": "localhost:53", "udp://dns.corp:53": "dns.corp:53", "UDP://[::1]:53/": "[::1]:53", "10.0.0.1:443": "10.0.0.1:443",
	} {
		u, err := session.ParseUpstream(text, postern.UDP)
		if err != nil || u.Network != "udp" || u.Address != address || u.Secure || u.String() != "udp://"+address {
			t.Errorf("ParseUpstream(%q) = %+v, %v; want %s", text, u, err, address)
		}
	}
}
