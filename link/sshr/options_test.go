package sshr_test

import (
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/sshr"
)

// What each form of -R stands for, alone and beside a command.
func TestWhatForwardsStandFor(t *testing.T) {
	for _, test := range []struct {
		command, address string
		port             uint16
		scheme           postern.Scheme
		subdomain        string
		host             postern.Hostname
		asked            uint16
	}{
		{"", "localhost", 80, "https", "", "", 0},
		{"", "", 443, "https", "", "", 0},
		{"", "*", 0, "tcp", "", "", 0},
		{"", "::", 20022, "tcp", "", "", 20022},
		{"", "shop", 80, "https", "shop", "", 0},
		{"", "Shop", 443, "https", "shop", "", 0},
		{"", "shop.example.com", 443, "https", "", "shop.example.com", 0},
		{"", "SHOP.example.com.", 443, "https", "", "shop.example.com", 0},
		{"", "*.team.example.com", 443, "https", "", "*.team.example.com", 0},
		{"", "bücher", 80, "https", "xn--bcher-kva", "", 0},
		{"", "tcp.example.com", 20001, "tcp", "", "tcp.example.com", 20001},
		{"", "tcp", 80, "tcp", "", "", 80},
		{"", "tls", 443, "tls", "", "", 0},
		{"", "http", 80, "http", "", "", 0},
		{"http", "localhost", 0, "https", "", "", 0},
		{"http 80", "localhost", 8080, "https", "", "", 0},
		{"http --scheme http", "shop", 80, "http", "shop", "", 0},
		{"http --url https://shop.example.com", "", 80, "https", "", "shop.example.com", 0},
		{"http --url http://shop.example.com", "shop.example.com", 80, "http", "", "shop.example.com", 0},
		{"http -domain=shop.example.com", "localhost", 443, "https", "", "shop.example.com", 0},
		{"http --subdomain shop", "shop", 443, "https", "shop", "", 0},
		{"tcp", "localhost", 0, "tcp", "", "", 0},
		{"tcp 22 --url tcp://tcp.example.com:20001", "localhost", 0, "tcp", "", "tcp.example.com", 20001},
		{"tcp --remote-addr tcp.example.com:20001", "localhost", 0, "tcp", "", "tcp.example.com", 20001},
		{"tls --url tls://mail.example.com", "localhost", 0, "tls", "", "mail.example.com", 0},
	} {
		options, err := sshr.ParseCommand(test.command)
		if err != nil {
			t.Errorf("%q: %v", test.command, err)
			continue
		}
		r, err := options.Request(test.address, test.port)
		if err != nil {
			t.Errorf("%q with -R %s:%d: %v", test.command, test.address, test.port, err)
			continue
		}
		if r.URL.Scheme != test.scheme || r.Subdomain != test.subdomain || r.URL.Host != test.host || r.URL.Port != test.asked {
			t.Errorf("%q with -R %s:%d asks for %+v below %q", test.command, test.address, test.port, r.URL, r.Subdomain)
		}
	}
}

func TestOptionsOfTheCommand(t *testing.T) {
	o, err := sshr.ParseCommand(`http 8080 --name "the shop" -description 'it''s' --metadata a\ b --pooling-enabled --host-header=local.example`)
	want := sshr.Options{Scheme: "https", Name: "the shop", Description: "its", Metadata: "a b", Pooling: true,
		Endpoint: postern.EndpointOptions{HostHeader: "local.example"}}
	if o != want || err != nil {
		t.Errorf("got %+v, %v", o, err)
	}
	o, err = sshr.ParseCommand("tls --terminate-at edge --proxy-proto 2 --pooling-enabled=false")
	if o.Endpoint != (postern.EndpointOptions{ProxyProtocol: 2, Termination: postern.AtEdge}) || o.Pooling || err != nil {
		t.Errorf("got %+v, %v", o, err)
	}
}

