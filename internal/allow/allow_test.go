package allow_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/allow"
)

func TestPorts(t *testing.T) {
	for _, test := range []struct {
		rules   string
		network string
		port    uint16
		want    bool
	}{
		{"", "tcp", 1, true},
		{"", "tcp", 0, false},
		{"", "sctp", 80, false},
		{"8081", "tcp", 8081, true},
		{"8081", "udp", 8081, true},
		{"8081", "tcp", 8082, false},
		{"53/udp", "udp", 53, true},
		{"53/udp", "tcp", 53, false},
		{"9000-9100/tcp", "tcp", 9000, true},
		{"9000-9100/tcp", "tcp", 9100, true},
		{"9000-9100/tcp", "tcp", 9101, false},
		{"9000-9100/tcp", "udp", 9050, false},
		{"*", "udp", 65535, true},
		{"*", "udp", 0, false},
		{"*", "", 80, false},
		{"*/udp", "tcp", 80, false},
		{"80 443", "tcp", 443, true},
		{"80 443", "tcp", 444, false},
	} {
		ports, err := allow.ParsePorts(strings.Fields(test.rules))
		if err != nil {
			t.Fatal(err)
		}
		if got := ports.Allows(test.network, test.port); got != test.want {
			t.Errorf("%q allows %s port %d: %v, want %v", test.rules, test.network, test.port, got, test.want)
		}
	}
}

func TestTargets(t *testing.T) {
	for _, test := range []struct {
		rules string
		host  string
		port  uint16
		want  bool
	}{
		{"", "anything", 1, true},
		{"", "", 1, false},
		{"", "anything", 0, false},
		{"*:443", "db.corp.example", 443, true},
		{"*:443", "10.1.2.3", 443, true},
		{"*:443", "10.1.2.3", 80, false},
		{"db.corp.example:5432", "DB.corp.example.", 5432, true},
		{"DB.Corp.Example.:5432", "db.corp.example", 5432, true},
		{"db.corp.example:5432", "x.db.corp.example", 5432, false},
		{"*.corp.example:443", "a.corp.example", 443, true},
		{"*.corp.example:443", "a.b.Corp.Example", 443, true},
		{"*.corp.example:443", "10.corp.example", 443, true},
		{"*.corp.example:443", "corp.example", 443, false},
		{"*.corp.example:443", "acorp.example", 443, false},
		{"*.corp.example:443", ".corp.example", 443, false},
		{"*.corp.example:443", "a..corp.example", 443, false},
		{"*.corp.example:443", "a b.corp.example", 443, false},
		{"10.0.0.0/8:*", "10.255.0.1", 1, true},
		{"10.0.0.0/8:*", "::ffff:10.255.0.1", 1, true},
		{"10.0.0.0/8:*", "11.0.0.1", 1, false},
		{"10.0.0.0/8:*", "ten.example", 1, false},
		{"10.0.0.0/8:*", "10.0.0.1.", 1, false}, // no address, so a name
		{"0.0.0.0/0:*", "localhost", 1, false},
		{"10.0.0.1:22", "10.0.0.1", 22, true},
		{"[::ffff:10.0.0.1]:22", "10.0.0.1", 22, true},
		{"[fd00::/8]:1024-2047", "fd00:0::1", 1024, true},
		{"[fd00::/8]:1024-2047", "fd00::1%eth0", 1024, false},
		{"[fd00::/8]:1024-2047", "fd00::1", 2048, false},
		{"[2001:db8::1]:53", "2001:DB8:0:0::1", 53, true},
		{"my_service:80 db:5432", "db", 5432, true},
		{"my_service:80 db:5432", "my_service", 5432, false},
	} {
		targets, err := allow.ParseTargets(strings.Fields(test.rules))
		if err != nil {
			t.Fatal(err)
		}
		if got := targets.Allows(test.host, test.port); got != test.want {
			t.Errorf("%q allows %q port %d: %v, want %v", test.rules, test.host, test.port, got, test.want)
		}
	}
}

