package policy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/certify"
	"github.com/postern-dev/postern/server/policy/body/eventstream"
	"github.com/postern-dev/postern/server/policy/expression"
	"github.com/postern-dev/postern/server/policy/geo"
)

// smartphoneBot is a User-Agent that says something about everything.
const smartphoneBot = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"

// seen is a connection of which all is known that a server can know.
type seen struct{ state tls.ConnectionState }

func (seen) Client() netip.Addr          { return netip.MustParseAddr("192.0.2.7") }
func (seen) Peer() netip.AddrPort        { return netip.MustParseAddrPort("192.0.2.7:50000") }
func (seen) Local() netip.AddrPort       { return netip.MustParseAddrPort("198.51.100.1:443") }
func (seen) Began() time.Time            { return time.Unix(1, 0) }
func (s seen) TLS() *tls.ConnectionState { return &s.state }
func (seen) ServerName() string          { return "app.example.com" }
func (seen) Moved() (in, out int64)      { return 1, 2 }

func (seen) ClientCertificate() *postern.ClientCertificate { return &postern.ClientCertificate{} }

// everywhere knows all of every address.
type everywhere struct{}

func (everywhere) Place(netip.Addr) (at, registered geo.Place) {
	p := geo.Place{
		City: "Berlin", Continent: "Europe", Country: "Germany", CountryCode: "DE", EU: true, MetroCode: "1", Subdivision: "Berlin",
		Timezone: "Europe/Berlin", Latitude: "52.5", Longitude: "13.4", Radius: "20", PostalCode: "10115",
	}
	return p, p
}

func (everywhere) System(netip.Addr) geo.System {
	return geo.System{Number: 64496, Organization: "Example Net"}
}

func seenCertificate(t *testing.T) *x509.Certificate {
	one := []string{"one"}
	return certify.New(t, "ann", nil, func(c *x509.Certificate) {
		c.Subject = pkix.Name{
			CommonName: "ann", Country: []string{"DE"}, Locality: one, Organization: one, OrganizationalUnit: one, PostalCode: one, Province: one, StreetAddress: one,
		}
		certify.Names("ann.example.com", "192.0.2.9")(c)
		c.EmailAddresses, c.URIs = []string{"ann@example.com"}, []*url.URL{{Scheme: "urn", Opaque: "ann"}}
	}).Certificate
}

// evaluationOfAll is one of an exchange that has everything.
func evaluationOfAll(t *testing.T) *Evaluation {
	t.Helper()
	state := tls.ConnectionState{
		Version: tls.VersionTLS13, ServerName: "app.example.com", CipherSuite: tls.TLS_AES_128_GCM_SHA256, NegotiatedProtocol: "h2", DidResume: true,
		PeerCertificates: []*x509.Certificate{seenCertificate(t)},
	}
	e := (&Program{}).Begin(&World{Places: everywhere{}}, Subject{
		Context: context.Background(), Connection: seen{state}, Scheme: "https", Protocol: "HTTP/1.1", Started: time.Unix(2, 0),
		Endpoint: Endpoint{ID: "ep_1", URL: postern.URL{Scheme: postern.HTTPS, Host: "app.example.com", Port: 443}, Public: "https://app.example.com", Region: "local"},
	})
	head := func(header http.Header) kept { return kept{header, 7} }
	e.request = &keptRequest{head(http.Header{
		"Content-Type": {"text/plain; charset=utf-8"}, "Content-Encoding": {"gzip"}, "Cookie": {"a=1"}, "Location": {"/there"}, "User-Agent": {smartphoneBot},
	}), "GET", "app.example.com", "https://user:pass@app.example.com/a/b?q=1"}
	e.response = &keptResponse{head(http.Header{
		"Content-Type": {"text/plain; charset=utf-8"}, "Content-Encoding": {"gzip"}, "Set-Cookie": {"a=1"}, "Location": {"/there"},
	}), 200}
	e.scope.Request, e.scope.Response = requestFacts{e}, responseFacts{e}
	events := eventstream.NewReader(strings.NewReader("id: 7\nevent: e\ndata: d\nretry: 10\n\n"), func(event *eventstream.Event) error {
		e.scope.Message = eventFacts{event}
		return nil
	})
	if _, err := io.Copy(io.Discard, events); err != nil {
		t.Fatal(err)
	}
	return e
}

// Every variable has a value where there is one to have, but for those that this server
// never knows: of these the page says so.
func TestEveryVariableHasAValue(t *testing.T) {
	page, err := os.ReadFile("../../docs/policy-expressions.md")
	if err != nil {
		t.Fatal(err)
	}
	_, unknown, _ := strings.Cut(string(page), "\nThis server never knows")
	unknown, _, _ = strings.Cut(unknown, ". Policies")
	for _, name := range unknowns() {
		if !strings.Contains(unknown, "`"+name+"`") {
			t.Errorf("the page does not say that %s is never known", name)
		}
	}
	if listed := strings.Count(unknown, "`") / 2; listed != len(unknowns()) {
		t.Errorf("the page lists %d variables that are never known, there are %d", listed, len(unknowns()))
	}
	e := evaluationOfAll(t)
	for _, name := range expression.Variables() {
		if name == "vars" || name == "actions" {
			continue
		}
		x, problem := expression.CompileValue(expression.Message, name)
		if problem != nil {
			t.Errorf("%s: %s", name, problem)
			continue
		}
		value, err := x.Value(&e.scope)
		_, said := value.(bool)
		there := err == nil && (said || !reflect.ValueOf(value).IsZero())
		if of := reflect.ValueOf(value); there && (of.Kind() == reflect.Map || of.Kind() == reflect.Slice) {
			there = of.Len() > 0
		}
		never := slices.ContainsFunc(unknowns(), func(u string) bool { return name == u || strings.HasPrefix(name, u+".") })
		if there == never {
			t.Errorf("%s is %v, %v", name, value, err)
		}
	}
	for text, want := range map[string]bool{
		`conn.tls.client.extensions.exists(x, x.id == "2.5.29.17" && !x.critical && size(x.value) > 10)`: true,
		`conn.tls.client.extensions.exists(x, x.id == "2.5.29.15" && x.critical)`:                        true,
		`conn.tls.client.subject.organization == ["one"]`:                                                true,
	} {
		x, problem := expression.Compile(expression.Connect, text)
		if problem != nil {
			t.Fatal(problem)
		}
		if got, err := x.True(&e.scope); got != want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
