package mutualtls_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/material"
	"github.com/postern-dev/postern/internal/mutualtls"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/certify"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// made is a certificate with its key, and with that of who signed it where that is no root.
type made struct {
	tls.Certificate
	whole *certify.Made
}

func issue(t testing.TB, name string, by *made, change ...certify.Edit) *made {
	t.Helper()
	edits := append([]certify.Edit{certify.Valid(now.Add(-time.Hour), now.AddDate(0, 1, 0)), certify.Names(), nothing}, change...)
	if by == nil {
		whole := certify.New(t, name, nil, edits...)
		return &made{whole.TLS(), whole}
	}
	m := &made{whole: certify.New(t, name, by.whole, edits...)}
	m.Certificate = m.whole.TLS()
	m.Certificate.Certificate = append(m.Certificate.Certificate, by.Certificate.Certificate...)
	return m
}

// crossed is by's certificate for the name and the key of m.
func (m *made) crossed(t testing.TB, by *made) *made {
	t.Helper()
	template := func(c *x509.Certificate) { *c = *m.Leaf }
	other := &made{whole: certify.Of(t, m.whole.Key, "", by.whole, template, certify.Serial(99))}
	other.Certificate = other.whole.TLS()
	other.Certificate.Certificate = append(other.Certificate.Certificate, by.Certificate.Certificate...)
	return other
}

// over is m's certificate with another chain behind it.
func (m *made) over(chain *made) *made {
	other := *m
	other.Certificate.Certificate = append([][]byte{m.Leaf.Raw}, chain.Certificate.Certificate...)
	return &other
}

// nothing is said of what the key is for.
func nothing(c *x509.Certificate) { c.KeyUsage = 0 }

func (m *made) revokes(t testing.TB, until time.Time, reason int, who ...*made) string {
	t.Helper()
	serials := make([]*big.Int, len(who))
	for i, c := range who {
		serials[i] = c.Leaf.SerialNumber
	}
	return certify.Block("X509 CRL", m.whole.Revoke(t, now, until, reason, serials...))
}

func (m *made) pem() string { return certify.Chain(m.whole) }

func compile(t testing.TB, m postern.MutualTLS) *mutualtls.Policy {
	t.Helper()
	var all []*material.Authorities
	if m.AuthoritiesPEM != "" {
		a, err := material.ReadAuthorities(material.Text{Name: "cas", Data: []byte(m.AuthoritiesPEM)}, now)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, a)
	}
	p, err := mutualtls.Compile(m, all...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// handshake is one of TLS over a pipe; it gives what the server says.
func handshake(t testing.TB, server, client *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	a, b := testkit.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = tls.Client(a, client).Read(make([]byte, 1)) // tickets, or the alert
		_ = a.Close()
	}()
	conn := tls.Server(b, server)
	err := conn.Handshake()
	if err == nil {
		_, _ = conn.Write([]byte{1})
	}
	state := conn.ConnectionState()
	_ = b.Close()
	<-done
	return state, err
}

func serverConfig(t testing.TB, p *mutualtls.Policy, clock func() time.Time) *tls.Config {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{issue(t, "server.example", nil).Certificate}, MinVersion: tls.VersionTLS12}
	p.Apply(config, clock)
	return config
}

func atNow() time.Time { return now }

// clientConfig chooses its certificate as programs do: one that the server asks for.
func clientConfig(shown ...*made) *tls.Config {
	config := &tls.Config{InsecureSkipVerify: true, ServerName: "server.example", ClientSessionCache: tls.NewLRUClientSessionCache(4), Time: atNow}
	for _, one := range shown {
		config.Certificates = append(config.Certificates, one.Certificate)
	}
	return config
}

// A ticket that can be read is no way past what has happened since.
func TestResumedSessions(t *testing.T) {
	root := issue(t, "root", nil, certify.Authority)
	client := issue(t, "client", root)
	for version, name := range map[uint16]string{tls.VersionTLS12: "TLS 1.2", tls.VersionTLS13: "TLS 1.3"} {
		for what, c := range map[string]struct {
			text   string
			reason mutualtls.Reason
		}{
			"nothing has happened": {root.pem(), ""},
			"a list is stale":      {root.pem() + root.revokes(t, now.Add(time.Hour), 0), mutualtls.StaleList},
		} {
			var clock atomic.Int64
			clock.Store(now.Unix())
			server := serverConfig(t, compile(t, postern.MutualTLS{AuthoritiesPEM: c.text}), func() time.Time { return time.Unix(clock.Load(), 0) })
			config := clientConfig(client)
			config.MaxVersion = version
			for i := range 2 {
				if state, err := handshake(t, server, config); err != nil || state.DidResume != (i > 0) {
					t.Fatalf("%s, %s, visit %d: resumed %v, %v", name, what, i, state.DidResume, err)
				}
			}
			clock.Add(2 * 3600)
			state, err := handshake(t, server, config)
			refusal := mutualtls.RefusalOf(err)
			if !state.DidResume || c.reason == "" && err != nil || c.reason != "" && (refusal == nil || refusal.Reason != c.reason) {
				t.Errorf("%s, %s: resumed %v, %v", name, what, state.DidResume, err)
			}
		}
	}
}