func TestListen(t *testing.T) {
	place := func(rules ...string) (l allow.Listen) {
		for _, rule := range rules {
			p, err := allow.ParsePlace(rule)
			if err != nil {
				t.Fatal(err)
			}
			if p.String() != rule {
				t.Errorf("%q prints as %q", rule, p)
			}
			l = append(l, p)
		}
		return l
	}
	for _, test := range []struct {
		listen allow.Listen
		addr   string
		port   uint16
		want   bool
	}{
		{nil, "127.0.0.1", 8080, false},
		{allow.Loopback(), "127.64.1.2", 1024, true},
		{allow.Loopback(), "127.64.1.2", 1023, false},
		{allow.Loopback(), "::1", 8080, true},
		{allow.Loopback(), "::ffff:127.0.0.1", 8080, true},
		{allow.Loopback(), "10.0.0.1", 8080, false},
		{place("10.1.2.0/24:80-90", "[::1]:*"), "10.1.2.3", 80, true},
		{place("10.1.2.0/24:80-90", "[::1]:*"), "10.1.2.3", 8080, false},
		{place("10.1.2.0/24:80-90", "[::1]:*"), "::1", 1, true},
		{place("fd00::/8"), "fd00::1", 1024, true},
		{place("10.1.2.3"), "10.1.2.3", 1023, false},
	} {
		if got := test.listen.Allows(netip.MustParseAddr(test.addr), test.port); got != test.want {
			t.Errorf("%v allows %s port %d: %v, want %v", test.listen, test.addr, test.port, got, test.want)
		}
		if test.want && !test.listen.Addr(netip.MustParseAddr(test.addr)) {
			t.Errorf("%v does not allow %s at all", test.listen, test.addr)
		}
	}
	if allow.Loopback().Addr(netip.MustParseAddr("10.0.0.1")) {
		t.Error("the default allows an address that others reach")
	}
}

func TestRefused(t *testing.T) {
	port := func(rule string) error { _, err := allow.ParsePort(rule); return err }
	target := func(rule string) error { _, err := allow.ParseTarget(rule); return err }
	place := func(rule string) error { _, err := allow.ParsePlace(rule); return err }
	for _, test := range []struct {
		parse func(string) error
		rules []string
	}{
		{port, []string{"", "0", "65536", "-1", "+1", "01", "x", "1-", "-2", "2-1", "1-2-3", "80/", "80/sctp", "80/TCP", "/udp", "80 ", "*-*", strings.Repeat("1", 400)}},
		{target, []string{
			"", ":", ":443", "db", "db:", "db:0", "db:x", "db:53/udp", "a b:1", "a..b:1", "*:", "*.:1", "*.*.a:1", "a*.b:1", "ü.example:1", "-:0",
			"10.0.0.1/8:*", "10.0.0.0/33:*", "10.0.0.256:1", "1.2.3:1", "0x7f.1:1", "fd00::/8:443", "[fd00::/8]", "[fd00::/8]443", "[fd00::/8]:", "[fd00::1%eth0]:1",
			"[db]:1", "[fd00::1:1", "::1", "[::ffff:10.0.0.0/104]:1", strings.Repeat("a", 64) + ":1", strings.Repeat("a.", 130) + "a:1",
		}},
		{place, []string{"", "*", "*:80", "localhost", "10.0.0.0/8:", "10.0.0.1/8", "10.0.0.0/8:0", "[::1", "fe80::1%eth0", strings.Repeat("1", 400)}},
	} {
		for _, rule := range test.rules {
			if err := test.parse(rule); !postern.HasCode(err, postern.CodeRuleInvalid) {
				t.Errorf("%q: %v", rule, err)
			}
		}
	}
	if _, err := allow.ParsePorts(make([]string, allow.MaxRules+1)); !postern.HasCode(err, postern.CodeRuleInvalid) {
		t.Errorf("too many rules: %v", err)
	}
}

