package control_test

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/control"
)

func TestBindURL(t *testing.T) {
	tests := []struct {
		url  string
		want string // the public URL, "" for an error
		code postern.Code
	}{
		{url: "https://app.example.com", want: "https://app.example.com"},
		{url: "https://app.example.com:443", want: "https://app.example.com"},
		{url: "app.example.com", want: "https://app.example.com"},
		{url: "http://app.example.com", want: "http://app.example.com"},
		{url: "tls://app.example.com", want: "tls://app.example.com"},
		{url: "https://a.b.c.example.com", want: "https://a.b.c.example.com"},
		{url: "https://*.team.example.com", want: "https://*.team.example.com"},
		{url: "tcp://tcp.example.com:20003", want: "tcp://tcp.example.com:20003"},
		{url: "tcp://:20003", want: "tcp://tcp.example.com:20003"},
		{url: "tcp://", want: "tcp://tcp.example.com:20000"},

		{url: "https://app.example.com:8443", code: postern.CodeURLPartNotAllowed},
		{url: "https://app.example.org", code: postern.CodeDomainForeign},
		{url: "https://example.com", code: postern.CodeDomainForeign},
		{url: "https://app.example.com.evil.org", code: postern.CodeDomainForeign},
		{url: "https://xexample.com", code: postern.CodeDomainForeign},
		{url: "https://*.example.com", code: postern.CodeNameReserved},
		{url: "https://connect.example.com", code: postern.CodeNameReserved},
		{url: "https://x.api.example.com", code: postern.CodeNameReserved},
		{url: "https://*.dashboard.example.com", code: postern.CodeNameReserved},
		{url: "https://127.0.0.1", code: postern.CodeHostnameInvalid},
		{url: "tcp://tcp.example.com:19999", code: postern.CodePortUnavailable},
		{url: "tcp://app.example.com:20003", code: postern.CodeDomainForeign},
	}
	for _, test := range tests {
		t.Run(test.url, func(t *testing.T) {
			w := newWorld(t)
			c := w.connect(link.Hello{Token: "alpha"})
			if test.code != "" {
				c.refuse(t, request(t, test.url), test.code)
				if len(w.cluster.Endpoints()) != 0 {
					t.Error("a refused endpoint is online")
				}
				return
			}
			if bound := c.bind(t, request(t, test.url)); bound.PublicURL != test.want {
				t.Errorf("bound %s, want %s", bound.PublicURL, test.want)
			}
		})
	}
}

func TestBindShowsPublicPort(t *testing.T) {
	w := newWorld(t, func(c *control.Config) { c.Public = control.PublicPorts{HTTPS: 8443} })
	c := w.connect(link.Hello{Token: "alpha"})
	for _, url := range []string{"https://a.example.com", "https://b.example.com:443", "https://c.example.com:8443"} {
		if bound := c.bind(t, request(t, url)); bound.URL.Port != 0 || !strings.HasSuffix(bound.PublicURL, ":8443") {
			t.Errorf("%s became %+v, %s", url, bound.URL, bound.PublicURL)
		}
	}
	c.refuse(t, request(t, "http://d.example.com"), postern.CodeOptionUnsupported) // no such listener
}

// The converter is for endpoints that speak HTTP, and changes what the edge does.
func TestBindWithTheWebSocketConverter(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	asks := func(url string) link.BindRequest {
		r := request(t, url)
		r.Middleware = map[string]json.RawMessage{"WebsocketTCPConverter": json.RawMessage("{}")}
		return r
	}
	for _, url := range []string{"https://a.example.com", "http://b.example.com"} {
		bound := c.bind(t, asks(url))
		live := w.cluster.Endpoints()
		if i := slices.IndexFunc(live, func(e postern.Endpoint) bool { return e.ID == bound.EndpointID }); i < 0 || !live[i].Options.WebSocketTCP {
			t.Errorf("%s: %+v", url, live)
		}
	}
	c.refuse(t, asks("tls://c.example.com"), postern.CodeBindInvalid)
	c.refuse(t, asks("tcp://"), postern.CodeBindInvalid)
	http2 := asks("https://d.example.com")
	http2.Options.UpstreamProtocol = postern.HTTP2
	c.refuse(t, http2, postern.CodeBindInvalid)
}

