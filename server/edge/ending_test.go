package edge_test

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/route"
)

// ends puts an endpoint online whose policy has terminate-tls with a configuration, or
// replaces it. What the client certificate's facts are, services are told.
func (s *site) ends(url, addr string, config map[string]any) *member {
	s.t.Helper()
	action := map[string]any{"type": "terminate-tls", "config": config}
	rules := map[string]any{"on_tcp_connect": []any{map[string]any{"actions": []any{action}}}}
	if strings.HasPrefix(url, "https:") {
		facts := map[string]any{"x-client": "${conn.tls.client.subject.common_name}", "x-version": "${conn.tls.version}"}
		rules["on_http_request"] = []any{map[string]any{"actions": []any{map[string]any{"type": "add-headers", "config": map[string]any{"headers": facts}}}}}
	}
	text, err := json.Marshal(rules)
	must(s.t, err)
	return s.policedBy(url, addr, string(text))
}

func (s *site) policedBy(url, addr, text string) *member {
	s.t.Helper()
	m := newMember(addr)
	s.t.Cleanup(m.stop)
	r := routeTo(url, &owner{members: []*member{m}})
	m.policy = compiled(s.t, r.URL.Scheme, text)
	r.Policies = policies(m.policy)
	s.mu.Lock()
	s.routed = slices.DeleteFunc(s.routed, func(old *route.Route) bool { return old.URL == r.URL })
	s.mu.Unlock()
	s.add(r)
	return m
}

func strategy(name string, authorities ...string) map[string]any {
	config := map[string]any{"mutual_tls_verification_strategy": name}
	if len(authorities) > 0 {
		config["mutual_tls_certificate_authorities"] = authorities
	}
	return config
}

// Visitors are let in by their certificates as terminate-tls says, and what they have
// shown is known to rules behind it.
func TestTerminateTLSStrategies(t *testing.T) {
	ours, others := newClients(t), newClients(t)
	good := ours.client(t, 7)
	who := map[string][]tls.Certificate{"none": nil, "good": {good}, "stranger": {others.client(t, 8)}, "revoked": {ours.client(t, 10)}}
	s := start(t)
	up := s.upstream(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s|%s", r.Header.Get("X-Client"), r.Header.Get("Postern-Client-Cert-Verified"), r.Header.Get("Postern-Client-Cert-Serial"))
	})
	authorities := ours.pem() + ours.crl(t, time.Now().Add(time.Hour), 10)
	for name, c := range map[string]struct {
		config map[string]any
		want   map[string]string
	}{
		"default":            {map[string]any{"mutual_tls_certificate_authorities": []string{authorities}}, map[string]string{"none": "certificate required", "good": "Ann, Müller|true|07", "stranger": "unknown certificate authority", "revoked": "bad certificate"}},
		"require-and-verify": {strategy("require-and-verify", authorities), map[string]string{"none": "certificate required", "good": "Ann, Müller|true|07", "stranger": "unknown certificate authority", "revoked": "bad certificate"}},
		"require-any":        {strategy("require-any", authorities), map[string]string{"none": "certificate required", "good": "Ann, Müller|true|07", "stranger": "Ann, Müller|false|08", "revoked": "Ann, Müller|false|0a"}},
		"request":            {strategy("request"), map[string]string{"none": "||", "good": "Ann, Müller|false|07", "stranger": "Ann, Müller|false|08"}},
		"not asked for":      {map[string]any{}, map[string]string{"none": "||", "good": "||"}},
	} {
		s.ends("https://app."+domain, up, c.config)
		for visitor, expected := range c.want {
			for _, protocol := range protocols {
				got := s.outcome("app."+domain, protocol, who[visitor]...)
				if got != expected {
					t.Errorf("%s, %s over %s: %q, want %q", name, visitor, protocol, got, expected)
				}
			}
		}
	}
}

