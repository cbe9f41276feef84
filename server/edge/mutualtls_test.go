package edge_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
)

func TestMutualTLS(t *testing.T) {
	ours, others := newClients(t), newClients(t)
	good := ours.client(t, 7)
	long := good
	for range 8 {
		long.Certificate = append(long.Certificate[:len(long.Certificate):len(long.Certificate)], others.root.Raw)
	}
	who := map[string][]tls.Certificate{
		"none": nil, "good": {good}, "long": {long}, "stranger": {others.client(t, 7)}, "revoked": {ours.client(t, 10)},
		"expired": {ours.client(t, 8, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })},
		"server":  {ours.client(t, 9, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })},
	}
	s := start(t)
	up := s.upstream(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s|%s", r.Header.Get("Postern-Client-Cert-Verified"), r.Header.Get("Postern-Client-Cert-Serial"))
	})
	for mode, want := range map[postern.ClientCertificateMode]map[string]string{
		// What comes back: the service's words, or the alert that the client sees.
		postern.ClientCertificateRequested:       {"none": "|", "good": "true|07", "stranger": "false|07", "revoked": "false|0a", "expired": "false|08"},
		postern.ClientCertificateRequired:        {"none": "certificate required", "good": "true|07", "stranger": "false|07", "revoked": "false|0a"},
		postern.ClientCertificateVerifiedIfGiven: {"none": "|", "good": "true|07", "stranger": "unknown certificate authority", "revoked": "bad certificate"},
		"": {"none": "certificate required", "good": "true|07", "stranger": "unknown certificate authority", "revoked": "bad certificate",
			"expired": "expired certificate", "server": "bad certificate", "long": "bad certificate"},
	} {
		s.guarded("app", up, postern.MutualTLS{Mode: mode, AuthoritiesPEM: ours.pem() + ours.crl(t, time.Now().Add(time.Hour), 10)})
		for name, expected := range want {
			for _, protocol := range protocols {
				got := s.outcome("app."+domain, protocol, who[name]...)
				if got != expected {
					t.Errorf("%s, %s over %s: %q, want %q", mode, name, protocol, got, expected)
				}
			}
		}
	}
}

// What a visitor says about a certificate is dropped; what we say is written last.
func TestCertificateHeaders(t *testing.T) {
	ours := newClients(t)
	good := ours.client(t, 0xabc)
	seen := make(chan http.Header, 1)
	s := start(t)
	up := s.upstream(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Clone() })
	s.guarded("app", up, withCAs(ours))
	s.serve("https://open."+domain, up)
	forged := func(r *http.Request) {
		for _, name := range []string{"Postern-Client-Cert-Subject", "Postern_Client_Cert_Subject", "Postern-Client-Cert-Verified", "Client-Cert", "Client_Cert", "client.cert-chain", "Client-Cert-Chain", "Postern-Client-Cert-X"} {
			r.Header[name] = []string{"forged"}
		}
		r.Header["Client-Name"] = []string{"kept"}
	}
	for _, protocol := range protocols {
		get(t, s.showing(protocol, good), "https://app."+domain+"/", forged)
		got := <-seen
		for name, want := range map[string]string{
			"Postern-Client-Cert-Verified": "true", "Postern-Client-Cert-Serial": "0abc",
			"Postern-Client-Cert-Subject": `CN=Ann\, M\C3\BCller,O=Acme`, "Postern-Client-Cert-Issuer": "CN=Test CA",
			"Postern-Client-Cert-Sans": `DNS:ann.example,DNS:a\2Cb\5C.example,email:ann@example.com,IP:192.0.2.1`,
			"Client-Cert":              ":" + base64.StdEncoding.EncodeToString(good.Certificate[0]) + ":",
			"Client-Cert-Chain":        "", "Postern-Client-Cert-X": "", "Client-Name": "kept",
		} {
			if got.Get(name) != want || len(got[name]) > 1 {
				t.Errorf("%s: %s is %q, want %q", protocol, name, got[name], want)
			}
		}
		if len(got.Get("Postern-Client-Cert-Fingerprint")) != 64 {
			t.Errorf("%s: fingerprint %q", protocol, got.Get("Postern-Client-Cert-Fingerprint"))
		}
		get(t, s.client(protocol), "https://open."+domain+"/", forged)
		for name, values := range <-seen {
			if values[0] == "forged" {
				t.Errorf("%s, an open endpoint: %s is %q", protocol, name, values)
			}
		}
	}
}