// Error pages are for endpoints whose visitors see them, and are looked at when they come.
func TestBindWithErrorPages(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	asks := func(url, pages string) link.BindRequest {
		r := request(t, url)
		r.Middleware = map[string]json.RawMessage{"ErrorPages": json.RawMessage(pages)}
		return r
	}
	const good = `{"pages":[{"errors":["502"],"html":"the {{title}}"}],"maintenance":{"enabled":true}}`
	c.bind(t, asks("https://a.example.com", good))
	if live := w.cluster.Endpoints(); len(live) != 1 || live[0].Options.ErrorPages != good {
		t.Errorf("%+v", live)
	}
	set := w.cluster.Owners()[0].Pages
	if set.Page(postern.CodeUpstreamUnreachable) == nil || !set.Switched() {
		t.Errorf("the route's pages are %+v", set)
	}
	for _, bad := range []struct{ url, pages, says string }{
		{"tcp://", good, "this one is tcp"},
		{"tls://c.example.com", good, "this one is tls"},
		{"https://b.internal", good, "forwards to b.internal"},
		{"https://b.example.com", `[]`, "cannot be read"},
		{"https://b.example.com", `{"pages":[{"errors":["200"],"html":"x"}]}`, `error_pages[0].errors has "200"`},
		{"https://b.example.com", `{"pages":[{"errors":["*"],"html":"{{visitor}}"}]}`, "no placeholder {{visitor}}"},
		{"https://b.example.com", `{"maintenance":{"allow_cidrs":["x"]}}`, `maintenance.allow_cidrs has "x"`},
	} {
		if err := c.refuse(t, asks(bad.url, bad.pages), postern.CodeBindInvalid); !strings.Contains(err.Text(), bad.says) {
			t.Errorf("%s %s: %q", bad.url, bad.pages, err.Text())
		}
	}
}

func TestBindRefuses(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	tests := []struct {
		name   string
		url    string
		change func(*link.BindRequest)
		code   postern.Code
		says   string
	}{
		{"unsupported option", "https://", func(r *link.BindRequest) { r.Unsupported = []string{"OAuth", "Compression"} }, postern.CodeOptionUnsupported, "OAuth, Compression"},
		{"internal binding", "https://", func(r *link.BindRequest) { r.Bindings = []string{"public", "internal"} }, postern.CodeOptionUnsupported, "internal"},
		{"URL and subdomain", "https://a.example.com", func(r *link.BindRequest) { r.Subdomain = "b" }, postern.CodeBindInvalid, "either"},
		{"bad subdomain", "https://", func(r *link.BindRequest) { r.Subdomain = "b_/c" }, postern.CodeHostnameInvalid, "b_/c"},
		{"long metadata", "https://", func(r *link.BindRequest) { r.Metadata = strings.Repeat("x", 4097) }, postern.CodeBindInvalid, "metadata"},
		{"proxy protocol", "https://", func(r *link.BindRequest) { r.Options.ProxyProtocol = 3 }, postern.CodeBindInvalid, "3"},
		{"host header", "https://", func(r *link.BindRequest) { r.Options.HostHeader = "a\r\nb: c" }, postern.CodeBindInvalid, "host header"},
		{"termination of https", "https://", func(r *link.BindRequest) { r.Options.Termination = postern.AtEdge }, postern.CodeBindInvalid, "tls"},
		{"certificate", "tls://", func(r *link.BindRequest) {
			r.Options.Termination, r.Options.CertificatePEM, r.Options.KeyPEM = postern.AtEdge, "x", "secret-key"
		}, postern.CodeBindInvalid, "certificate"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := request(t, test.url)
			test.change(&r)
			err := c.refuse(t, r, test.code)
			if !strings.Contains(err.Text(), test.says) || strings.Contains(err.Error(), "secret-key") {
				t.Errorf("the message is %q", err.Text())
			}
		})
	}
	if _, err := c.BindLabels(t.Context(), "", map[string]string{"a": "b"}); !postern.HasCode(err, postern.CodeOptionUnsupported) {
		t.Errorf("labels: %v", err)
	}
}

func TestBindIDs(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	r := request(t, "https://a.example.com")
	r.ID = "mine"
	if bound := c.bind(t, r); bound.ID != "mine" {
		t.Errorf("bind id %q", bound.ID)
	}
	again := request(t, "https://b.example.com")
	again.ID = "mine"
	c.refuse(t, again, postern.CodeBindInvalid)
	if err := c.Unbind(t.Context(), "never heard of"); err != nil {
		t.Errorf("unbinding an unknown id: %v", err)
	}
	for range 2 {
		if err := c.Unbind(t.Context(), "mine"); err != nil {
			t.Error(err)
		}
	}
	if w.reachable("a.example.com", true) {
		t.Error("unbound and still routed")
	}
	c.bind(t, again)
}

