package e2e_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/internal/testkit/pebble"
	"github.com/postern-dev/postern/resource"
)

// secureWeb is the web server of somebody who follows the recipes for TLS. %[1]s is where it is,
// %[2]d a port with a certificate of its own name, %[3]d one with a certificate that nobody
// has signed, and %[4]d one without TLS.
const secureWeb = `daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
	access_log off; default_type text/plain;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	server { listen 127.0.0.1:%[2]d ssl; ssl_certificate %[1]s/bought.pem; ssl_certificate_key %[1]s/bought.key; location / { return 200 'bought $host'; } }
	server { listen 127.0.0.1:%[3]d ssl; ssl_certificate %[1]s/quick.pem; ssl_certificate_key %[1]s/quick.key; location / { return 200 'quick $host'; } }
	server { listen 127.0.0.1:%[4]d; location / { return 200 'plain $host'; } }
}
`

// S0-46…S0-50 with an authority that the world trusts: a bought certificate in one's own nginx is
// what visitors see, and they are not warned; with one that nobody has signed, or for another
// name, they are; and where the server ends TLS it has obtained one, and nobody is warned.
func TestRecipesWithoutAWarning(t *testing.T) {
	t.Parallel()
	const zone, secure = "recipes.localhost", "secureservice.acme.org"
	names := nameserver.NewLocal(t, nil)
	s := newServerOf(t, zone)
	authority := pebble.Start(t, pebble.Config{DNS: names.Address, HTTPPort: s.http, TLSPort: s.https})
	s.asksAuthority(authority, names)
	p := newPerson(t)
	root := p.write("root.pem", authority.RootPEM)
	p.environment = append(p.environment, "POSTERN_CONNECT_CAS="+root)
	s.bootstrapTrusting(authority, root)

	chain, key := buy(t, authority, names, secure)
	p.write("bought.pem", chain)
	p.write("bought.key", key)
	if code, _, stderr := p.gets("openssl req -x509 -newkey rsa:2048 -nodes -days 9 -subj /CN=quick." + zone + " -keyout quick.key -out quick.pem"); code != 0 {
		t.Fatal(stderr)
	}
	ports := freePorts(t, 3)
	startProcess(t, "nginx", nil, "nginx", "-c", p.write("nginx.conf", fmt.Sprintf(secureWeb, p.home, ports[0], ports[1], ports[2])))
	awaitListen(t, fmt.Sprintf("127.0.0.1:%d", ports[0]))

	made, err := client.For(s.api(), resource.ReservedDomains()).Create(t.Context(), resource.ReservedDomainCreate{Domain: secure})
	if err != nil || made.Domain != secure || made.CNAMETarget == nil {
		t.Fatalf("%+v, %v", made, err)
	}
	p.write(".config/ngrok/ngrok.yml", fmt.Sprintf("version: \"2\"\nauthtoken: %[1]s\nserver_addr: connect.%[2]s:%[3]d\nregion: us\ntunnels:\n"+
		"  secure: {region: us, proto: tls, addr: 'localhost:%[4]d', hostname: secureService.ACME.org}\n"+
		"  quick: {proto: tls, addr: 'localhost:%[5]d', subdomain: quick}\n"+
		"  misnamed: {proto: tls, addr: 'localhost:%[4]d', subdomain: misnamed}\n"+
		"  edge: {proto: tls, addr: 'localhost:%[6]d', subdomain: edge, terminate_at: edge}\n", s.authtoken, zone, s.https, ports[0], ports[1], ports[2]))
	urls, err := p.types("ngrok start secure quick misnamed edge --log=stdout").Online(4)
	if err != nil || !strings.Contains(strings.Join(urls, " "), "tls://"+secure+":") {
		t.Fatalf("online as %q, %v", urls, err)
	}

	curl := func(flags, name string) (int, string, string) {
		t.Helper()
		return p.gets(fmt.Sprintf("curl -sS --max-time 20 --connect-to ::127.0.0.1:%d %s https://%s/", s.https, flags, name))
	}
	code, out, stderr := curl("--cacert root.pem -w '\n%{http_code} %{ssl_verify_result}\n%{certs}'", "SecureService.acme.org")
	lines := strings.SplitN(out, "\n", 3)
	if code != 0 || len(lines) != 3 || lines[0] != "bought "+secure || lines[1] != "200 0" {
		t.Fatalf("with the bought certificate: exit code %d, %s%s", code, out, stderr)
	}
	if shown := pems(lines[2]); strings.Join(shown, "") != strings.Join(pems(chain), "") || len(shown) != 2 {
		t.Errorf("curl was shown %d certificates, which are not nginx's", len(shown))
	}
	if code, out, stderr = curl("", secure); code != 60 || out != "" {
		t.Errorf("to who does not trust the authority: exit code %d, %s%s", code, out, stderr)
	}
	if code, out, stderr = curl("--cacert root.pem", "misnamed."+zone); code != 60 || out != "" || !strings.Contains(stderr, "misnamed."+zone) {
		t.Errorf("a bought certificate for another name: exit code %d, %s%s", code, out, stderr)
	}
	if code, out, stderr = curl("--cacert root.pem", "quick."+zone); code != 60 || out != "" {
		t.Errorf("a certificate that nobody has signed: exit code %d, %s%s", code, out, stderr)
	}
	if code, out, stderr = curl("--insecure", "quick."+zone); code != 0 || out != "quick quick."+zone {
		t.Errorf("--insecure: exit code %d, %s%s", code, out, stderr)
	}
	eventually(t, 90*time.Second, func() error { // the certificate is obtained when the name is first bound
		if code, out, stderr := curl("--cacert root.pem", "edge."+zone); code != 0 || out != "plain edge."+zone {
			return fmt.Errorf("TLS that ends at the server: exit code %d, %s%s", code, out, stderr)
		}
		return nil
	})
}