// A trusted proxy's words about a certificate count where we have asked for none.
func TestCertificateHeadersOfProxies(t *testing.T) {
	ours := newClients(t)
	seen := make(chan http.Header, 1)
	s := start(t, trustLoopback)
	up := s.upstream(func(_ http.ResponseWriter, r *http.Request) { seen <- r.Header.Clone() })
	s.serve("https://open."+domain, up)
	s.guarded("app", up, postern.MutualTLS{Mode: postern.ClientCertificateVerifiedIfGiven, AuthoritiesPEM: ours.pem()})
	proxy := func(r *http.Request) { r.Header["Client-Cert"] = []string{":AAAA:"} }
	for _, protocol := range protocols {
		for host, want := range map[string]string{"open": ":AAAA:", "app": ""} {
			get(t, s.client(protocol), "https://"+host+"."+domain+"/", proxy)
			if got := <-seen; got.Get("Client-Cert") != want {
				t.Errorf("%s over %s: %q, want %q", host, protocol, got.Get("Client-Cert"), want)
			}
		}
	}
}

// Nobody skips the check by a connection that was made for another name, or for none, or
// before the endpoint asked.
func TestMutualTLSCannotBeSkipped(t *testing.T) {
	ours, others := newClients(t), newClients(t)
	good, stranger := ours.client(t, 1), others.client(t, 1)
	s := start(t)
	var reached atomic.Int64
	up := s.upstream(func(http.ResponseWriter, *http.Request) { reached.Add(1) })
	s.serve("https://open."+domain, up)
	s.serve("https://*.wild."+domain, up)
	s.guarded("app", up, withCAs(ours))
	s.guarded("x.wild", up, withCAs(ours))
	s.guarded("other", up, withCAs(others))
	for i, protocol := range protocols {
		for name, c := range map[string]struct {
			sni, host string
			shown     []tls.Certificate
		}{
			"an open name":                          {"open." + domain, "app." + domain, nil},
			"an open name, with the certificate":    {"open." + domain, "app." + domain, []tls.Certificate{good}},
			"no name":                               {"", "app." + domain, []tls.Certificate{good}},
			"another endpoint's check":              {"other." + domain, "app." + domain, []tls.Certificate{stranger}},
			"a sibling below a wildcard":            {"y.wild." + domain, "x.wild." + domain, nil},
			"the name with a dot, over an open one": {"open." + domain, "app." + domain + ".", nil},
		} {
			conn, err := tls.Dial("tcp", s.https, &tls.Config{ServerName: c.sni, InsecureSkipVerify: true, NextProtos: []string{protocol}, Certificates: c.shown})
			must(t, err)
			response, _ := get(t, s.connected(conn, protocol), "https://"+c.host+"/")
			if response.StatusCode != http.StatusMisdirectedRequest {
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
		s.guarded(later, up, withCAs(ours))
		if response, _ := get(t, client, "https://"+later+"."+domain+"/"); response.StatusCode != http.StatusMisdirectedRequest || !response.Close && protocol == "http/1.1" {
			t.Errorf("%s: a connection of before: %s, close %v", protocol, response.Status, response.Close)
		}
		if reached.Load() != before {
			t.Error("the service was reached")
		}
	}
}

// resumer is a client that keeps sessions.
func (s *site) resumer(name string, version uint16, certificate tls.Certificate) func() (resumed bool, err error) {
	cache := tls.NewLRUClientSessionCache(8)
	return func() (bool, error) {
		conn, err := tls.Dial("tcp", s.https, &tls.Config{
			RootCAs: s.roots, ServerName: name, ClientSessionCache: cache, NextProtos: []string{"http/1.1"}, MaxVersion: version,
			GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &certificate, nil },
		})
		if err != nil {
			return false, err
		}
		defer conn.Close()
		must(s.t, conn.SetDeadline(time.Now().Add(patience)))
		_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+name+"\r\n\r\n")
		response, err := http.ReadResponse(bufio.NewReader(conn), nil) // and the tickets before it
		if err == nil && response.StatusCode != 200 {
			err = errors.New(response.Status)
		}
		return conn.ConnectionState().DidResume, err
	}
}