func TestReasons(t *testing.T) {
	root, other := issue(t, "root", nil, certify.Authority), issue(t, "other", nil, certify.Authority)
	middle := issue(t, "middle", root, certify.Authority)
	client, below := issue(t, "a client", root), issue(t, "below a middle", middle)
	old := issue(t, "old", root, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) })
	server := issue(t, "for servers", root, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	alone := issue(t, "on its own", nil)
	sixth := issue(t, "number", middle) // the middle has the same number, of another authority
	narrow := issue(t, "narrow", nil, certify.Authority, func(c *x509.Certificate) {
		c.PermittedDNSDomainsCritical, c.PermittedDNSDomains = true, []string{"inside.example"}
	})
	inside := issue(t, "inside", narrow, func(c *x509.Certificate) { c.DNSNames = []string{"ann.inside.example"} })
	outside := issue(t, "outside", narrow, func(c *x509.Certificate) { c.DNSNames = []string{"ann.example"} })
	around := client.over(root.crossed(t, other))
	long := issue(t, "long", root)
	for range mutualtls.MostChain {
		long.Certificate.Certificate = append(long.Certificate.Certificate, other.Leaf.Raw)
	}
	later, earlier := now.Add(time.Hour), now.Add(-time.Second)
	many := strings.Builder{}
	for i := range material.MostAuthorities - 1 {
		many.WriteString(issue(t, fmt.Sprintf("%d %s", i, strings.Repeat("long", 43)), nil, certify.Authority).pem())
	}
	for what, c := range map[string]struct {
		cas    string
		shows  *made
		reason mutualtls.Reason
		mode   postern.ClientCertificateMode
		stale  bool
	}{
		"good":                       {cas: root.pem(), shows: client},
		"good, below a middle":       {cas: root.pem(), shows: below},
		"the middle is the anchor":   {cas: middle.pem(), shows: below},
		"one of two":                 {cas: other.pem() + root.pem(), shows: client},
		"none":                       {cas: root.pem(), reason: mutualtls.Missing},
		"another's":                  {cas: other.pem(), shows: client, reason: mutualtls.Untrusted},
		"expired":                    {cas: root.pem(), shows: old, reason: mutualtls.Expired},
		"a server's":                 {cas: root.pem(), shows: server, reason: mutualtls.Invalid},
		"revoked":                    {cas: root.pem() + root.revokes(t, later, 0, client), shows: client, reason: mutualtls.Revoked},
		"another is revoked":         {cas: root.pem() + root.revokes(t, later, 0, server), shows: client},
		"the middle is revoked":      {cas: root.pem() + root.revokes(t, later, 0, middle), shows: below, reason: mutualtls.Revoked},
		"removed from the list":      {cas: root.pem() + root.revokes(t, later, 8, client), shows: client},
		"a stale list":               {cas: root.pem() + root.revokes(t, earlier, 0), shows: client, reason: mutualtls.StaleList},
		"stale, and good enough":     {cas: root.pem() + root.revokes(t, earlier, 0), shows: client, stale: true},
		"stale, revoked":             {cas: root.pem() + root.revokes(t, earlier, 0, client), shows: client, stale: true, reason: mutualtls.Revoked},
		"stale, beside a newer one":  {cas: root.pem() + root.revokes(t, earlier, 0) + root.revokes(t, later, 0), shows: client},
		"another's list":             {cas: root.pem() + other.pem() + other.revokes(t, later, 0, client), shows: client},
		"pinned":                     {cas: alone.pem(), shows: alone},
		"pinned, without its issuer": {cas: client.pem(), shows: client},
		"pinned, and another":        {cas: client.pem(), shows: below, reason: mutualtls.Untrusted},
		"pinned, and revoked":        {cas: client.pem() + root.pem() + root.revokes(t, later, 0, client), shows: client, reason: mutualtls.Revoked},
		"the middle, given, revoked": {cas: middle.pem() + root.pem() + root.revokes(t, later, 0, middle), shows: below, reason: mutualtls.Revoked},
		"the middle's number":        {cas: middle.pem() + middle.revokes(t, later, 0, sixth), shows: below},
		"that very certificate":      {cas: middle.pem() + middle.revokes(t, later, 0, sixth), shows: sixth, reason: mutualtls.Revoked},
		"around a list":              {cas: root.pem() + other.pem() + root.revokes(t, later, 0, client), shows: around, reason: mutualtls.Revoked},
		"around, and not revoked":    {cas: other.pem(), shows: around},
		"a name that it may sign":    {cas: narrow.pem(), shows: inside},
		"a name that it may not":     {cas: narrow.pem(), shows: outside, reason: mutualtls.Invalid},
		"too many are sent":          {cas: root.pem(), shows: long, reason: mutualtls.Invalid},
		"optional, none":             {cas: root.pem(), mode: "verify-if-given"},
		"optional, another's":        {cas: other.pem(), shows: client, mode: "verify-if-given", reason: mutualtls.Untrusted},
		"any":                        {shows: client, mode: "require"},
		"any, none":                  {mode: "require", reason: mutualtls.Missing},
		"requested":                  {shows: client, mode: "request"},
		"more names than one says":   {cas: root.pem() + many.String(), shows: client},
		"many, none":                 {cas: root.pem() + many.String(), reason: mutualtls.Missing},
		"many, another's":            {cas: root.pem() + many.String(), shows: alone, reason: mutualtls.Untrusted},
	} {
		p := compile(t, postern.MutualTLS{Mode: c.mode, AuthoritiesPEM: c.cas, StaleLists: c.stale})
		config := clientConfig()
		if c.shows != nil && c.reason == "" {
			config = clientConfig(c.shows)
		} else if c.shows != nil { // also what the server does not ask for
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c.shows.Certificate, nil }
		}
		state, err := handshake(t, serverConfig(t, p, atNow), config)
		refusal := mutualtls.RefusalOf(err)
		if (err == nil) != (c.reason == "") || err != nil && (refusal == nil || refusal.Reason != c.reason) {
			t.Errorf("%s: %v, want %q", what, err, c.reason)
			continue
		}
		if err == nil && (p.Check(state, now) != nil || c.shows != nil && len(state.PeerCertificates) == 0) {
			t.Errorf("%s: %d shown; when checked again: %v", what, len(state.PeerCertificates), p.Check(state, now))
		}
		if refusal != nil && (refusal.Error() == "" || (refusal.Certificate == nil) != (c.shows == nil)) {
			t.Errorf("%s: %+v", what, refusal)
		}
	}
}