// asksAuthority starts a server that has all its certificates from an authority.
func (s *server) asksAuthority(authority *pebble.Server, names *nameserver.Local) {
	s.t.Helper()
	if err := s.Configure("dns: {resolvers: ['"+names.Address+"']}", "tls:", "  mode: acme", "  directory: "+authority.Directory, "  ca_root: "+authority.CAFile); err != nil {
		s.t.Fatal(err)
	}
	s.start()
}

// bootstrapTrusting is bootstrap for a server without a CA of its own. It returns once agents and
// users of the API are shown certificates of the authority's.
func (s *server) bootstrapTrusting(authority *pebble.Server, root string) {
	s.t.Helper()
	var keys struct {
		Authtoken string `json:"authtoken"`
		APIKey    string `json:"api_key"`
	}
	if err := json.Unmarshal([]byte(run(s.t, nil, posternBinary, "server", "bootstrap", "--config", s.Config, "--format", "json")), &keys); err != nil {
		s.t.Fatal(err)
	}
	s.APIKey, s.authtoken, s.CAFile, s.caFile = keys.APIKey, keys.Authtoken, root, root
	for _, name := range []string{"connect.", "api."} {
		eventually(s.t, 90*time.Second, func() error {
			conn, err := tls.Dial("tcp", s.ConnectURL(), &tls.Config{ServerName: name + s.Domain, RootCAs: authority.Roots})
			if err != nil {
				return err
			}
			return conn.Close()
		})
	}
}

// buyer proves to an authority that a name is his, with a record in its zone. It is an
// acmez.Solver.
type buyer struct {
	t     *testing.T
	names *nameserver.Local
}

func (b buyer) Present(_ context.Context, c acme.Challenge) error {
	b.names.Set(b.t, c.DNS01TXTRecordName(), fmt.Sprintf("%s. 60 IN TXT %q", c.DNS01TXTRecordName(), c.DNS01KeyAuthorization()))
	return nil
}

func (b buyer) CleanUp(_ context.Context, c acme.Challenge) error {
	b.names.Set(b.t, c.DNS01TXTRecordName())
	return nil
}

// buy obtains a certificate without the server's help, and gives it, those that signed it, and
// its key, as PEM text.
func buy(t *testing.T, authority *pebble.Server, names *nameserver.Local, name string) (chain, key string) {
	t.Helper()
	directory, err := os.ReadFile(authority.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(directory)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DialContext: (&net.Dialer{}).DialContext}
	defer transport.CloseIdleConnections()
	shop := &acmez.Client{Client: &acme.Client{Directory: authority.Directory, HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute}},
		ChallengeSolvers: map[string]acmez.Solver{acme.ChallengeTypeDNS01: buyer{t, names}}}
	var keys [2]*ecdsa.PrivateKey // of the account, and of the certificate
	for i := range keys {
		if keys[i], err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	account, err := shop.NewAccount(t.Context(), acme.Account{TermsOfServiceAgreed: true, PrivateKey: keys[0]})
	if err != nil {
		t.Fatal(err)
	}
	chains, err := shop.ObtainCertificateForSANs(t.Context(), account, keys[1], []string{name})
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(keys[1])
	if err != nil {
		t.Fatal(err)
	}
	return string(chains[0].ChainPEM), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// pems are the contents of the PEM blocks in a text.
func pems(text string) (contents []string) {
	for block, rest := pem.Decode([]byte(text)); block != nil; block, rest = pem.Decode(rest) {
		contents = append(contents, string(block.Bytes))
	}
	return contents
}