// What was resumable is not after the authorities changed, or after a revocation; and a
// ticket of one endpoint is good for no other.
func TestResumedSessionsAreChecked(t *testing.T) {
	ours, others := newClients(t), newClients(t)
	good := ours.client(t, 5)
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		s := start(t)
		up := s.upstream(func(http.ResponseWriter, *http.Request) {})
		s.guarded("app", up, withCAs(ours))
		visit := s.resumer("app."+domain, version, good)
		for i := range 3 {
			if resumed, err := visit(); err != nil || resumed != (i > 0) {
				t.Fatalf("%s, visit %d: resumed %v, %v", name, i, resumed, err)
			}
		}
		for what, asked := range map[string]postern.MutualTLS{
			"revoked":           {AuthoritiesPEM: ours.pem() + ours.crl(t, time.Now().Add(time.Hour), 5)},
			"other authorities": withCAs(others),
		} {
			s.guarded("app", up, asked)
			if resumed, err := visit(); err == nil || resumed {
				t.Errorf("%s, %s: resumed %v, %v", name, what, resumed, err)
			}
		}
		s.guarded("app", up, withCAs(ours))
		if _, err := visit(); err != nil {
			t.Errorf("%s, in the end: %v", name, err)
		}
	}
}

// An uploaded authority may change while its endpoints are online: it counts at once, in
// the middle of connections.
func TestUploadedAuthorities(t *testing.T) {
	ours := newClients(t)
	good := ours.client(t, 5)
	var current atomic.Pointer[material.Authorities]
	set := func(text string) {
		a, err := material.ReadAuthorities(material.Text{Name: "ca", Data: []byte(text)}, time.Now())
		must(t, err)
		current.Store(a)
	}
	set(ours.pem())
	s := start(t, func(c *config) {
		c.Authorities = func(_ postern.AccountID, id string) *material.Authorities {
			if id != "ca_1" {
				return nil
			}
			return current.Load()
		}
	})
	up := s.upstream(func(http.ResponseWriter, *http.Request) {})
	s.guarded("app", up, postern.MutualTLS{AuthorityIDs: "ca_1, ca_gone"})
	s.guarded("gone", up, postern.MutualTLS{AuthorityIDs: "ca_gone"})
	for _, protocol := range protocols {
		set(ours.pem())
		kept := s.showing(protocol, good)
		for _, step := range []struct {
			what, text string
			status     int
		}{
			{"at first", ours.pem(), 200},
			{"another is revoked", ours.pem() + ours.crl(t, time.Now().Add(time.Hour), 9), 200},
			{"revoked in the middle of a connection", ours.pem() + ours.crl(t, time.Now().Add(time.Hour), 5), http.StatusMisdirectedRequest},
		} {
			set(step.text)
			if response, _ := get(t, kept, "https://app."+domain+"/"); response.StatusCode != step.status {
				t.Errorf("%s, %s: %s", protocol, step.what, response.Status)
			}
		}
		for what, text := range map[string]string{"revoked": ours.pem() + ours.crl(t, time.Now().Add(time.Hour), 5), "a stale list": ours.pem() + ours.crl(t, time.Now().Add(-time.Minute))} {
			set(text)
			if _, err := s.showing(protocol, good).Get("https://app." + domain + "/"); err == nil {
				t.Errorf("%s, %s: let in", protocol, what)
			}
		}
		if _, err := s.showing(protocol, good).Get("https://gone." + domain + "/"); err == nil {
			t.Errorf("%s: an authority that is not there", protocol)
		}
	}
	s.guarded("app", up, postern.MutualTLS{AuthorityIDs: "ca_1", StaleLists: true})
	set(ours.pem() + ours.crl(t, time.Now().Add(-time.Minute)))
	if response, _ := get(t, s.showing("h2", good), "https://app."+domain+"/"); response.StatusCode != 200 {
		t.Errorf("a stale list that is good enough: %s", response.Status)
	}
}