// Whoever asks for what there is not, is told with a code.
func TestRefusedCommandsAndForwards(t *testing.T) {
	for command, code := range map[string]postern.Code{
		"bash":                               postern.CodeSSHRequestRefused,
		"udp":                                postern.CodeSSHRequestRefused,
		"http --traffic-policy-file x":       postern.CodeSSHRequestRefused,
		"http --basic-auth a:b":              postern.CodeSSHRequestRefused,
		"http --name":                        postern.CodeSSHRequestRefused,
		"http 80 90":                         postern.CodeSSHRequestRefused,
		"http 'open":                         postern.CodeSSHRequestRefused,
		`http \`:                             postern.CodeSSHRequestRefused,
		"http --url tcp://tcp.example.com:1": postern.CodeSSHRequestRefused,
		"http --url tls://a.example.com":     postern.CodeSSHRequestRefused,
		"tcp --scheme http":                  postern.CodeSSHRequestRefused,
		"http --scheme tcp":                  postern.CodeSSHRequestRefused,
		"http --scheme ftp":                  postern.CodeSchemeInvalid,
		"http --host-header rewrite":         postern.CodeSSHRequestRefused,
		"tcp --proxy-proto 3":                postern.CodeSSHRequestRefused,
		"tls --terminate-at home":            postern.CodeSSHRequestRefused,
		"http --pooling-enabled=perhaps":     postern.CodeSSHRequestRefused,
		"http --url https://a.example.com/x": postern.CodeURLPartNotAllowed,
	} {
		if _, err := sshr.ParseCommand(command); !postern.HasCode(err, code) {
			t.Errorf("%q gave %v, want %s", command, err, code)
		}
	}
	for _, test := range []struct {
		command, address string
		port             uint16
		code             postern.Code
	}{
		{"", "shop", 20001, postern.CodeBindInvalid},
		{"tcp", "tls", 443, postern.CodeBindInvalid},
		{"http --url https://a.example.com", "b.example.com", 443, postern.CodeBindInvalid},
		{"http --subdomain a", "b", 443, postern.CodeBindInvalid},
		{"", "udp", 53, postern.CodeSSHRequestRefused},
		{"", "a b", 80, postern.CodeHostnameInvalid},
		{"", "a.example.com/x", 80, postern.CodeURLPartNotAllowed},
		{"", "ftp://a", 80, postern.CodeSchemeInvalid},
		{"", "http://a.example.com", 80, postern.CodeHostnameInvalid},
		{"", "a:80", 80, postern.CodeHostnameInvalid},
	} {
		options, err := sshr.ParseCommand(test.command)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := options.Request(test.address, test.port); !postern.HasCode(err, test.code) {
			t.Errorf("%q with -R %q:%d gave %+v, %v, want %s", test.command, test.address, test.port, r, err, test.code)
		}
	}
}

// Whatever a client sends, a forward is refused with a code or asks for something that
// has a scheme and not two names.
func FuzzForward(f *testing.F) {
	for _, address := range []string{"", "localhost", "shop", "shop.example.com", "tcp", "*.a.b", "[::1]", "bücher", "a:1", "http://x", "\x00"} {
		f.Add("http --url https://a.example.com", ssh.Marshal(forwardRequest{address, 80}))
		f.Add("", ssh.Marshal(forwardRequest{address, 0}))
	}
	f.Add(`tls --name "a b" -metadata='x' \y`, []byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, command string, payload []byte) {
		options, err := sshr.ParseCommand(command)
		mustHaveCode(t, err)
		if err != nil {
			options = sshr.Options{}
		}
		address, port, err := sshr.ParseForward(payload)
		mustHaveCode(t, err)
		if err != nil {
			return
		}
		if again := ssh.Marshal(forwardRequest{address, port}); string(again) != string(payload) {
			t.Errorf("%x was read as %q, %d", payload, address, port)
		}
		r, err := options.Request(address, uint16(port))
		mustHaveCode(t, err)
		if err != nil {
			return
		}
		if _, err := postern.ParseScheme(string(r.URL.Scheme)); err != nil {
			t.Errorf("scheme %q", r.URL.Scheme)
		}
		if r.URL.Host != "" {
			if host, err := postern.ParseHostname(string(r.URL.Host)); err != nil || host != r.URL.Host {
				t.Errorf("host %q is not in its canonical form", r.URL.Host)
			}
		}
		if r.URL.Port != 0 && r.URL.Scheme.Hosted() && r.URL.Port != options.URL.Port {
			t.Errorf("a %s endpoint on port %d", r.URL.Scheme, r.URL.Port)
		}
	})
}

func mustHaveCode(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	e := postern.AsError(err)
	if e.Code == postern.CodeInternal || e.Message == "" {
		t.Errorf("the failure %v has no code of its own", err)
	}
}