func TestTerminateTLSVersions(t *testing.T) {
	s := start(t)
	up := s.upstream(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Version")) })
	db := rawUpstream(t, echo)
	for _, c := range []struct {
		config map[string]any
		most   uint16 // of the client's
		want   string // "": refused
	}{
		{map[string]any{}, 0, "TLS 1.3"},
		{map[string]any{}, tls.VersionTLS12, "TLS 1.2"},
		{map[string]any{}, tls.VersionTLS11, ""},
		{map[string]any{"min_version": "1.3"}, tls.VersionTLS13, "TLS 1.3"},
		{map[string]any{"min_version": 1.3}, tls.VersionTLS12, ""},
		{map[string]any{"max_version": "1.2"}, tls.VersionTLS13, "TLS 1.2"},
	} {
		s.ends("https://app."+domain, up, c.config)
		s.ends("tls://db."+domain, db, c.config)
		for _, protocol := range protocols {
			client := s.client(protocol)
			settings := client.Transport.(*http.Transport).TLSClientConfig
			settings.MinVersion, settings.MaxVersion = tls.VersionTLS10, c.most
			got := ""
			if response, err := client.Get("https://app." + domain + "/"); err == nil {
				got = body(t, response)
			}
			if got != c.want {
				t.Errorf("%v, a client with at most %x over %s: %q, want %q", c.config, c.most, protocol, got, c.want)
			}
		}
		conn, err := tls.Dial("tcp", s.https, &tls.Config{RootCAs: s.roots, ServerName: "db." + domain, MinVersion: tls.VersionTLS10, MaxVersion: c.most})
		switch {
		case err != nil && c.want != "":
			t.Errorf("%v, the tls endpoint with at most %x: %v", c.config, c.most, err)
		case err == nil:
			must(t, conn.SetDeadline(time.Now().Add(patience)))
			if got := tls.VersionName(conn.ConnectionState().Version); got != c.want {
				t.Errorf("%v, the tls endpoint with at most %x: %q, want %q", c.config, c.most, got, c.want)
			}
			echoes(t, conn)
			conn.Close()
		}
	}
}

// A tls endpoint is passed through until its policy says otherwise: then the service gets
// what was inside, and visitors see the server's certificate or the policy's own.
func TestTerminateTLSOfTunnels(t *testing.T) {
	ours := newClients(t)
	good := ours.client(t, 1)
	own := certify.New(t, "own", nil, certify.Names("db."+domain))
	certificate, key := own.PEM(t)
	s := start(t)
	for name, c := range map[string]struct {
		config map[string]any
		roots  func(*tls.Config)
	}{
		"the server's certificate": {strategy("require-and-verify", ours.pem()), func(c *tls.Config) { c.RootCAs = s.roots }},
		"its own certificate": {map[string]any{"server_certificate": certificate, "server_private_key": key, "mutual_tls_certificate_authorities": []string{ours.pem()}},
			func(c *tls.Config) { c.RootCAs = own.Pool() }},
	} {
		m := s.ends("tls://db."+domain, rawUpstream(t, echo), c.config)
		settings := &tls.Config{ServerName: "db." + domain, Certificates: []tls.Certificate{good}}
		c.roots(settings)
		conn, err := tls.Dial("tcp", s.https, settings)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		must(t, conn.SetDeadline(time.Now().Add(patience)))
		echoes(t, conn)
		conn.Close()
		if got := s.alert("db."+domain, "", s.strangerTo(c.roots)); got != "certificate required" {
			t.Errorf("%s, without a client certificate: %s", name, got)
		}
		if n := m.opened.Load(); n != 1 {
			t.Errorf("%s: %d streams", name, n)
		}
	}
}

// strangerTo is a client without certificates.
func (s *site) strangerTo(roots func(*tls.Config)) *http.Client {
	c := s.client("")
	roots(c.Transport.(*http.Transport).TLSClientConfig)
	return c
}

// Rules before the action decide whether TLS ends at all; rules behind it see how it did.
func TestRulesAroundTerminateTLS(t *testing.T) {
	ours := newClients(t)
	authorities, err := json.Marshal(ours.pem())
	must(t, err)
	s := start(t)
	up := s.upstream(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("X-Client")) })
	text := func(before string) string {
		return fmt.Sprintf(`{"on_tcp_connect": [
			{"expressions": [%q], "actions": [{"type": "deny"}]},
			{"expressions": ["has(conn.tls.version)"], "actions": [{"type": "set-vars", "config": {"vars": [{"seen": "before"}]}}]},
			{"expressions": ["conn.tls.sni == 'app.%s'"], "actions": [{"type": "terminate-tls", "config": {"mutual_tls_certificate_authorities": [%s]}}]},
			{"expressions": ["conn.tls.version == 'TLS 1.3'", "has(conn.tls.client.serial_number)"], "actions": [{"type": "set-vars", "config": {"vars": [{"seen": "${conn.tls.client.serial_number}"}]}}]}],
			"on_http_request": [{"actions": [{"type": "add-headers", "config": {"headers": {"x-client": "${vars.seen}"}}}]}]}`, before, domain, authorities)
	}
	for _, protocol := range protocols {
		s.policedBy("https://app."+domain, up, text("conn.client_ip == '192.0.2.1'"))
		if response, err := s.showing(protocol, ours.client(t, 77)).Get("https://app." + domain + "/"); err != nil || body(t, response) != "77" {
			t.Errorf("over %s: %v", protocol, err)
		}
		s.policedBy("https://app."+domain, up, text("conn.client_ip == '127.0.0.1'"))
		if _, err := s.showing(protocol, ours.client(t, 77)).Get("https://app." + domain + "/"); err == nil {
			t.Errorf("over %s: a visitor who is refused before has come in", protocol)
		}
		// Nothing asks for a certificate where the rule does not match.
		s.policedBy("https://other."+domain, up, text("conn.client_ip == '192.0.2.1'"))
		if response, err := s.client(protocol).Get("https://other." + domain + "/"); err != nil || body(t, response) != "" {
			t.Errorf("over %s, another name: %v", protocol, err)
		}
	}
}

