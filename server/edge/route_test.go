package edge_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/route"
)

// The offline page is what clients of ngrok look for.
func TestOfflinePage(t *testing.T) {
	s := start(t)
	for accept, kind := range map[string]string{
		"":                                  "text/plain; charset=utf-8",
		"*/*":                               "text/plain; charset=utf-8",
		"text/html,*/*;q=0.8":               "text/html; charset=utf-8",
		"application/json":                  "application/json",
		"text/html;q=0.5, application/json": "application/json",
	} {
		response, text := get(t, s.client(), "https://Gone."+domain, func(r *http.Request) {
			if accept != "" {
				r.Header.Set("Accept", accept)
			}
		})
		h := response.Header
		if response.StatusCode != 404 || h.Get("Ngrok-Error-Code") != "ERR_NGROK_3200" || h.Get("Content-Type") != kind ||
			h.Get("Cache-Control") != "no-store" || !strings.HasPrefix(h.Get("Postern-Request-Id"), "req_") {
			t.Errorf("%q: %d %v", accept, response.StatusCode, h)
		}
		if !strings.Contains(text, "Tunnel gone."+domain+" not found") || !strings.Contains(text, "ERR_NGROK_3200") && kind != "application/json" {
			t.Errorf("%q: %s", accept, text)
		}
	}
}

func TestJSONErrorHasTheAPIsShape(t *testing.T) {
	s := start(t)
	_, text := get(t, s.client(), "https://gone."+domain, func(r *http.Request) { r.Header.Set("Accept", "application/json") })
	var got struct {
		Code    string `json:"error_code"`
		Status  int    `json:"status_code"`
		Message string `json:"msg"`
		Details map[string]string
	}
	must(t, json.Unmarshal([]byte(text), &got))
	if got.Code != "ERR_NGROK_3200" || got.Status != 404 || got.Message == "" || got.Details["request_id"] == "" || got.Details["next_step"] == "" {
		t.Errorf("got %s", text)
	}
}

// http and https endpoints of one name are two; a name with https alone redirects.
func TestPlainAndSecureAreSeparate(t *testing.T) {
	s := start(t)
	say := func(text string) string {
		return s.upstream(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, text) })
	}
	s.serve("https://both."+domain, say("secure"))
	s.serve("http://both."+domain, say("plain"))
	s.serve("https://one."+domain, say("secure"))
	s.serve("http://other."+domain, say("plain"))
	client := s.client()
	for url, want := range map[string]string{
		"http://both." + domain: "plain", "https://both." + domain: "secure", "http://other." + domain: "plain",
	} {
		if _, got := get(t, client, url); got != want {
			t.Errorf("%s: %q", url, got)
		}
	}
	response, _ := get(t, client, "http://one."+domain+"/a%2Fb?c")
	if got := response.Header.Get("Location"); response.StatusCode != 308 || got != "https://one."+domain+":8443/a%2Fb?c" {
		t.Errorf("got %d to %q", response.StatusCode, got)
	}
	if response, _ := get(t, client, "https://other."+domain); response.StatusCode != 404 {
		t.Errorf("https of a name with http alone: %d", response.StatusCode)
	}
}

func TestWildcardEndpoints(t *testing.T) {
	s := start(t)
	s.serve("https://*.wild."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	for _, host := range []string{"a.wild." + domain, "b.c.wild." + domain} {
		if _, got := get(t, s.client(), "https://"+host); got != host {
			t.Errorf("got %q", got)
		}
	}
}

// B2 "Host attacks": SNI and Host must belong to one endpoint.
func TestMisdirectedRequests(t *testing.T) {
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "own") })
	s := start(t, func(c *config) { c.Hosts = map[postern.Hostname]http.Handler{"api." + domain: own} })
	addr := s.upstream(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) })
	s.serve("https://a."+domain, addr)
	s.serve("https://b."+domain, addr)
	s.serve("https://*.wild."+domain, addr)
	for _, c := range []struct {
		serverName, host string
		status           int
	}{
		{"a", "a." + domain, 200},
		{"a", "A." + domain + ".:8443", 200}, // case, trailing dot and port make no other name
		{"a", "b." + domain, 421},
		{"a", "gone." + domain, 421},
		{"gone", "a." + domain, 421},
		{"x.wild", "y.wild." + domain, 200}, // one route
		{"a", "api." + domain, 421},
		{"api", "a." + domain, 421},
		{"api", "api." + domain, 200},
		{"", "a." + domain, 200}, // saw the default certificate only
	} {
		name := c.serverName
		if name != "" {
			name += "." + domain
		}
		for _, alpn := range []string{"http/1.1", "h2"} {
			response, text := get(t, s.connected(s.dialTLS(name, alpn), alpn), "https://ignored", func(r *http.Request) { r.Host = c.host })
			if response.StatusCode != c.status {
				t.Errorf("%s: SNI %q, Host %q: %d, want %d: %s", alpn, name, c.host, response.StatusCode, c.status, text)
			}
		}
	}
}