// A name of the account's own domain is online like any other; and comes back by its token
// while the store is down.
func TestBindCustomDomain(t *testing.T) {
	w := newWorld(t)
	w.service.names["app.customer.org"] = "ac_one"
	c := w.connect(link.Hello{Token: "alpha"})
	bound := c.bind(t, request(t, "https://app.customer.org"))
	if bound.PublicURL != "https://app.customer.org" || !w.reachable("app.customer.org", true) {
		t.Errorf("bound %+v", bound)
	}
	c.refuse(t, request(t, "https://other.customer.org"), postern.CodeDomainForeign)
	c.refuse(t, request(t, "tcp://app.customer.org:20003"), postern.CodeDomainForeign)
	c.Release(nil)
	w.service.down = true
	again := request(t, "https://app.customer.org")
	again.Token = bound.Token
	w.connect(link.Hello{Token: "alpha"}).bind(t, again)
}

// When Bind returns, visitors reach the endpoint; when Release returns, they do not.
func TestBindIsImmediate(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	c.bind(t, request(t, "https://app.example.com"))
	c.bind(t, request(t, "http://app.example.com"))
	bound := c.bind(t, request(t, "tcp://"))
	if !w.reachable("app.example.com", true) || !w.reachable("app.example.com", false) || !w.ports.opened(bound.URL.Port) {
		t.Error("bound and not reachable")
	}
	c.Release(nil)
	if w.reachable("app.example.com", true) || w.reachable("app.example.com", false) || w.ports.opened(bound.URL.Port) {
		t.Error("released and still reachable")
	}
}

func TestEndpointLimit(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	var last link.Bound
	for range 4 {
		last = c.bind(t, request(t, "https://"))
	}
	c.refuse(t, request(t, "https://"), postern.CodeEndpointLimit)
	if err := c.Unbind(t.Context(), last.ID); err != nil {
		t.Fatal(err)
	}
	c.bind(t, request(t, "https://"))
}

// D7: an assigned name is stable, over restarts of the agent and of the server.
func TestAssignedNames(t *testing.T) {
	w := newWorld(t)
	r := request(t, "https://")
	r.Name = "web"
	first := w.connect(link.Hello{Token: "alpha"})
	a := first.bind(t, r)
	b := w.connect(link.Hello{Token: "alpha"}).bind(t, r)
	if a.URL == b.URL {
		t.Fatal("two agents have one assigned name")
	}
	first.Close(postern.Errorf(postern.CodeLinkLost, "killed"))
	first.Release(nil)
	if back := w.connect(link.Hello{Token: "alpha"}).bind(t, r); back.URL != a.URL {
		t.Errorf("after a restart %s, before %s", back.URL, a.URL)
	}
	if back := w.restart().connect(link.Hello{Token: "alpha"}).bind(t, r); back.URL != a.URL {
		t.Errorf("after the server's restart %s, before %s", back.URL, a.URL)
	}
}

// D7: what was assigned is kept for the agent that has it online, and not for those that
// found it taken.
func TestAssignedAddressesAreKept(t *testing.T) {
	w := newWorld(t)
	hello := func(machine, version string) link.Hello {
		return link.Hello{Token: "alpha", Agent: postern.AgentInfo{Hostname: machine, OS: "linux", Version: version}}
	}
	a, b := w.connect(hello("a", "1.0")), w.connect(hello("b", "1.0"))
	kept := func(url postern.URL) []string {
		address := string(url.Host)
		if url.Scheme == postern.TCP {
			address = strconv.Itoa(int(url.Port))
		}
		w.service.mu.Lock()
		defer w.service.mu.Unlock()
		var machines []string
		for _, asker := range w.service.kept[address] {
			machines = append(machines, asker.Installation)
		}
		return machines
	}
	for _, url := range []string{"https://", "tcp://"} {
		first, second := a.bind(t, request(t, url)).URL, b.bind(t, request(t, url)).URL
		if len(kept(first)) != 1 || len(kept(second)) != 1 || kept(first)[0] == kept(second)[0] {
			t.Errorf("%s is kept for %q, %s for %q", first, kept(first), second, kept(second))
		}
	}
	asked := a.bind(t, request(t, "https://app.example.com")).URL
	if got := kept(asked); len(got) != 0 {
		t.Errorf("a name that was asked for is kept for %q", got)
	}
	before := a.bind(t, request(t, "https://")).URL
	a.Release(nil)
	updated := w.connect(hello("a", "2.0")).bind(t, request(t, "https://")).URL
	if kept(updated)[0] != kept(before)[0] {
		t.Errorf("an update made it another installation: %q, %q", kept(before), kept(updated))
	}
}