// Nobody gets around terminate-tls by a connection that was made for another name, for
// none, or before the policy was there; nor by one of a sibling below the same wildcard.
func TestTerminateTLSCannotBeSkipped(t *testing.T) {
	ours, others := newClients(t), newClients(t)
	good, stranger := ours.client(t, 1), others.client(t, 1)
	s := start(t)
	var reached atomic.Int64
	up := s.upstream(func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	s.serve("https://open."+domain, up)
	s.ends("https://app."+domain, up, strategy("require-and-verify", ours.pem()))
	s.ends("https://other."+domain, up, strategy("require-and-verify", others.pem()))
	s.ends("https://old."+domain, up, map[string]any{})
	s.ends("https://new."+domain, up, map[string]any{"min_version": "1.3"})
	s.ends("https://*.wild."+domain, up, strategy("request"))
	s.serve("https://z.wild."+domain, up)
	for i, protocol := range protocols {
		for name, c := range map[string]struct {
			sni, host string
			shown     []tls.Certificate
			most      uint16
		}{
			"an open name, with the certificate": {"open." + domain, "app." + domain, []tls.Certificate{good}, 0},
			"no name":                            {"", "app." + domain, []tls.Certificate{good}, 0},
			"no name, no certificates asked for": {"", "new." + domain, nil, tls.VersionTLS12},
			"another endpoint's check":           {"other." + domain, "app." + domain, []tls.Certificate{stranger}, 0},
			"an older version":                   {"old." + domain, "new." + domain, nil, tls.VersionTLS12},
			"a sibling of the same wildcard":     {"x.wild." + domain, "y.wild." + domain, nil, 0},
			"an open name below it":              {"z.wild." + domain, "y.wild." + domain, nil, 0},
		} {
			conn, err := tls.Dial("tcp", s.https, &tls.Config{ServerName: c.sni, InsecureSkipVerify: true, NextProtos: []string{protocol}, Certificates: c.shown, MaxVersion: c.most})
			must(t, err)
			before := reached.Load()
			response, _ := get(t, s.connected(conn, protocol), "https://"+c.host+"/")
			if response.StatusCode != http.StatusMisdirectedRequest || reached.Load() != before {
				t.Errorf("%s over %s: %d", name, protocol, response.StatusCode)
			}
			conn.Close()
		}
		later := fmt.Sprintf("later%d", i)
		client := s.connected(s.dialTLS(later+"."+domain, protocol), protocol)
		s.serve("https://"+later+"."+domain, up)
		if response, _ := get(t, client, "https://"+later+"."+domain+"/"); response.StatusCode != 200 {
			t.Fatal(response.Status)
		}
		before := reached.Load()
		s.ends("https://"+later+"."+domain, up, map[string]any{})
		if response, _ := get(t, client, "https://"+later+"."+domain+"/"); response.StatusCode != http.StatusMisdirectedRequest || reached.Load() != before {
			t.Errorf("%s: a connection of before: %s", protocol, response.Status)
		}
	}
}

// A trusted proxy's connection was made as its own address is to be met: a client behind it
// who is to be met in another way does not come in by it.
func TestTerminateTLSBehindAProxy(t *testing.T) {
	s := start(t, trustLoopback)
	up := s.upstream(func(http.ResponseWriter, *http.Request) {})
	s.policedBy("https://app."+domain, up, `on_tcp_connect:
- expressions: ["conn.client_ip == '203.0.113.9'"]
  actions: [{type: terminate-tls, config: {mutual_tls_verification_strategy: require-any}}]
- expressions: ["conn.client_ip != '203.0.113.9'"]
  actions: [{type: terminate-tls, config: {min_version: "1.3"}}]
`)
	for _, protocol := range protocols {
		for client, want := range map[string]int{"203.0.113.7": http.StatusOK, "203.0.113.9": http.StatusMisdirectedRequest} {
			response, _ := get(t, s.client(protocol), "https://app."+domain+"/", func(r *http.Request) { r.Header.Set("X-Forwarded-For", client) })
			if response.StatusCode != want {
				t.Errorf("%s over %s: %s", client, protocol, response.Status)
			}
		}
	}
}

// A session is resumed at its own endpoint under its own policy, and nowhere else.
func TestResumedSessionsOfTerminateTLS(t *testing.T) {
	ours := newClients(t)
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		s := start(t)
		up := s.upstream(func(http.ResponseWriter, *http.Request) {})
		s.ends("https://app."+domain, up, strategy("require-and-verify", ours.pem()))
		visit := s.resumer("app."+domain, version, ours.client(t, 5))
		for i := range 3 {
			if resumed, err := visit(); err != nil || resumed != (i > 0) {
				t.Fatalf("%s, visit %d: resumed %v, %v", name, i, resumed, err)
			}
		}
		s.ends("https://app."+domain, up, strategy("require-and-verify", ours.pem()+ours.crl(t, time.Now().Add(time.Hour), 5)))
		if resumed, err := visit(); err == nil || resumed {
			t.Errorf("%s, revoked: resumed %v, %v", name, resumed, err)
		}
		// A session that was made without showing anything is no way in.
		s.ends("https://app."+domain, up, map[string]any{})
		open := s.resumer("app."+domain, version, tls.Certificate{})
		if _, err := open(); err != nil {
			t.Fatal(err)
		}
		s.ends("https://app."+domain, up, strategy("require-and-verify", ours.pem()))
		if resumed, err := open(); err == nil || resumed {
			t.Errorf("%s, without a certificate: resumed %v, %v", name, resumed, err)
		}
	}
}

