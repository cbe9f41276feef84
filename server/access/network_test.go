package access_test

import (
	"testing"

	"github.com/postern-dev/postern/server/access"
)

func TestParseNetwork(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.0/24": "192.0.2.0/24", "192.0.2.7/24": "192.0.2.7/24", "192.0.2.7": "192.0.2.7/32", "::ffff:192.0.2.7": "192.0.2.7/32",
		"2001:db8::/32": "2001:db8::/32", "::1": "::1/128", "0.0.0.0/0": "0.0.0.0/0", "::/0": "::/0",
		"": "", " 192.0.2.7": "", "192.0.2.0/33": "", "192.0.2.0/": "", "192.0.2": "", "fe80::1%eth0": "", "fe80::%eth0/64": "",
		"::ffff:192.0.2.0/120": "", "example.com": "",
	} {
		network, ok := access.ParseNetwork(text)
		if ok != (want != "") || ok && network.String() != want {
			t.Errorf("%q is %s, %v; want %q", text, network, ok, want)
		}
	}
}