// Pooling shares a name that was asked for, never one that was assigned.
func TestAssignedNamesAreNotPooled(t *testing.T) {
	w := newWorld(t)
	r := request(t, "https://")
	r.Pooling = true
	a, b := w.connect(link.Hello{Token: "alpha"}).bind(t, r), w.connect(link.Hello{Token: "alpha"}).bind(t, r)
	if a.URL == b.URL {
		t.Errorf("both have %s", a.URL)
	}
}

// A returning agent gets its name back at once even if its old connection looks
// alive to the server: the holder is pinged.
func TestSilentHolderIsEvicted(t *testing.T) {
	for _, url := range []string{"https://app.example.com", "https://", "tcp://"} {
		t.Run(url, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				dead := newAgent("198.51.100.7:1")
				dead.silent = true
				first := w.connectAs(dead, link.Hello{Token: "alpha"})
				was := first.bind(t, request(t, url))
				started := time.Now()
				now := w.connect(link.Hello{Token: "alpha"}).bind(t, request(t, url))
				if now.URL != was.URL {
					t.Errorf("came back as %s, was %s", now.URL, was.URL)
				}
				if took := time.Since(started); took > 1100*time.Millisecond {
					t.Errorf("took %v", took)
				}
				if first.Cause() == nil {
					t.Error("the silent session lives on")
				}
				synctest.Wait()
				if now.URL.Scheme == postern.TCP && !w.ports.opened(now.URL.Port) {
					t.Error("the port was closed with the old session")
				}
			})
		})
	}
}

func TestAlreadyOnline(t *testing.T) {
	w := newWorld(t)
	plain, pooled := request(t, "https://app.example.com"), request(t, "https://app.example.com")
	pooled.Pooling = true
	first := w.connect(link.Hello{Token: "alpha"})
	first.bind(t, pooled)
	first.refuse(t, plain, postern.CodeAlreadyOnline)
	second := w.connect(link.Hello{Token: "beta"})
	if err := second.refuse(t, plain, postern.CodeAlreadyOnline); !strings.Contains(err.Text(), "pooling") {
		t.Errorf("the message does not name the way out: %q", err.Text())
	}
	second.bind(t, pooled)
	w.connect(link.Hello{Token: "gamma"}).refuse(t, pooled, postern.CodeNameReserved)
	if first.Cause() != nil {
		t.Error("a living holder was evicted")
	}
}

// wire.md 3.1: a tokened re-bind gives the same address back, whatever else holds.
func TestTokenGivesAddressBack(t *testing.T) {
	for _, url := range []string{"https://", "tcp://", "https://app.example.com"} {
		t.Run(url, func(t *testing.T) {
			w := newWorld(t)
			first := w.connect(link.Hello{Token: "alpha"})
			blocker := first.bind(t, request(t, url))
			var was link.Bound
			if url == "https://app.example.com" {
				was = blocker
			} else {
				was = first.bind(t, request(t, url)) // not the first of its series
			}
			first.Release(nil)

			w.service.down = true // even while the store is down
			back := request(t, strings.TrimSuffix(url, "app.example.com"))
			back.ID, back.Token = was.ID, was.Token
			second := w.restart()
			second.service.down = true
			now := second.connect(link.Hello{Token: "alpha"}).bind(t, back)
			if now.URL != was.URL || now.ID != was.ID {
				t.Errorf("came back as %s (%s), was %s (%s)", now.URL, now.ID, was.URL, was.ID)
			}
		})
	}
}

func TestTokenOfAnother(t *testing.T) {
	w := newWorld(t)
	first := w.connect(link.Hello{Token: "alpha"})
	was := first.bind(t, request(t, "https://app.example.com"))
	first.Release(nil)
	r := request(t, "https://")
	r.Token = was.Token
	if now := w.connect(link.Hello{Token: "beta"}).bind(t, r); now.URL == was.URL {
		t.Error("another credential's token was honoured")
	}
	// Whoever asks for something else by name has changed his mind.
	r = request(t, "https://other.example.com")
	r.Token = was.Token
	if now := w.connect(link.Hello{Token: "alpha"}).bind(t, r); now.URL.Host != "other.example.com" {
		t.Errorf("bound %s", now.URL)
	}
}

func TestPorts(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	w.ports.busy[20000] = true
	if bound := c.bind(t, request(t, "tcp://")); bound.URL.Port != 20001 {
		t.Errorf("assigned %d, want the next port that can be had", bound.URL.Port)
	}
	c.refuse(t, request(t, "tcp://:20000"), postern.CodePortUnavailable)

	pooled := request(t, "tcp://:20005")
	pooled.Pooling = true
	a, b := c.bind(t, pooled), w.connect(link.Hello{Token: "alpha"})
	b.bind(t, pooled)
	if err := c.Unbind(t.Context(), a.ID); err != nil || !w.ports.opened(20005) {
		t.Errorf("a pool's port was closed with its first member (%v)", err)
	}
	b.Release(nil)
	if w.ports.opened(20005) {
		t.Error("the port stays open with nobody behind it")
	}
}