// Uploaded authorities count as they are now, in the middle of connections too.
func TestUploadedAuthoritiesOfTerminateTLS(t *testing.T) {
	ours := newClients(t)
	good := ours.client(t, 5)
	var current atomic.Pointer[material.Authorities]
	set := func(text string) {
		a, err := material.ReadAuthorities(material.Text{Name: "ca", Data: []byte(text)}, time.Now())
		must(t, err)
		current.Store(a)
	}
	s := start(t, func(c *config) {
		c.Authorities = func(_ postern.AccountID, id string) *material.Authorities {
			if id != "ca_1" {
				return nil
			}
			return current.Load()
		}
	})
	up := s.upstream(func(http.ResponseWriter, *http.Request) {})
	set(ours.pem())
	s.ends("https://app."+domain, up, strategy("require-and-verify", "ca_1", "ca_gone"))
	s.ends("https://gone."+domain, up, strategy("require-and-verify", "ca_gone"))
	for _, protocol := range protocols {
		set(ours.pem())
		kept := s.showing(protocol, good)
		if response, _ := get(t, kept, "https://app."+domain+"/"); response.StatusCode != 200 {
			t.Errorf("%s: %s", protocol, response.Status)
		}
		set(ours.pem() + ours.crl(t, time.Now().Add(time.Hour), 5))
		if response, _ := get(t, kept, "https://app."+domain+"/"); response.StatusCode != http.StatusMisdirectedRequest {
			t.Errorf("%s, revoked: %s", protocol, response.Status)
		}
		if _, err := s.showing(protocol, good).Get("https://app." + domain + "/"); err == nil {
			t.Errorf("%s: who was revoked is let in", protocol)
		}
		if _, err := s.showing(protocol, good).Get("https://gone." + domain + "/"); err == nil {
			t.Errorf("%s: an authority that is not there lets in", protocol)
		}
	}
}