// FuzzRules: whatever is read prints as a rule that means the same, is read again, and
// allows no host that is not within it.
func FuzzRules(f *testing.F) {
	for _, seed := range []string{"*", "8081", "9000-9100/tcp", "53/udp", "db:1", "*.corp.example:443", "10.0.0.0/8:*", "[fd00::/8]:1-2", "127.0.0.0/8", "[::1]:*"} {
		f.Add(seed, "db.corp.example", uint16(443))
		f.Add(seed, "10.0.0.1", uint16(53))
	}
	f.Fuzz(func(t *testing.T, rule, host string, port uint16) {
		if p, err := allow.ParsePort(rule); err == nil {
			again, err := allow.ParsePort(p.String())
			if err != nil || again != p {
				t.Errorf("port %q: %v, %v, %v", rule, p, again, err)
			}
			if port == 0 && p.Allows(allow.TCP, port) {
				t.Errorf("%q allows port 0", rule)
			}
		}
		if p, err := allow.ParseTarget(rule); err == nil {
			again, err := allow.ParseTarget(p.String())
			if err != nil || again != p {
				t.Errorf("target %q: %v, %v, %v", rule, p, again, err)
			}
			addr, err := netip.ParseAddr(host)
			if p.Allows(host, port) != again.Allows(host, port) || p.Allows(host, port) && (port == 0 || host == "") {
				t.Errorf("target %q, %q port %d", rule, host, port)
			}
			if err == nil && addr.Zone() == "" && p.Allows(host, port) != p.Allows(addr.Unmap().StringExpanded(), port) {
				t.Errorf("target %q: %s is compared as text", rule, host)
			}
		}
		if p, err := allow.ParsePlace(rule); err == nil {
			if again, err := allow.ParsePlace(p.String()); err != nil || again != p {
				t.Errorf("place %q: %v, %v, %v", rule, p, again, err)
			}
		}
	})
}

func TestPortsMeet(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"", "", true},
		{"", "53/udp", true},
		{"8081", "8081/udp", true},
		{"8081/tcp", "8081/udp", false},
		{"8081-8090", "8090-9000", true},
		{"8081-8090", "8091", false},
		{"80 443", "22 443/tcp", true},
		{"*/udp", "1-65535/tcp", false},
	} {
		a, errA := allow.ParsePorts(strings.Fields(test.a))
		b, errB := allow.ParsePorts(strings.Fields(test.b))
		if errA != nil || errB != nil {
			t.Fatal(errA, errB)
		}
		if a.Meet(b) != test.want || b.Meet(a) != test.want {
			t.Errorf("%q and %q meet: %v and %v, want %v", test.a, test.b, a.Meet(b), b.Meet(a), test.want)
		}
		// They meet where some port is allowed by both.
		common := false
		for _, network := range []string{allow.TCP, allow.UDP} {
			for port := range 1 << 16 {
				common = common || a.Allows(network, uint16(port)) && b.Allows(network, uint16(port))
			}
		}
		if common != test.want {
			t.Errorf("%q and %q have a port in common: %v", test.a, test.b, common)
		}
	}
}

func TestPortEach(t *testing.T) {
	for rule, want := range map[string]string{"53": "tcp53 udp53", "53-54/udp": "udp53 udp54", "65535/tcp": "tcp65535"} {
		port, err := allow.ParsePort(rule)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for network, number := range port.Each() {
			got = append(got, fmt.Sprint(network, number))
			if !port.Allows(network, number) {
				t.Errorf("%q does not allow its %s port %d", rule, network, number)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q is %v, want %s", rule, got, want)
		}
	}
	for range (allow.Port{}).Each() {
		t.Error("a rule that allows nothing has a port")
	}
}

func TestListenCovers(t *testing.T) {
	var places allow.Listen
	for _, rule := range []string{"10.0.0.0/8:1000-2000", "10.1.0.0/16:2001-3000", "10.1.2.3:1-65535"} {
		place, err := allow.ParsePlace(rule)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, place)
	}
	for _, test := range []struct {
		addr, ports string
		want        bool
	}{
		{"10.2.0.1", "1000-2000", true},
		{"10.2.0.1", "1000-2001", false},
		{"10.2.0.1", "999", false},
		{"10.1.0.1", "1500-2500/udp", true},
		{"10.1.0.1", "1000-3000", true},
		{"10.1.0.1", "1000-3001", false},
		{"10.1.2.3", "*", true},
		{"11.0.0.1", "1500", false},
	} {
		port, err := allow.ParsePort(test.ports)
		if err != nil {
			t.Fatal(err)
		}
		if got := places.Covers(netip.MustParseAddr(test.addr), port); got != test.want {
			t.Errorf("%s at %s is covered: %v", test.ports, test.addr, got)
		}
	}
	if places.Covers(netip.MustParseAddr("10.1.2.3"), allow.Port{}) {
		t.Error("a rule that allows nothing is covered")
	}
}