// Ports of udp endpoints are a range of their own: one number may be of both.
func TestUDPPorts(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	stream, datagrams := c.bind(t, request(t, "tcp://:20003")), c.bind(t, request(t, "udp://:20003"))
	if datagrams.PublicURL != "udp://udp.example.com:20003" || stream.URL.Host == datagrams.URL.Host {
		t.Errorf("bound %s and %s", stream.PublicURL, datagrams.PublicURL)
	}
	if bound := c.bind(t, request(t, "udp://")); bound.URL.Port < 20000 || bound.URL.Port > 20009 || bound.URL.Port == 20003 {
		t.Errorf("assigned %s", bound.URL)
	}
	c.refuse(t, request(t, "udp://:30000"), postern.CodePortUnavailable)
	c.refuse(t, request(t, "udp://tcp.example.com:20004"), postern.CodeDomainForeign)
	proxied := request(t, "udp://")
	proxied.Options.ProxyProtocol = 2
	c.refuse(t, proxied, postern.CodeBindInvalid)
	back := request(t, "udp://")
	back.Token = datagrams.Token
	if err := c.Unbind(t.Context(), datagrams.ID); err != nil || !w.ports.opened(20003) || w.ports.opened(20003+udpOffset) {
		t.Errorf("tcp's port of the number is open: %v, udp's %v (%v)", w.ports.opened(20003), w.ports.opened(20003+udpOffset), err)
	}
	if again := c.bind(t, back); again.URL != datagrams.URL {
		t.Errorf("came back as %s", again.URL)
	}
}

func TestACL(t *testing.T) {
	acl, err := postern.ParseACL([]string{"bind:*.c1.example.com", "bind:tcp.example.com:20003"})
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.service.credentials["limited"] = postern.Credential{ID: "cr_limited", Account: "ac_one", ACL: acl}
	c := w.connect(link.Hello{Token: "limited"})
	c.bind(t, request(t, "https://a.c1.example.com"))
	c.bind(t, request(t, "https://*.c1.example.com"))
	c.bind(t, request(t, "tcp://:20003"))
	c.refuse(t, request(t, "https://c1.example.com"), postern.CodeNameNotAllowed)
	c.refuse(t, request(t, "https://"), postern.CodeNameNotAllowed)
	c.refuse(t, request(t, "tcp://:20004"), postern.CodeAddressNotAllowed)
	c.refuse(t, request(t, "tcp://"), postern.CodeRandomPortNotAllowed)
}

func TestPatch(t *testing.T) {
	w := newWorld(t)
	c := w.connect(link.Hello{Token: "alpha"})
	bound := c.bind(t, request(t, "https://app.example.com"))
	name, pooling := "new", true
	if err := c.Patch(t.Context(), link.Patch{EndpointID: bound.EndpointID, Name: &name, Pooling: &pooling}); err != nil {
		t.Fatal(err)
	}
	if live := w.cluster.Endpoints()[0]; live.Name != "new" || !live.Pooling {
		t.Errorf("after the patch: %+v", live)
	}
	if got := w.Sessions()[0].Endpoints[0].Name; got != "new" {
		t.Errorf("the session lists %q", got)
	}
	other := w.connect(link.Hello{Token: "alpha"})
	if err := other.Patch(t.Context(), link.Patch{EndpointID: bound.EndpointID, Name: &name}); !postern.HasCode(err, postern.CodeEndpointUnknown) {
		t.Errorf("another session's endpoint: %v", err)
	}
}

// FuzzToken: no token that we did not make names an address.
func FuzzToken(f *testing.F) {
	w := newWorld(f)
	c := w.connect(link.Hello{Token: "alpha"})
	seed := c.bind(f, request(f, "https://mine.example.com"))
	f.Add(seed.Token[1:])
	f.Add(seed.Token + "A")
	f.Add("e30.")
	f.Add(".")
	f.Fuzz(func(t *testing.T, token string) {
		if token == seed.Token {
			return
		}
		r := request(t, "https://")
		r.Token = token
		bound := c.bind(t, r)
		if bound.URL.Host == "mine.example.com" || strings.Count(string(bound.URL.Host), ".") != 2 {
			t.Fatalf("token %q gave %s", token, bound.URL)
		}
		if err := c.Unbind(t.Context(), bound.ID); err != nil {
			t.Fatal(err)
		}
	})
}