// What a policy makes of texts that are known with the visitor only, and cannot be used,
// lets nobody in.
func TestTerminateTLSFailsClosed(t *testing.T) {
	s := start(t)
	up := s.upstream(func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	certificate, key := certify.New(t, "own", nil, certify.Names("app."+domain)).PEM(t)
	for name, config := range map[string]map[string]any{
		"no key":       {"server_certificate": certificate, "server_private_key": "${conn.tls.sni}"},
		"an empty one": {"server_certificate": "${conn.tls.ja4_fingerprint}", "server_private_key": key},
		"authority":    strategy("require-and-verify", "${conn.tls.sni}"),
		"no vault":     {"server_certificate": certificate, "server_private_key": "${secrets.get('vault', 'key')}"},
	} {
		s.ends("https://app."+domain, up, config)
		s.ends("tls://db."+domain, rawUpstream(t, func(*net.TCPConn) { t.Error("reached") }), config)
		for _, protocol := range protocols {
			if _, err := s.client(protocol).Get("https://app." + domain + "/"); err == nil {
				t.Errorf("%s: let in over %s", name, protocol)
			}
		}
		if conn, err := tls.Dial("tcp", s.https, &tls.Config{InsecureSkipVerify: true, ServerName: "db." + domain}); err == nil {
			must(t, conn.SetDeadline(time.Now().Add(patience)))
			if _, err := conn.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
				t.Errorf("%s: the tls endpoint goes on: %v", name, err)
			}
			conn.Close()
		}
	}
}

// Members of a pool may differ: a connection serves those whose policy it was made under.
func TestTerminateTLSInAPool(t *testing.T) {
	ours := newClients(t)
	s := start(t)
	var seen [2]atomic.Int64
	members := make([]*member, 2)
	for i := range members {
		members[i] = newMember(s.upstream(func(_ http.ResponseWriter, r *http.Request) { seen[i].Add(1) }))
		members[i].policy = compiled(t, postern.HTTPS, fmt.Sprintf(`on_tcp_connect: [{actions: [{type: terminate-tls, config: {mutual_tls_verification_strategy: require-any, min_version: "1.%d"}}]}]`, 2+i))
	}
	s.policedPool("https://pool."+domain, members...)
	good := ours.client(t, 1)
	for _, protocol := range protocols {
		for range 10 {
			client := s.showing(protocol, good)
			for range 3 {
				if r, _ := get(t, client, "https://pool."+domain); r.StatusCode != http.StatusOK {
					t.Fatalf("%s: %s", protocol, r.Status)
				}
			}
			client.CloseIdleConnections()
		}
	}
	for i := range seen {
		if seen[i].Load() == 0 {
			t.Errorf("member %d had no request", i)
		}
	}
}
