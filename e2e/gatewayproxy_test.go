package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// Connectors come through a reverse proxy that ends TLS and puts its own name for us into
// the request; its word that they came over TLS counts because it is trusted.
func TestGatewayBehindAReverseProxy(t *testing.T) {
	for _, trusted := range []bool{true, false} {
		t.Run(fmt.Sprintf("trusted %t", trusted), func(t *testing.T) {
			trust := ""
			if trusted {
				trust = "trusted_proxies: [127.0.0.1/32]"
			}
			s := startServer(t, trust)
			g := s.stage("stage")
			back, err := url.Parse("http://127.0.0.1:" + strconv.Itoa(s.http))
			if err != nil {
				t.Fatal(err)
			}
			proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(back) // which sets the Host, too
				r.SetXForwarded()
			}})
			certificate, _ := selfSigned(t, "front.example.org", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
			proxy.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
			proxy.StartTLS()
			t.Cleanup(proxy.Close)
			port := proxy.Listener.Addr().(*net.TCPAddr).Port
			g.caFile, _ = writePair(t, certificate)
			connector := g.chiselAt(fmt.Sprintf("https://front.example.org:%d/%s", port, g.Path), port, "1", "R:8081:"+privateService(t, "one"))
			if !trusted {
				connector.waitFor("plain HTTP", 15*time.Second)
				return
			}
			expectAnswer(t, g.at(8081), "one")
		})
	}
}

// A gateway may have a domain of its own, for which there is a certificate, and which is for
// no other gateway.
func TestGatewaysOwnDomain(t *testing.T) {
	s := startServer(t)
	const own = "gateway.stage.example.org"
	if _, err := client.For(s.api(), resource.ReservedDomains()).Create(t.Context(), resource.ReservedDomainCreate{Domain: own}); err != nil {
		t.Fatal(err)
	}
	g := s.stage("stage", func(c *resource.PrivateGatewayCreate) { c.Domain = own })
	other := s.stage("other")
	if want := fmt.Sprintf("https://%s:%d/%s", own, s.https, g.Path); g.Address != want {
		t.Fatalf("the address is %q, want %q", g.Address, want)
	}
	ca := filepath.Join(filepath.Dir(s.caFile), "custom-ca.pem")
	if _, err := os.Stat(ca); err != nil {
		t.Fatal(err)
	}
	g.caFile, other.caFile = ca, ca
	service := privateService(t, "one")
	g.chisel("1", "R:8081:"+service)
	expectAnswer(t, g.at(8081), "one")
	other.chiselAt(fmt.Sprintf("https://%s:%d/%s", own, s.https, other.Path), s.https, "2", "R:8081:"+service).waitFor("not one of the gateway's", 15*time.Second)

	roots := x509.NewCertPool()
	pem, err := os.ReadFile(ca)
	if err != nil || !roots.AppendCertsFromPEM(pem) {
		t.Fatal(err)
	}
	visitor := &http.Client{Transport: &http.Transport{DialContext: s.DialContext, TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}}
	answer, err := visitor.Get(g.Address)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Errorf("at its address: %s", answer.Status)
	}
}
