package edge_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"slices"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/websocket"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/edge"
)

// withIngress is a site with the agent ingress connect.site.<domain>.
func withIngress(t *testing.T) (*site, postern.Hostname) {
	ingress := postern.Hostname("connect.site." + domain)
	var doors access.Current
	doors.SetIngresses(access.NewIngresses(map[postern.Hostname]postern.AccountID{ingress: "ac_1"}))
	return start(t, func(c *edge.Config) { c.Access = &doors }), ingress
}

// An endpoint for all names of a domain does not take the agent ingress below it away from
// its agents: not those of ours, not SDKs, not those in a WebSocket.
func TestIngressBelowAWildcardEndpoint(t *testing.T) {
	for _, scheme := range []string{"https", "tls"} {
		t.Run(scheme, func(t *testing.T) {
			s, ingress := withIngress(t)
			s.serve(scheme+"://*.site."+domain, s.upstream(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
			for _, name := range []string{string(ingress), "tunnel.eu." + string(ingress)} {
				for _, alpn := range [][]string{{"postern/1"}, nil} {
					conn, err := tls.Dial("tcp", s.https, &tls.Config{RootCAs: s.roots, ServerName: name, NextProtos: alpn})
					must(t, err)
					defer conn.Close()
					_, err = conn.Write([]byte{0})
					must(t, err)
					if got := <-s.sessions; !slices.Equal(got.names, []postern.Hostname{postern.Hostname(name)}) {
						t.Errorf("the agent at %s arrived as %+v", name, got)
					}
				}
				conn, err := s.carrier(s.dialTLS(name, "http/1.1"), name)
				must(t, err)
				_, err = conn.Write([]byte{7})
				must(t, err)
				if got := <-s.sessions; got.first != 7 {
					t.Errorf("the agent in a WebSocket arrived as %+v", got)
				}
			}
		})
	}
}

// Visitors have the names of a wildcard endpoint none the less, also without ALPN.
func TestVisitorsAtANameOfAnIngress(t *testing.T) {
	s, ingress := withIngress(t)
	s.serve("https://*.site."+domain, s.upstream(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	for _, alpn := range [][]string{{"http/1.1"}, nil} {
		conn := s.dialTLS(string(ingress), alpn...)
		request, err := http.NewRequest("GET", "https://"+string(ingress)+"/", nil)
		must(t, err)
		response, err := s.connected(conn, "http/1.1").Do(request)
		must(t, err)
		response.Body.Close()
		if response.StatusCode != http.StatusTeapot {
			t.Errorf("with ALPN %v: %s", alpn, response.Status)
		}
	}
}

// A name inside counts as much as the one that a firewall on the way has seen: neither hides
// the other.
func TestNamesOfAgentsInAWebSocket(t *testing.T) {
	s, ingress := withIngress(t)
	for name, c := range map[string]struct {
		outer, host, inner string
		want               []postern.Hostname
	}{
		"ingress outside": {string(ingress), string(ingress), "connect." + domain, []postern.Hostname{ingress, "connect." + domain}},
		"ingress inside":  {"connect." + domain, "connect." + domain, string(ingress), []postern.Hostname{"connect." + domain, ingress}},
		"proxy's name":    {"", "backend", string(ingress), []postern.Hostname{"backend", ingress}},
	} {
		t.Run(name, func(t *testing.T) {
			carrier, err := websocket.Client(t.Context(), s.dialTLS(c.outer, "http/1.1"), c.host, "")
			must(t, err)
			defer carrier.Close()
			inner := tls.Client(carrier, &tls.Config{ServerName: c.inner, RootCAs: s.roots, NextProtos: []string{"postern/1"}})
			_, err = inner.Write([]byte{7})
			must(t, err)
			got := <-s.sessions
			for _, name := range c.want {
				if !slices.Contains(got.names, name) {
					t.Errorf("it came by %v, which lacks %s", got.names, name)
				}
			}
			_, _ = io.Copy(io.Discard, inner)
		})
	}
}
