package outcall_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync/atomic"
	"testing"

	miekg "github.com/miekg/dns"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/server/outcall"
)

// canary is a server on 127.0.0.1 that nobody may reach.
type canary struct {
	port    string
	reached atomic.Int32
}

func newCanary(t *testing.T) *canary {
	c := &canary{}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			c.reached.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	_, c.port, _ = net.SplitHostPort(s.Listener.Addr().String())
	return c
}

// tricks are URLs that lead to a port of the machine itself, or would to some reader.
func tricks(port string) map[string]postern.Code {
	refused, invalid := postern.CodeOutcallRefused, postern.CodeOutcallInvalid
	all := map[string]postern.Code{}
	for host, code := range map[string]postern.Code{
		"127.0.0.1": refused, "127.1.2.3": refused, "0.0.0.0": refused, "[::]": refused, "[::1]": refused, "[0:0:0:0:0:0:0:1]": refused,
		"[::ffff:127.0.0.1]": refused, "[::ffff:7f00:1]": refused, "[::127.0.0.1]": refused, "[64:ff9b::7f00:1]": refused, "[2002:7f00:1::]": refused,
		"10.1.2.3": refused, "169.254.169.254": refused, "[fd00:ec2::254]": refused, "100.100.100.200": refused, "[::ffff:a9fe:a9fe]": refused,
		"localhost": refused, "localhost.": refused, "LOCALHOST": refused, "a.localhost": refused,
		"loop.example": refused, "loop.example.": refused, "loop6.example": refused, "mapped.example": refused, "alias.example": refused,
		"metadata.google.internal": refused, "127.0.0.1.nip.example": refused, "127。0。0。1": refused, "①②⑦.⓪.⓪.①": refused, "ⓛⓞⓞⓟ.example": refused,
		"2130706433": invalid, "017700000001": invalid, "0x7f000001": invalid, "0X7F000001": invalid, "0177.0.0.1": invalid, "127.1": invalid, "127.0.1": invalid,
		"0x7f.0.0.1": invalid, "127.0.0.01": invalid, "127.0.0.1.": invalid, "127.0.0.0x1": invalid, "0": invalid, "１２７.0.0.1": invalid, "a.1": invalid,
		"[::1%25lo]": invalid, "[fe80::1%25eth0]": invalid, "[::1%lo]": invalid, "user@127.0.0.1": invalid, "public.example:80@127.0.0.1": invalid, "user:password@loop.example": invalid,
		"127.0.0.1%00.example": invalid, "": invalid, "loop.example%2f": invalid,
	} {
		all["http://"+host+":"+port+"/"] = code
	}
	for _, url := range []string{
		"file:///etc/passwd", "gopher://127.0.0.1:" + port + "/_x", "ftp://127.0.0.1/", "dict://127.0.0.1:" + port, "unix:///run/docker.sock", "data:text/plain,x", "javascript:0",
		"http:127.0.0.1:" + port, "http:/127.0.0.1:" + port, "//127.0.0.1:" + port, "127.0.0.1:" + port, "http://", "http:///x", "http://loop.example:0/", "http://loop.example:25/", "http://loop.example:65536/",
		"http://loop.example:8o/", "http://loop.example\r\nX: y/", "http://loop.example /", "\x00http://loop.example/", "", "http://127.0.0.1:" + port + "\\@public.example/",
	} {
		all[url] = invalid
	}
	return all
}

func namesOfTricks(t *testing.T) *nameserver.Local {
	names := nameserver.NewLocal(t, nil) // whatever is not named here is 127.0.0.1
	names.Set(t, "loop6.example", "loop6.example. 0 IN AAAA ::1")
	names.Set(t, "mapped.example", "mapped.example. 0 IN AAAA ::ffff:127.0.0.1")
	names.Set(t, "alias.example", "alias.example. 0 IN CNAME loop.example.")
	names.Set(t, "metadata.google.internal", "metadata.google.internal. 0 IN A 169.254.169.254")
	return names
}

// No way to write an address of the inside gets a connection there.
func TestTricks(t *testing.T) {
	bird := newCanary(t)
	c := client(t, outcall.Config{Resolver: asking(namesOfTricks(t))})
	for url, code := range tricks(bird.port) {
		_, err := get(t, c, url)
		if err == nil {
			t.Errorf("%q: answered", url)
			continue
		}
		t.Run(url, func(t *testing.T) { fails(t, err, code, "") })
	}
	if n := bird.reached.Load(); n > 0 {
		t.Errorf("the inside was reached %d times", n)
	}
}

// Nor does a redirect from a server that may be called.
func TestTricksByRedirect(t *testing.T) {
	bird := newCanary(t)
	var to string
	outside, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: outside, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Location"] = []string{to}
		w.WriteHeader(http.StatusFound)
	})}}
	s.Start()
	t.Cleanup(s.Close)
	c := client(t, outcall.Config{Resolver: asking(namesOfTricks(t)), Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}})
	for to = range tricks(bird.port) {
		if to == "" { // no redirect at all
			continue
		}
		if answer, err := get(t, c, s.URL); err == nil {
			t.Errorf("redirected to %q: %d from %s", to, answer.Status, answer.URL)
		}
	}
	if n := bird.reached.Load(); n > 0 {
		t.Errorf("the inside was reached %d times", n)
	}
}

// A name that leads outside when it is looked up first, and inside the next time, gets
// nowhere: what is judged is the address that is connected to.
func TestAnswerThatChanges(t *testing.T) {
	bird := newCanary(t)
	outside, err := net.Listen("tcp", "127.0.0.2:"+bird.port)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: outside, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
	})}}
	s.Start()
	t.Cleanup(s.Close)
	names := nameserver.NewLocal(t, nil)
	var asked atomic.Int32
	names.Ask(func(q miekg.Question) []miekg.RR {
		if q.Qtype != miekg.TypeA {
			return []miekg.RR{}
		}
		last := 2
		if asked.Add(1) > 1 {
			last = 1
		}
		return []miekg.RR{&miekg.A{Hdr: miekg.RR_Header{Name: q.Name, Rrtype: miekg.TypeA, Class: miekg.ClassINET}, A: net.IPv4(127, 0, 0, byte(last))}}
	})
	c := client(t, outcall.Config{Resolver: asking(names), Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}})
	url := fmt.Sprintf("http://turning.example:%s/", bird.port)
	if _, err := get(t, c, url); err != nil {
		t.Fatal(err)
	}
	_, err = get(t, c, url)
	fails(t, err, postern.CodeOutcallRefused, "turning.example")
	if n := bird.reached.Load(); n > 0 {
		t.Errorf("the inside was reached %d times", n)
	}
}