// B3 "unknown SNI": a foreign name gets an alert, and nobody's certificate.
func TestForeignNameGetsAlert(t *testing.T) {
	s := start(t)
	_, err := tls.Dial("tcp", s.https, &tls.Config{ServerName: "foreign.example", InsecureSkipVerify: true})
	if err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("got %v", err)
	}
}

func TestVersionsAndTickets(t *testing.T) {
	s := start(t)
	_, err := tls.Dial("tcp", s.https, &tls.Config{ServerName: "a." + domain, RootCAs: s.roots, MaxVersion: tls.VersionTLS11})
	if err == nil {
		t.Error("TLS 1.1 was accepted")
	}
	config := &tls.Config{ServerName: "a." + domain, RootCAs: s.roots, ClientSessionCache: tls.NewLRUClientSessionCache(1), NextProtos: []string{"http/1.1"}}
	resumed := false
	for range 2 {
		conn, err := tls.Dial("tcp", s.https, config)
		must(t, err)
		_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a."+domain+"\r\nConnection: close\r\n\r\n")
		must(t, err)
		_, _ = io.Copy(io.Discard, conn)
		resumed = conn.ConnectionState().DidResume
		conn.Close()
	}
	if !resumed {
		t.Error("the second connection was not resumed")
	}
}

func TestPlainHTTPOnTheTLSPort(t *testing.T) {
	s := start(t)
	conn := s.dial(s.https)
	_, err := io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
	must(t, err)
	all, err := io.ReadAll(conn)
	must(t, err)
	for _, want := range []string{"HTTP/1.1 400 ", "Postern-Error-Code: ERR_POSTERN_306", "https://app." + domain + ":8443/x"} {
		if !strings.Contains(string(all), want) {
			t.Errorf("no %q in %s", want, all)
		}
	}
	other := s.dial(s.https)
	_, err = io.WriteString(other, "\x00\x01\x02\x03")
	must(t, err)
	if all, _ := io.ReadAll(other); len(all) != 0 {
		t.Errorf("garbage was answered: %q", all)
	}
}

// The shared port tells agents from visitors.
func TestAgentsOnTheSharedPort(t *testing.T) {
	s := start(t)
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {}))
	for _, c := range []struct {
		name string
		alpn []string
		want string
	}{
		{"connect." + domain, nil, ""}, // an SDK
		{"connect." + domain, []string{"postern/1"}, "postern/1"},
		{"", nil, ""}, // an SDK that dials an address
		{"", []string{"postern/1"}, "postern/1"},
		{domain, nil, ""}, // an SDK that dials localhost
		{"app." + domain, []string{"postern/1"}, "postern/1"},
	} {
		conn := s.dialTLS(c.name, c.alpn...)
		_, err := conn.Write([]byte{0, 0, 8}) // a frame's length begins with a zero
		must(t, err)
		got := <-s.sessions
		if got.alpn != c.want || got.first != 0 || got.peer != conn.LocalAddr().String() {
			t.Errorf("%q %v: %+v", c.name, c.alpn, got)
		}
		var echo [1]byte
		_, err = io.ReadFull(conn, echo[:])
		must(t, err)
	}
	// Visitors without ALPN, by address and by name.
	for _, name := range []string{"", domain, "app." + domain} {
		conn := s.dialTLS(name)
		_, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\nConnection: close\r\n\r\n")
		must(t, err)
		answer, err := io.ReadAll(conn)
		want := "HTTP/1.1 200 "
		if name == domain {
			want = "HTTP/1.1 421 "
		}
		if err != nil || !strings.HasPrefix(string(answer), want) {
			t.Errorf("%q: %q %v", name, answer, err)
		}
	}
	// A browser at connect.<domain> gets a page.
	if response, _ := get(t, s.client(), "https://connect."+domain); response.StatusCode != 404 {
		t.Errorf("connect in a browser: %d", response.StatusCode)
	}
}

func TestAgentsListener(t *testing.T) {
	s := start(t)
	conn, err := tls.Dial("tcp", s.agent, &tls.Config{RootCAs: s.roots, ServerName: "127.0.0.1"})
	must(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte{0})
	must(t, err)
	if got := <-s.sessions; got.first != 0 {
		t.Errorf("got %+v", got)
	}
}

// A route without members is offline, not an error of ours.
func TestEmptyPoolIsOffline(t *testing.T) {
	s := start(t)
	s.add(&route.Route{URL: postern.URL{Scheme: postern.HTTPS, Host: "app." + domain}, Owner: &owner{}})
	response, text := get(t, s.client(), "https://app."+domain)
	if response.StatusCode != 404 || !strings.Contains(text, "Tunnel app."+domain+" not found") {
		t.Errorf("got %d %s", response.StatusCode, text)
	}
}