// S1-46, S1-47: what the guide's script makes, whose client certificate has the subject of
// its authority.
func TestTheGuidesCertificates(t *testing.T) {
	guide := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", "material", "testdata", "guide", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	client, err := tls.X509KeyPair([]byte(guide("client-crt.pem")), []byte(guide("client-key.pem")))
	if err != nil {
		t.Fatal(err)
	}
	server := serverConfig(t, compile(t, postern.MutualTLS{AuthoritiesPEM: guide("ca-crt.pem")}), atNow)
	if _, err := handshake(t, server, clientConfig(&made{Certificate: client})); err != nil {
		t.Error(err)
	}
	if _, err := handshake(t, server, clientConfig()); mutualtls.RefusalOf(err) == nil {
		t.Errorf("without: %v", err)
	}
}

func TestCompileRefuses(t *testing.T) {
	for what, m := range map[string]postern.MutualTLS{"no authorities": {}, "an unknown mode": {Mode: "x"}, "optional and no authorities": {Mode: "verify-if-given"}} {
		if _, err := mutualtls.Compile(m); err == nil {
			t.Errorf("%s: compiled", what)
		}
	}
	if _, err := handshake(t, serverConfig(t, mutualtls.Closed(), nil), clientConfig(issue(t, "x", nil))); err == nil {
		t.Error("a closed policy lets somebody in")
	}
	for what, c := range map[string]struct {
		scheme postern.Scheme
		at     postern.Termination
		ok     bool
	}{
		"https": {postern.HTTPS, "", true}, "http": {postern.HTTP, "", false}, "tcp": {postern.TCP, "", false}, "udp": {postern.UDP, "", false},
		"tls at the edge": {postern.TLS, postern.AtEdge, true}, "tls that passes": {postern.TLS, "", false},
	} {
		if err := mutualtls.Usable(postern.MutualTLS{Mode: "request"}, c.scheme, c.at); (err == nil) != c.ok {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestDescribe(t *testing.T) {
	c := issue(t, "x", nil, func(c *x509.Certificate) {
		c.Subject = pkix.Name{CommonName: "a\x00b\r\nInjected: yes", Organization: []string{"Ünïcode"}}
		c.SerialNumber = big.NewInt(0xabc)
	})
	got := mutualtls.Describe([]*x509.Certificate{c.Leaf}, true)
	if strings.ContainsAny(got.Subject+got.Issuer, "\r\n\x00") || !strings.Contains(got.Subject, `\0D\0A`) || got.Serial != "0abc" || !got.Verified {
		t.Errorf("%+v", got)
	}
	if mutualtls.ASCII("plain") != "plain" || mutualtls.Describe(nil, true) != nil {
		t.Error("what needs nothing is changed")
	}
}

func BenchmarkHandshake(b *testing.B) {
	root := issue(b, "root", nil, certify.Authority)
	listed := root.pem() + root.revokes(b, now.Add(time.Hour), 0, issue(b, "somebody else", root))
	for _, c := range []struct {
		name   string
		cas    string
		resume bool
	}{{"none", "", false}, {"verified", root.pem(), false}, {"listed", listed, false}, {"none-resumed", "", true}, {"listed-resumed", listed, true}} {
		b.Run(c.name, func(b *testing.B) {
			server := &tls.Config{Certificates: []tls.Certificate{issue(b, "server.example", nil).Certificate}}
			if c.cas != "" {
				compile(b, postern.MutualTLS{AuthoritiesPEM: c.cas}).Apply(server, atNow)
			}
			config := clientConfig(issue(b, "a client", root))
			if !c.resume {
				config.ClientSessionCache = nil
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := handshake(b, server, config); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
