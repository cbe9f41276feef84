package setup_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/pki/dnscheck"
	"github.com/postern-dev/postern/server/setup"
)

// zone is a resolver that knows addresses, with wildcards, and name servers.
type zone struct {
	addresses map[string]string // "a.example.com" or "*.example.com" → addresses between commas; "!" fails
}

func (z zone) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	name := strings.TrimSuffix(host, ".")
	text, known := z.addresses[name]
	if _, parent, found := strings.Cut(name, "."); !known && found {
		text, known = z.addresses["*."+parent]
	}
	switch {
	case !known:
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	case text == "!":
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
	}
	return setup.ParseAddresses(text)
}

// statuses are the findings, as "check status".
func statuses(found setup.Findings) string {
	var all []string
	for _, f := range found {
		all = append(all, f.Check+" "+string(f.Status))
	}
	return strings.Join(all, ", ")
}

func addrs(t *testing.T, text string) []netip.Addr {
	t.Helper()
	all, err := setup.ParseAddresses(text)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestNames(t *testing.T) {
	const ours = "203.0.113.7,2001:db8::7"
	for name, c := range map[string]struct {
		records map[string]string
		want    string
		fixes   []string // of all findings together
	}{
		"all there": {map[string]string{"*.example.com": ours, "example.com": "203.0.113.7"},
			"dns *.example.com ok, dns connect.example.com ok, dns api.example.com ok, dns example.com ok", nil},
		"nothing there": {nil,
			"dns *.example.com fail, dns connect.example.com fail, dns api.example.com fail, dns example.com warn",
			[]string{"*.example.com.  A  203.0.113.7", "*.example.com.  AAAA  2001:db8::7", "The record for *.example.com is enough."}},
		"a site of its own": {map[string]string{"*.example.com": "203.0.113.7", "example.com": "198.51.100.1"},
			"dns *.example.com ok, dns connect.example.com ok, dns api.example.com ok, dns example.com warn", []string{"example.com.  A  203.0.113.7"}},
		"one name shadowed": {map[string]string{"*.example.com": ours, "api.example.com": "198.51.100.1", "example.com": ours},
			"dns *.example.com ok, dns connect.example.com ok, dns api.example.com fail, dns example.com ok", []string{"api.example.com.  A  203.0.113.7", "--address"}},
		"another machine's IPv6": {map[string]string{"*.example.com": "203.0.113.7,2001:db8::99", "example.com": ours},
			"dns *.example.com fail, dns connect.example.com fail, dns api.example.com fail, dns example.com ok", []string{"AAAA  2001:db8::7"}},
		"a resolver that fails": {map[string]string{"*.example.com": "!", "example.com": "!"},
			"dns *.example.com fail, dns connect.example.com fail, dns api.example.com fail, dns example.com warn", []string{"/etc/resolv.conf"}},
	} {
		t.Run(name, func(t *testing.T) {
			found := setup.Names(t.Context(), zone{addresses: c.records}, "example.com", "probe-1", addrs(t, ours))
			if got := statuses(found); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
			var text strings.Builder
			if err := found.Write(&text); err != nil {
				t.Fatal(err)
			}
			for _, fix := range c.fixes {
				if !strings.Contains(text.String(), fix) {
					t.Errorf("nothing says %q:\n%s", fix, &text)
				}
			}
			if strings.Contains(text.String(), "probe-1") {
				t.Errorf("people are shown the name that was made up:\n%s", &text)
			}
			for _, f := range found {
				if (f.Status == setup.OK) != (f.Fix == "") {
					t.Errorf("%s: status %s, fix %q", f.Check, f.Status, f.Fix)
				}
			}
		})
	}
	found := setup.Names(t.Context(), zone{addresses: map[string]string{"*.example.com": ours, "example.com": ours}}, "example.com", "p", nil)
	if got := statuses(found); strings.Contains(got, " ok") || found.Failed() > 0 {
		t.Errorf("without a public address that is known: %s", got)
	}
}

// parent is the zone above, as far as verdicts ask it.
type parent struct {
	servers map[string][]string // of delegations; "!" fails
	caa     string
}

func (p parent) Records(_ context.Context, name string, kind uint16) (dnscheck.Answer, error) {
	if kind != miekg.TypeCAA || p.caa == "" || name != "example.com." {
		return dnscheck.Answer{}, nil
	}
	record, err := miekg.NewRR(name + " CAA " + p.caa)
	return dnscheck.Answer{Records: []miekg.RR{record}}, err
}

func (p parent) Delegation(_ context.Context, name string) (dnscheck.Answer, error) {
	var all []miekg.RR
	for _, server := range p.servers[name] {
		if server == "!" {
			return dnscheck.Answer{}, &dnscheck.Failure{Name: name, Reason: "SERVFAIL"}
		}
		all = append(all, &miekg.NS{Hdr: miekg.RR_Header{Name: name, Rrtype: miekg.TypeNS, Class: miekg.ClassINET}, Ns: server})
	}
	return dnscheck.Answer{Records: all}, nil
}

func (p parent) Addresses(_ context.Context, name string) (dnscheck.Answer, error) {
	record, err := miekg.NewRR(name + " A 203.0.113.7")
	return dnscheck.Answer{Records: []miekg.RR{record}}, err
}

func (p parent) At(context.Context, string, string, uint16) (dnscheck.Answer, bool, error) {
	return dnscheck.Answer{}, false, errors.New("nobody")
}

func TestDelegation(t *testing.T) {
	both := []postern.Hostname{"ns1.example.com", "ns2.example.com"}
	for name, c := range map[string]struct {
		servers []string
		running bool
		want    setup.Status
		says    string
	}{
		"there":            {[]string{"ns1.example.com.", "NS2.Example.COM."}, false, setup.OK, "delegated to the server"},
		"not there":        {nil, false, setup.Failed, "dns.example.com.  NS  ns1.example.com.\n"},
		"elsewhere":        {[]string{"ns1.example.com.", "ns.registrar.net."}, false, setup.Failed, "ns.registrar.net"},
		"half":             {[]string{"ns1.example.com."}, false, setup.Warning, "1 of 2"},
		"not answered yet": {[]string{"!"}, false, setup.Warning, "--check"},
		"not answered":     {[]string{"!"}, true, setup.Failed, "SERVFAIL"},
	} {
		found := setup.Delegation(t.Context(), parent{servers: map[string][]string{"dns.example.com.": c.servers}}, "example.com", both, addrs(t, "203.0.113.7"), c.running)
		if len(found) != 3 || found[0].Status != setup.OK || found[0].Check != "dns ns1.example.com" {
			t.Fatalf("%s: %+v", name, found)
		}
		if f := found[2]; f.Check != "dns dns.example.com NS" || f.Status != c.want || !strings.Contains(f.Text+f.Fix, c.says) {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestAuthorisation(t *testing.T) {
	for caa, want := range map[string]setup.Status{"": setup.OK, `0 issue "letsencrypt.org"`: setup.OK, `0 issue "other.example"`: setup.Failed} {
		f := setup.Authorisation(t.Context(), parent{caa: caa}, "example.com", []string{"letsencrypt.org"})
		if f.Status != want || (want == setup.OK) != (f.Fix == "") {
			t.Errorf("with %q: %+v", caa, f)
		}
	}
}

// ports are a machine's: some taken, some forbidden.
func ports(taken map[string]error, holder string) setup.Network {
	return setup.Network{
		Listen: func(_ context.Context, network, address string) (io.Closer, error) {
			if err := taken[address+"/"+network]; err != nil {
				return nil, &net.OpError{Op: "listen", Net: network, Err: os.NewSyscallError("bind", err)}
			}
			return io.NopCloser(nil), nil
		},
		Dial: func(_ context.Context, network, address string) (net.Conn, error) {
			if strings.HasPrefix(address, "203.0.113.9:") {
				return nil, &net.OpError{Op: "dial", Net: network, Err: errors.New("no route to host")}
			}
			near, far := net.Pipe()
			return near, far.Close()
		},
		Holder: func(string, uint16) string { return holder },
	}
}

func TestPorts(t *testing.T) {
	wanted := []setup.Port{{Network: "tcp", Address: ":443", For: "visitors and agents"}, {Network: "udp", Address: ":53", For: "resolvers"}}
	for name, c := range map[string]struct {
		taken   map[string]error
		holder  string
		running bool
		ours    string
		want    string
		says    string
	}{
		"free":             {nil, "", false, "203.0.113.7", "port 443/tcp ok, port 53/udp ok, reachable from outside unseen", "443/tcp, 53/udp"},
		"taken":            {map[string]error{":443/tcp": syscall.EADDRINUSE}, "nginx (process 81)", false, "", "port 443/tcp fail, port 53/udp ok, reachable from outside unseen", "nginx (process 81) listens there"},
		"taken by whoever": {map[string]error{":443/tcp": syscall.EADDRINUSE}, "", false, "", "port 443/tcp fail, port 53/udp ok, reachable from outside unseen", "ss -ltnup"},
		"resolved":         {map[string]error{":53/udp": syscall.EADDRINUSE}, "systemd-resolve (process 5)", false, "", "port 443/tcp ok, port 53/udp fail, reachable from outside unseen", "DNSStubListener=no"},
		"ours":             {map[string]error{":443/tcp": syscall.EADDRINUSE}, "postern (process 9)", true, "", "port 443/tcp ok, port 53/udp ok, reachable from outside unseen", "the server has it"},
		"not for this user": {map[string]error{":443/tcp": syscall.EACCES, ":53/udp": syscall.EACCES}, "", false, "",
			"port 443/tcp warn, port 53/udp warn, reachable from outside unseen", "as root"},
		"translated": {nil, "", false, "203.0.113.9", "port 443/tcp warn, port 53/udp ok, reachable from outside unseen", "no route to host"},
	} {
		t.Run(name, func(t *testing.T) {
			found := setup.Ports(t.Context(), ports(c.taken, c.holder), wanted, addrs(t, c.ours), c.running)
			var text strings.Builder
			if err := found.Write(&text); err != nil {
				t.Fatal(err)
			}
			if got := statuses(found); got != c.want || !strings.Contains(text.String(), c.says) {
				t.Errorf("got  %s\nwant %s, with %q:\n%s", got, c.want, c.says, &text)
			}
		})
	}
}

// The real ports of this machine: one that is taken is found, with the program that has it.
func TestPortsOfThisMachine(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer packets.Close()
	found := setup.Ports(t.Context(), setup.ThisNetwork(), []setup.Port{
		{Network: "tcp", Address: listener.Addr().String()}, {Network: "udp", Address: packets.LocalAddr().String()}}, nil, false)
	for _, f := range found[:2] {
		if f.Status != setup.Failed || !strings.Contains(f.Text, "listens there") {
			t.Errorf("%+v", f)
		}
	}
	listener.Close()
	if f := setup.Ports(t.Context(), setup.ThisNetwork(), []setup.Port{{Network: "tcp", Address: listener.Addr().String()}}, addrs(t, "127.0.0.1"), false)[0]; f.Status != setup.OK {
		t.Errorf("after it was closed: %+v", f)
	}
}

const directoryText = `{"newNonce":"https://ca.test/n","newAccount":"https://ca.test/a","newOrder":"https://ca.test/o","meta":{"termsOfService":"https://ca.test/terms"%s}}`

func TestDirectory(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		eab    bool
		ahead  time.Duration
		want   setup.Status
		says   string
	}{
		"there":             {200, fmt.Sprintf(directoryText, ""), false, 0, setup.OK, "https://ca.test/terms"},
		"wants an account":  {200, fmt.Sprintf(directoryText, `,"externalAccountRequired":true`), false, 0, setup.Failed, "tls.eab"},
		"has the account":   {200, fmt.Sprintf(directoryText, `,"externalAccountRequired":true`), true, 0, setup.OK, "is there"},
		"something else":    {200, "<html>", false, 0, setup.Failed, "not with the directory"},
		"not there":         {404, "{}", false, 0, setup.Failed, "404"},
		"clock ahead":       {200, fmt.Sprintf(directoryText, ""), false, time.Hour, setup.Failed, "off by 1h0m"},
		"clock behind":      {200, fmt.Sprintf(directoryText, ""), false, -time.Hour, setup.Failed, "off by -"},
		"clock a bit ahead": {200, fmt.Sprintf(directoryText, ""), false, time.Minute, setup.OK, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sent := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Date", sent.Format(http.TimeFormat))
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			client, err := setup.DirectoryClient("")
			if err != nil {
				t.Fatal(err)
			}
			f, _ := setup.Directory(t.Context(), client, server.URL, c.eab, func() time.Time { return sent.Add(c.ahead) })
			if f.Status != c.want || !strings.Contains(f.Text+f.Fix, c.says) {
				t.Errorf("%+v", f)
			}
		})
	}
	untrusted := httptest.NewTLSServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = nil
	defer untrusted.Close()
	client, err := setup.DirectoryClient("")
	if err != nil {
		t.Fatal(err)
	}
	if f, _ := setup.Directory(t.Context(), client, untrusted.URL, false, time.Now); f.Status != setup.Failed || !strings.Contains(f.Fix, "tls.ca_root") {
		t.Errorf("an authority that nobody vouches for: %+v", f)
	}
	if _, err := setup.DirectoryClient(t.TempDir()); err == nil {
		t.Error("a directory was read for roots")
	}
}

func TestFirewalls(t *testing.T) {
	wanted := []setup.Port{{Network: "tcp", Address: ":443"}, {Network: "udp", Address: ":53"}}
	for name, c := range map[string]struct {
		says   map[string]string // by program and first argument
		status setup.Status      // "" for no finding
		fix    string
	}{
		"none":            {nil, "", ""},
		"ufw off":         {map[string]string{"ufw status": "Status: inactive\n"}, "", ""},
		"ufw closed":      {map[string]string{"ufw status": "Status: active\n\nTo    Action  From\n22/tcp  ALLOW  Anywhere\n443/tcp ALLOW Anywhere\n"}, setup.Warning, "ufw allow 53/udp"},
		"ufw open":        {map[string]string{"ufw status": "Status: active\n443 ALLOW Anywhere\n53 ALLOW Anywhere\n"}, setup.OK, ""},
		"firewalld":       {map[string]string{"firewall-cmd --state": "running\n", "firewall-cmd --list-ports": "443/tcp\n"}, setup.Warning, "--add-port=53/udp"},
		"not a substring": {map[string]string{"ufw status": "Status: active\n8443/tcp ALLOW\n53/udp ALLOW\n"}, setup.Warning, "ufw allow 443/tcp"},
	} {
		found := setup.Firewall(t.Context(), func(_ context.Context, argv ...string) (string, error) {
			if text, known := c.says[argv[0]+" "+argv[1]]; known {
				return text, nil
			}
			return "", errors.New("not found")
		}, wanted)
		switch {
		case c.status == "" && len(found) > 0, c.status != "" && (len(found) != 1 || found[0].Status != c.status || !strings.Contains(found[0].Fix, c.fix)):
			t.Errorf("%s: %+v", name, found)
		}
	}
}

func TestPublic(t *testing.T) {
	all := addrs(t, "127.0.0.1,::1,10.0.0.5,192.168.1.1,100.64.3.4,fe80::1,fd00::1,203.0.113.7,2001:db8::7,203.0.113.7,169.254.1.1")
	if got := fmt.Sprint(setup.Public(all)); got != "[203.0.113.7 2001:db8::7]" {
		t.Errorf("public: %s", got)
	}
}
