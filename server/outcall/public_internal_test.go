package outcall

import (
	"net/netip"
	"testing"
)

func TestPublic(t *testing.T) {
	r := newRanges()
	for addr, want := range map[string]bool{
		"8.8.8.8": true, "1.1.1.1": true, "100.63.255.255": true, "100.128.0.1": true, "172.15.0.1": true, "172.32.0.1": true,
		"192.167.1.1": true, "223.255.255.255": true, "198.17.0.1": true, "198.20.0.1": true, "168.63.129.15": true,
		"2606:4700::1111": true, "2a00:1450:4001::1": true, "2001:4860:4860::8888": true, "2001:200::1": true,
		"64:ff9b::8.8.8.8": true, "::ffff:8.8.8.8": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "10.255.255.255": false, "100.64.0.1": false, "100.100.100.200": false,
		"127.0.0.1": false, "127.255.255.255": false, "169.254.169.254": false, "169.254.170.2": false, "172.16.0.1": false, "172.31.255.255": false,
		"192.0.0.192": false, "192.0.2.1": false, "192.88.99.1": false, "192.168.1.1": false, "198.18.0.1": false, "198.19.255.255": false,
		"198.51.100.1": false, "203.0.113.1": false, "224.0.0.1": false, "239.255.255.250": false, "240.0.0.1": false, "255.255.255.255": false,
		"168.63.129.16": false,
		"::":            false, "::1": false, "::127.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:10.0.0.1": false, "::ffff:169.254.169.254": false, "::ffff:0:7f00:1": false,
		"64:ff9b::127.0.0.1": false, "64:ff9b::10.0.0.1": false, "64:ff9b::169.254.169.254": false, "64:ff9b:1::8.8.8.8": false,
		"100::1": false, "2001::1": false, "2001:0:7f00:1::": false, "2001:db8::1": false, "2002:7f00:1::": false, "2002:808:808::1": false, "3fff::1": false,
		"5f00::1": false, "fc00::1": false, "fd00:ec2::254": false, "fd20:ce::254": false, "fe80::1": false, "fe80::1%eth0": false, "2606:4700::1111%eth0": false,
		"fec0::1": false, "ff02::1": false, "ff0e::1": false,
	} {
		if got := r.public(netip.MustParseAddr(addr)); got != want {
			t.Errorf("%s: %v", addr, got)
		}
	}
	if r.public(netip.Addr{}) {
		t.Error("no address at all is public")
	}
}

// Addresses of the machine may be called on the ports where it serves visitors, and no
// others: a firewall that keeps strangers out does not see what the server itself does.
func TestOwnAddresses(t *testing.T) {
	g := &guard{ranges: newRanges(), ports: []uint16{443, 80}, own: func() []netip.Addr {
		return []netip.Addr{netip.MustParseAddr("8.1.2.3"), netip.MustParseAddr("2606:4700::1")}
	}}
	g.allow.Store(&[]netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")})
	for _, test := range []struct {
		network, address string
		want             bool
	}{
		{"tcp4", "8.1.2.3:443", true},
		{"tcp4", "8.1.2.3:80", true},
		{"tcp4", "8.1.2.3:6379", false},
		{"tcp6", "[::ffff:8.1.2.3]:6379", false},
		{"tcp6", "[2606:4700::1]:443", true},
		{"tcp6", "[2606:4700::1]:9090", false},
		{"tcp6", "[2606:4700::2]:9090", true},
		{"tcp4", "8.1.2.4:6379", true},
		{"tcp4", "8.1.2.4:25", false},
		{"tcp4", "8.1.2.4:0", false},
		{"tcp4", "10.1.2.3:6379", true},
		{"tcp6", "[::ffff:10.1.2.3]:80", true},
		{"tcp6", "[64:ff9b::10.1.2.3]:80", false},
		{"tcp4", "10.2.0.1:80", false},
		{"tcp4", "10.1.2.3:25", false},
		{"tcp6", "[fe80::1%eth0]:80", false},
		{"udp4", "8.1.2.4:443", false},
		{"unix", "/run/docker.sock", false},
		{"tcp4", "nonsense", false},
	} {
		if got := g.control(t.Context(), test.network, test.address, nil) == nil; got != test.want {
			t.Errorf("%s %s: %v, want %v", test.network, test.address, got, test.want)
		}
	}
	if len(machine()) == 0 {
		t.Error("the machine has no addresses")
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, url := range []string{"https://example.com/a?b#c", "http://2130706433/", "http://[::1%25eth0]:80", "http://a:b@c", "//x", "http://0x7f.1", "http://[::ffff:127.0.0.1]"} {
		f.Add(url)
	}
	f.Fuzz(func(t *testing.T, url string) {
		u, err := parse(url)
		if err != nil {
			return
		}
		if u.Hostname() == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
			t.Errorf("%q passes", url)
		}
		if _, err := parse(u.String()); err != nil {
			t.Errorf("%q passes, %q does not: %v", url, u, err)
		}
	})
}
