package postern_test

import (
	"net/netip"
	"testing"

	"github.com/postern-dev/postern"
)

func TestParseURLRequest(t *testing.T) {
	for in, want := range map[string]postern.URLRequest{
		"":                      {Scheme: postern.HTTPS},
		"  https://app.test  ":  {Scheme: postern.HTTPS, Host: "app.test"},
		"app.test":              {Scheme: postern.HTTPS, Host: "app.test"},
		"HTTP://App.Test./":     {Scheme: postern.HTTP, Host: "app.test"},
		"https://":              {Scheme: postern.HTTPS},
		"https://app.test:8443": {Scheme: postern.HTTPS, Host: "app.test", Port: 8443},
		"tcp://":                {Scheme: postern.TCP},
		"udp://":                {Scheme: postern.UDP},
		"UDP://udp.test:5353":   {Scheme: postern.UDP, Host: "udp.test", Port: 5353},
		"tcp://:20001":          {Scheme: postern.TCP, Port: 20001},
		"tcp.test:20001":        {Scheme: postern.HTTPS, Host: "tcp.test", Port: 20001},
		"tls://*.app.test":      {Scheme: postern.TLS, Host: "*.app.test"},
		"tcp://127.0.0.1:20001": {Scheme: postern.TCP, Port: 20001, IP: netip.MustParseAddr("127.0.0.1")},
		"tcp://[::1]:20001":     {Scheme: postern.TCP, Port: 20001, IP: netip.IPv6Loopback()},
		"https://[2001:db8::1]": {Scheme: postern.HTTPS, IP: netip.MustParseAddr("2001:db8::1")},
	} {
		if got, err := postern.ParseURLRequest(in, postern.HTTPS); got != want || err != nil {
			t.Errorf("ParseURLRequest(%q) = %+v, %v; want %+v", in, got, err, want)
		}
	}
}

func TestParseURLRequestRefuses(t *testing.T) {
	for in, code := range map[string]postern.Code{
		"ftp://app.test":           postern.CodeSchemeInvalid,
		"://app.test":              postern.CodeSchemeInvalid,
		"https://app.test/path":    postern.CodeURLPartNotAllowed,
		"https://app.test?q=1":     postern.CodeURLPartNotAllowed,
		"https://app.test#f":       postern.CodeURLPartNotAllowed,
		"https://user@app.test":    postern.CodeURLPartNotAllowed,
		"https://app.test:0":       postern.CodeURLPartNotAllowed,
		"https://app.test:65536":   postern.CodeURLPartNotAllowed,
		"https://app.test:http":    postern.CodeURLPartNotAllowed,
		"https://app..test":        postern.CodeHostnameInvalid,
		"https://a b":              postern.CodeHostnameInvalid,
		"https://b\u00fccher.test": postern.CodeHostnameInvalid,
	} {
		if got, err := postern.ParseURLRequest(in, postern.HTTPS); !postern.HasCode(err, code) {
			t.Errorf("ParseURLRequest(%q) = %+v, %v; want %s", in, got, err, code)
		}
	}
}

func TestPublicURL(t *testing.T) {
	for _, c := range []struct {
		url  postern.URL
		port uint16
		want string
	}{
		{postern.URL{Scheme: postern.HTTPS, Host: "app.test"}, 0, "https://app.test"},
		{postern.URL{Scheme: postern.HTTPS, Host: "app.test"}, 443, "https://app.test"},
		{postern.URL{Scheme: postern.HTTPS, Host: "app.test"}, 8443, "https://app.test:8443"},
		{postern.URL{Scheme: postern.HTTP, Host: "app.test"}, 80, "http://app.test"},
		{postern.URL{Scheme: postern.TLS, Host: "app.test"}, 443, "tls://app.test"},
		{postern.URL{Scheme: postern.TCP, Host: "tcp.test", Port: 443}, 0, "tcp://tcp.test:443"},
		{postern.URL{Scheme: postern.UDP, Host: "udp.test", Port: 443}, 0, "udp://udp.test:443"},
		{postern.URL{Scheme: postern.UDP, Host: "udp.test", Port: 20001}, 8443, "udp://udp.test:20001"},
		{postern.URL{Scheme: postern.TCP, Host: "tcp.test", Port: 20001}, 8443, "tcp://tcp.test:20001"},
	} {
		if got := c.url.Public(c.port); got != c.want {
			t.Errorf("Public(%d) = %q, want %q", c.port, got, c.want)
		}
	}
	if !(postern.URL{}).IsZero() || postern.TCP.Hosted() || !postern.TLS.Hosted() || postern.UDP.Hosted() {
		t.Error("the zero URL, or who is told apart by name, is wrong")
	}
}

// What was understood, written out again, is understood the same.
func FuzzParseURLRequest(f *testing.F) {
	for _, seed := range []string{"https://app.test", "tcp://:1", "tcp://[::1]:1", "[fe80::1%25eth0]:1", "a:b:c", "http://1.2.3.4/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		req, err := postern.ParseURLRequest(s, postern.HTTPS)
		if err != nil || req.IP.IsValid() {
			return
		}
		if req.Host == "" && req.Port == 0 {
			return // nothing to write out but a scheme
		}
		text := postern.URL{Scheme: req.Scheme, Host: req.Host, Port: req.Port}.String()
		again, err := postern.ParseURLRequest(text, postern.HTTPS)
		if req.Port == req.Scheme.DefaultPort() {
			again.Port = req.Port // the default port is not written
		}
		if err != nil || again != req {
			t.Fatalf("%q is %+v; %q is %+v, %v", s, req, text, again, err)
		}
	})
}