// B3 (Caddy CVE-2026-27586): an endpoint whose authorities cannot be read lets nobody in;
// the system's do not count.
func TestMutualTLSFailsClosed(t *testing.T) {
	ours := newClients(t)
	good := ours.client(t, 1)
	s := start(t)
	up := s.upstream(func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	for host, asked := range map[string]postern.MutualTLS{
		"nonsense": {AuthoritiesPEM: "nonsense"}, "key": {AuthoritiesPEM: "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"},
		"mode": {Mode: "whatever", AuthoritiesPEM: ours.pem()}, "none": {Mode: postern.ClientCertificateVerifiedIfGiven}, "stale": {StaleLists: true},
	} {
		s.guarded(host, up, asked)
		for _, shown := range [][]tls.Certificate{nil, {good}} {
			if _, err := s.showing("h2", shown...).Get("https://" + host + "." + domain + "/"); err == nil {
				t.Errorf("%s, %d shown: let in", host, len(shown))
			}
		}
	}
}

func TestMutualTLSOfTunnels(t *testing.T) {
	ours := newClients(t)
	good := ours.client(t, 1)
	s := start(t)
	m := newMember(rawUpstream(t, echo))
	t.Cleanup(m.stop)
	r := routeTo("tls://db."+domain, &owner{members: []*member{m}})
	r.Termination, r.MutualTLS = postern.AtEdge, withCAs(ours)
	s.add(r)
	conn, err := tls.Dial("tcp", s.https, &tls.Config{RootCAs: s.roots, ServerName: "db." + domain, Certificates: []tls.Certificate{good}})
	must(t, err)
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	defer conn.Close()
	echoes(t, conn)
	if got := s.alert("db."+domain, "", s.showing("")); got != "certificate required" {
		t.Errorf("without a certificate: %s", got)
	}
	if n := m.opened.Load(); n != 1 {
		t.Errorf("%d streams", n)
	}
}

// WebSockets are served behind a certificate as everything else.
func TestMutualTLSOfUpgrades(t *testing.T) {
	ours := newClients(t)
	good := ours.client(t, 1)
	s := start(t)
	up := rawUpstream(t, func(conn *net.TCPConn) {
		r, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n%s", r.Header.Get("Postern-Client-Cert-Serial"))
		_, _ = io.Copy(conn, conn)
	})
	s.guarded("app", up, withCAs(ours))
	conn, err := tls.Dial("tcp", s.https, &tls.Config{RootCAs: s.roots, ServerName: "app." + domain, Certificates: []tls.Certificate{good}, NextProtos: []string{"http/1.1"}})
	must(t, err)
	must(t, conn.SetDeadline(time.Now().Add(patience)))
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nPostern-Client-Cert-Serial: ff\r\n\r\n")
	must(t, err)
	read := bufio.NewReader(conn)
	response, err := http.ReadResponse(read, nil)
	must(t, err)
	var serial [2]byte
	if _, err := io.ReadFull(read, serial[:]); err != nil || response.StatusCode != 101 || string(serial[:]) != "01" {
		t.Errorf("%s, %q, %v", response.Status, serial, err)
	}
}

// An endpoint that comes back with a check, a moment after it was lost, finds its
// visitors' handshakes waiting, or in time for it.
func TestMutualTLSOfAnEndpointThatReturns(t *testing.T) {
	ours := newClients(t)
	s, recent := patient(t)
	up := s.upstream(func(http.ResponseWriter, *http.Request) {})
	recent.Lose(postern.URL{Scheme: postern.HTTPS, Host: "app." + domain})
	done := make(chan error, 1)
	client := s.showing("h2", ours.client(t, 1))
	go func() {
		response, err := client.Get("https://app." + domain + "/")
		if err == nil && response.StatusCode != 200 {
			err = errors.New(response.Status)
		}
		done <- err
	}()
	<-time.After(50 * time.Millisecond) // so that it does wait; it passes without
	s.guarded("app", up, withCAs(ours))
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What is written down of whom: of those let in and of those refused.
func TestMutualTLSIsLogged(t *testing.T) {
	ours := newClients(t)
	lines := new(lockedBuffer)
	s := start(t, func(c *config) { c.AccessLog = slog.New(slog.NewJSONHandler(lines, nil)) })
	s.guarded("app", s.upstream(func(http.ResponseWriter, *http.Request) {}), withCAs(ours))
	get(t, s.showing("h2", ours.client(t, 0xabc)), "https://app."+domain+"/")
	s.alert("app."+domain, "h2", s.showing("h2"))
	for _, want := range []string{`"client_cert_serial":"0abc"`, `"client_cert_verified":true`, `"error_code":"ERR_POSTERN_312"`} {
		eventually(t, want, func() bool { return strings.Contains(lines.String(), want) })
	}
}
