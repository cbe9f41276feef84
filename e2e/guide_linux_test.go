package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern/e2e/internal/program"
	"github.com/postern-dev/postern/internal/testkit/path"
	"github.com/postern-dev/postern/internal/testkit/pebble"
)

// vendorsGuide is somebody who follows the site-to-site guide, from the first call to the last:
// the vendor on a machine of its own, and the customer's site behind a firewall.
type vendorsGuide struct {
	*guideNetwork
	s         *server
	key       string // of the vendor's account
	root      string // file with the root of the authority that the world trusts
	token     string // of the site's agent
	webToken  string // of the site's exposed API
	service   *process
	agent     *process
	directory string // of the customer, where the agent is started
}

// S1 whole, with real delegation, real certificates and real mutual TLS: parent zones are
// served by nsd, looked up through unbound, and certificates come from pebble.
func TestSiteToSiteGuide(t *testing.T) {
	t.Parallel()
	if !path.Isolate(t) {
		return
	}
	g := newGuide(t)
	g.makesIngress()
	g.makesDomain()
	g.makesToken()
	g.closesSite()
	g.startsAgent()
	g.startsPassthrough()
	g.startsMutualTLS()
	g.replacesOldCertificates()
	g.makesMistakes()
	g.lookedUpNothingElse()
}

func newGuide(t *testing.T) *vendorsGuide {
	g := &vendorsGuide{guideNetwork: newGuideNetwork(t)}
	issuer := pebble.Start(t, pebble.Config{HTTPPort: 80, TLSPort: 443, DNS: resolverAddr + ":53", Listen: issuerAddr + ":14000", Wrapper: g.issuer.in()})
	s := newServer(t)
	g.s = s
	s.Address, s.HTTPS, s.HTTP = serverAddr, 443, 80
	if err := s.Configure(
		"regions: [{name: us, addresses: ["+serverAddr+"]}]",
		"dns: {resolvers: ["+resolverAddr+"]}",
		"tls:", "  mode: acme", "  directory: "+issuer.Directory, "  ca_root: "+issuer.CAFile); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(s.Config)
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.Replace(string(text), "listen:\n", "listen:\n  dns: "+serverAddr+":53\n", 1))
	if err := os.WriteFile(s.Config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	// The operator delegates the challenges of the server's own names before it starts.
	var keys struct {
		APIKey string `json:"api_key"`
		Record string `json:"challenge_record"`
	}
	if err := json.Unmarshal([]byte(run(t, nil, posternBinary, "server", "bootstrap", "--config", s.Config, "--format", "json")), &keys); err != nil {
		t.Fatal(err)
	}
	g.adds(domain, keys.Record)
	s.start()
	g.key, g.root = keys.APIKey, filepath.Join(g.vendor.dir, "root.pem")
	for _, p := range []*place{g.vendor, g.site} {
		p.file("root.pem", issuer.RootPEM)
	}
	g.directory = g.site.directory("customer")
	return g
}

// curl runs curl on the vendor's machine.
func (g *vendorsGuide) curl(args ...string) (status, body string) {
	g.t.Helper()
	out := g.vendor.run(append([]string{"sh", "-c", `curl --silent --show-error --max-time 30 --write-out '\n%{http_code}' "$@" 2>&1 || true`, "curl"}, args...)...)
	out = strings.TrimRight(out, "\n")
	end := strings.LastIndexByte(out, '\n')
	return out[end+1:], strings.TrimSpace(out[:max(end, 0)])
}

// calls makes a call of the guide to the API.
func (g *vendorsGuide) calls(want, path string, body any) (answer map[string]any) {
	g.t.Helper()
	args := []string{"--cacert", g.root, "https://api." + domain + path,
		"-H", "Authorization: Bearer " + g.key, "-H", "Content-Type: application/json", "-H", "Ngrok-Version: 2"}
	if body != nil {
		text, is := body.(string)
		if !is {
			encoded, err := json.Marshal(body)
			if err != nil {
				g.t.Fatal(err)
			}
			text = string(encoded)
		}
		args = append(args, "-d", text)
	}
	status, text := g.curl(args...)
	if status != want {
		g.t.Fatalf("%s %v: %s %s", path, body, status, text)
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		g.t.Fatalf("%s: %v\n%s", path, err, text)
	}
	return answer
}

// comesOnline waits until the server's own names have their certificate.
func (g *vendorsGuide) comesOnline() {
	g.t.Helper()
	eventually(g.t, 90*time.Second, func() error {
		if status, body := g.curl("--cacert", g.root, "https://api."+domain+"/agent_ingresses", "-H", "Authorization: Bearer "+g.key, "-H", "Ngrok-Version: 2"); status != "200" {
			return fmt.Errorf("the API answers %s %s", status, body)
		}
		return nil
	})
}

// verified asks for the check of a resource until nothing is wrong with its records.
func (g *vendorsGuide) verified(uri string) {
	g.t.Helper()
	eventually(g.t, 30*time.Second, func() error {
		answer := g.calls("200", uri+"/check", map[string]any{})
		if answer["status"] != "ok" {
			text, _ := json.Marshal(answer)
			return fmt.Errorf("the check says %s", text)
		}
		return nil
	})
}

// S1-9…S1-14: an address of the vendor's own for its agents, which it delegates.
func (g *vendorsGuide) makesIngress() {
	g.t.Helper()
	g.comesOnline()
	made := g.calls("201", "/agent_ingresses", `{"description":"agent ingress","domain":"connect.`+vendorDomain+`"}`)
	uri := "/agent_ingresses/" + made["id"].(string)
	if answer := g.calls("200", uri+"/check", map[string]any{}); answer["status"] != "problem" {
		g.t.Errorf("before the delegation the check says %v", answer)
	}
	targets := made["ns_targets"].([]any)
	if regions := made["region_domains"].([]any); len(targets) != 4 || len(regions) != 1 || regions[0] != "tunnel.us.connect."+vendorDomain {
		g.t.Fatalf("the ingress is %v", made)
	}
	var records []string
	for _, target := range targets {
		records = append(records, fmt.Sprintf("connect NS %s.", target))
	}
	g.adds(vendorDomain, records...)
	g.verified(uri)
	// What was wrong a moment ago has kept the certificate back; the check has it got now.
	if err := program.Poll(90*time.Second, time.Second, func() error {
		g.verified(uri)
		if status, body := g.curl("--cacert", g.root, "https://tunnel.us.connect."+vendorDomain); status == "000" {
			return fmt.Errorf("the ingress shows no certificate of its own: %s", body)
		}
		return nil
	}); err != nil {
		g.t.Fatal(err)
	}
	for _, name := range []string{"connect." + vendorDomain, "tunnel.us.connect." + vendorDomain} {
		if answer := strings.TrimSpace(g.vendor.run("dig", "+short", name)); answer != serverAddr {
			g.t.Errorf("%s is %q", name, answer)
		}
	}
}

// S1-16…S1-20: a wildcard for the site, two records, and a certificate for it.
func (g *vendorsGuide) makesDomain() {
	g.t.Helper()
	made := g.calls("201", "/reserved_domains", `{"domain":"*.customer1.`+vendorDomain+`","region":"us"}`)
	uri := "/reserved_domains/" + made["id"].(string)
	g.adds(vendorDomain, fmt.Sprintf("*.customer1 CNAME %s.", made["cname_target"]), fmt.Sprintf("_acme-challenge.customer1 CNAME %s.", made["acme_challenge_cname_target"]))
	g.verified(uri)
	// Until the records were there the certificate was refused; a check has it got now. People
	// do not look every few milliseconds.
	if err := program.Poll(120*time.Second, 2*time.Second, func() error {
		g.verified(uri)
		now := g.calls("200", uri, nil)
		status, _ := now["certificate_management_status"].(map[string]any)
		if now["certificate"] == nil || status == nil || status["renews_at"] == nil || status["provisioning_job"] != nil {
			text, _ := json.Marshal(now)
			return fmt.Errorf("the domain is %s", text)
		}
		return nil
	}); err != nil {
		g.t.Fatal(err)
	}
}

// S1-21…S1-24: the site's agent gets a token of a bot user's, for its own names alone.
func (g *vendorsGuide) makesToken() {
	g.t.Helper()
	bot := g.calls("201", "/bot_users", `{"name":"customer1"}`)
	credential := g.calls("201", "/credentials", map[string]any{"description": "site 1", "owner_id": bot["id"], "acl": []string{"bind:*.customer1." + vendorDomain}})
	g.token = credential["token"].(string)
}

// closesSite has the site's firewall let out look-ups and what goes to the server's address,
// S1-9, and starts the private service.
func (g *vendorsGuide) closesSite() {
	g.t.Helper()
	for _, rule := range [][]string{{"-o", "lo", "-j", "ACCEPT"}, {"-d", serverAddr, "-p", "tcp", "--dport", "443", "-j", "ACCEPT"},
		{"-d", resolverAddr, "-p", "udp", "--dport", "53", "-j", "ACCEPT"}, {"-j", "DROP"}} {
		g.site.run(append([]string{"iptables", "-A", "OUTPUT"}, rule...)...)
	}
	config := g.site.file("nginx.conf", fmt.Sprintf(`daemon off; master_process off; pid %[1]s/nginx.pid; error_log stderr;
events {}
http {
	access_log off;
	client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
	server { listen 127.0.0.1:3000; location / { default_type text/plain; return 200 'private $uri'; } }
}
`, g.site.dir))
	g.service = g.site.start("nginx", "nginx", "-c", config)
	g.site.awaitPort(g.service, 3000)
}

// inSite is a shell line of the customer's, in its directory.
func (g *vendorsGuide) inSite(line string) []string {
	bin := filepath.Join(g.site.dir, "ngrok")
	if _, err := os.Lstat(bin); err != nil {
		if err := os.Symlink(posternBinary, bin); err != nil {
			g.t.Fatal(err)
		}
	}
	return g.site.in("env", "HOME="+g.directory, "PATH="+g.site.dir+":"+os.Getenv("PATH"), "sh", "-c", "cd && exec "+line)
}

// S1-31…S1-39: the vendor's configuration beside the customer's, and an agent that serves
// its own API.
func (g *vendorsGuide) startsAgent() {
	g.t.Helper()
	write := func(name, text string) {
		g.t.Helper()
		if err := os.WriteFile(filepath.Join(g.directory, name), []byte(text), 0o600); err != nil {
			g.t.Fatal(err)
		}
	}
	write("customer.yml", "version: \"2\"\nauthtoken: of-the-customer\ntunnels:\n  own:\n    proto: http\n    addr: 3000\n")
	write("vendor.yml", fmt.Sprintf("version: \"2\"\nauthtoken: %s\nserver_addr: tunnel.us.connect.%s:443\nroot_cas: %s\ntunnels:\n  agent-api:\n    proto: http\n    domain: agent.customer1.%[2]s\n    addr: 4040\n    inspect: false\n",
		g.token, vendorDomain, filepath.Join(g.site.dir, "root.pem")))
	lines := strings.Fields(run(g.t, nil, g.inSite("ngrok config add-web-token --config vendor.yml")...))
	g.webToken = lines[len(lines)-1]
	g.agent = startProcess(g.t, "agent", nil, g.inSite("ngrok start agent-api --config customer.yml --config vendor.yml --log=stdout")...)
	eventually(g.t, 60*time.Second, func() error {
		if status, body := g.post("", `{}`); status != "401" {
			return fmt.Errorf("without a token the agent's API answers %s %s", status, body)
		}
		return nil
	})
}

// post starts a tunnel from the vendor's machine, through the agent's exposed API.
func (g *vendorsGuide) post(token, body string) (status, answer string) {
	g.t.Helper()
	args := []string{"--cacert", g.root, "https://agent.customer1." + vendorDomain + "/api/tunnels", "-H", "Content-Type: application/json", "-d", body}
	if token != "" {
		args = append(args, "-H", "Authorization: Bearer "+token)
	}
	return g.curl(args...)
}

// passthrough is the body of the guide's call, with more keys.
func passthrough(more string) string {
	return `{"name":"passthrough","proto":"tls","terminate_at":"agent","addr":"3000","domain":"api.customer1.` + vendorDomain + `"` + more + `}`
}

func (g *vendorsGuide) starts(more string) {
	g.t.Helper()
	if status, body := g.post(g.webToken, passthrough(more)); status != "201" || !strings.Contains(body, `"public_url":"tls://api.customer1.`+vendorDomain) {
		g.t.Fatalf("%s: %s %s", passthrough(more), status, body)
	}
}

func (g *vendorsGuide) stops() {
	g.t.Helper()
	if status, body := g.curl("--cacert", g.root, "-X", "DELETE", "https://agent.customer1."+vendorDomain+"/api/tunnels/passthrough", "-H", "Authorization: Bearer "+g.webToken); status != fmt.Sprint(http.StatusNoContent) {
		g.t.Fatalf("DELETE: %s %s", status, body)
	}
}

// visit is the vendor's call to the service.
func (g *vendorsGuide) visit(args ...string) (status, body string) {
	g.t.Helper()
	return g.curl(append(args, "https://api.customer1."+vendorDomain+"/any/endpoint")...)
}

func (g *vendorsGuide) answered(what string, args ...string) {
	g.t.Helper()
	eventually(g.t, 60*time.Second, func() error { // a certificate may still be on its way
		if status, body := g.visit(args...); status != "200" || body != "private /any/endpoint" {
			return fmt.Errorf("%s: %s %s", what, status, body)
		}
		return nil
	})
}

func (g *vendorsGuide) refused(what string, args ...string) {
	g.t.Helper()
	if status, body := g.visit(args...); status != "000" {
		g.t.Errorf("%s: %s %s", what, status, body)
	}
}

// S1-40, S1-41: the first call names no certificate; the agent obtains one. The token is
// good for nothing but the site's names, S1-24.
func (g *vendorsGuide) startsPassthrough() {
	g.t.Helper()
	if status, body := g.post("", passthrough("")); status != "401" {
		g.t.Errorf("a stranger's call: %s %s", status, body)
	}
	g.starts("")
	g.answered("without a certificate of one's own", "--cacert", g.root)
	g.stops()
	if status, body := g.post(g.webToken, `{"name":"foreign","proto":"tls","terminate_at":"agent","addr":"3000","domain":"api.customer2.`+vendorDomain+`"}`); status == "201" {
		g.t.Errorf("the token binds another site's name: %s", body)
	}
}

// oldScript makes what the guide's script makes: certificates of version 1 without names,
// of one subject.
const oldScript = `set -e
subject='/C=US/O=Site/CN=*.customer1.acme.org'
openssl genrsa -out ca-key.pem 2048
openssl req -new -key ca-key.pem -subj "$subject" -out ca-csr.pem
openssl x509 -req -days 9999 -in ca-csr.pem -signkey ca-key.pem -out ca-crt.pem
for name in server client; do
  openssl genrsa -out $name-key.pem 2048
  openssl req -new -key $name-key.pem -subj "$subject" -out $name-csr.pem
  openssl x509 -req -days 9999 -in $name-csr.pem -CA ca-crt.pem -CAkey ca-key.pem -CAcreateserial -out $name-crt.pem
done
`

// handsOver gives the vendor the files that a client needs.
func (g *vendorsGuide) handsOver(from string, names ...string) {
	g.t.Helper()
	for _, name := range names {
		text, err := os.ReadFile(filepath.Join(g.directory, from, name))
		if err != nil {
			g.t.Fatal(err)
		}
		g.vendor.file(filepath.Base(name), string(text))
	}
}

func (g *vendorsGuide) given(name string) string { return filepath.Join(g.vendor.dir, name) }

// S1-43…S1-50: mutual TLS with the certificates of the guide's script, whose defects are
// named with what replaces them.
func (g *vendorsGuide) startsMutualTLS() {
	g.t.Helper()
	if err := os.WriteFile(filepath.Join(g.directory, "script.sh"), []byte(oldScript), 0o600); err != nil {
		g.t.Fatal(err)
	}
	run(g.t, nil, g.inSite("sh script.sh")...)
	g.handsOver(".", "ca-crt.pem", "client-crt.pem", "client-key.pem")
	g.starts(`,"mutual_tls_cas":"ca-crt.pem","crt":"server-crt.pem","key":"server-key.pem"`)
	g.answered("with the client's certificate", "-k", "--cert", g.given("client-crt.pem"), "--key", g.given("client-key.pem"))
	g.refused("without", "-k")
	if !strings.Contains(g.agent.output(), "postern ca") {
		g.t.Errorf("the agent does not say what replaces the script's certificates:\n%s", g.agent.output())
	}
	g.stops()
}

// S1-50, S1-53, S1-54: certificates of "postern ca" need no -k.
func (g *vendorsGuide) replacesOldCertificates() {
	g.t.Helper()
	for _, line := range []string{"init --dir own", "server --dir own '*.customer1." + vendorDomain + "'", "client --dir own vendor"} {
		run(g.t, nil, g.site.in("env", "HOME="+g.directory, "sh", "-c", "cd && exec "+posternBinary+" ca "+line)...)
	}
	server := "own/servers/wildcard.customer1." + vendorDomain
	g.starts(fmt.Sprintf(`,"mutual_tls_cas":"own/ca.pem","crt":"%[1]s/server.pem","key":"%[1]s/server.key"`, server))
	g.handsOver("own/clients/vendor", "ca.pem", "client.pem", "client.key")
	args := []string{"--cacert", g.given("ca.pem"), "--cert", g.given("client.pem"), "--key", g.given("client.key")}
	g.answered("with certificates of postern ca", args...)
	g.refused("without a client certificate", args[:2]...)
	g.refused("with one of another authority", "--cacert", g.given("ca.pem"), "--cert", g.given("client-crt.pem"), "--key", g.given("client-key.pem"))
	g.stops()
}

// S1-15, S1-38, S1-42, S1-45: what people paste.
func (g *vendorsGuide) makesMistakes() {
	g.t.Helper()
	status, body := g.curl("--cacert", g.root, "https://api."+domain+"/agent_ingresses", "-H", "Authorization: Bearer "+g.key, "-H", "Ngrok-Version: 2",
		"-H", "Content-Type: application/json", "-d", `{“domain”:”connect.`+vendorDomain+`”}`)
	if status != "400" || !regexp.MustCompile(`(?i)quot`).MatchString(body) {
		g.t.Errorf("curly quotes: %s %s", status, body)
	}
	out := run(g.t, nil, g.site.in("env", "HOME="+g.directory, "PATH="+g.site.dir+":"+os.Getenv("PATH"), "sh", "-c", "cd && ngrok start agent-api –config vendor.yml 2>&1 && exit 1 || exit 0")...)
	if !strings.Contains(out, "–config") || !strings.Contains(out, "Write --") {
		g.t.Errorf("an en dash: %s", out)
	}
	for body, want := range map[string]string{
		strings.TrimSuffix(passthrough(""), "}"):                      "",
		passthrough(","):                                              "",
		passthrough(`,"crt":"client-crt.pem","key":"server-key.pem"`): "key",
		passthrough(`,"crt":"server-crt.pem","key":"server-key.pem","mutual_tls_cas":"ca-key.pem"`):    "private key",
		passthrough(`,"crt":"server-crt.pem","key":"server-key.pem","mutual_tls_cas":"ca-absent.pem"`): "ca-absent.pem",
	} {
		if status, answer := g.post(g.webToken, body); status != "400" || !strings.Contains(answer, want) {
			g.t.Errorf("%s: %s %s", body, status, answer)
		}
	}
}

// S1-9: of all that the site did, nothing left its firewall but what went to the ingress,
// and no other name was looked up.
func (g *vendorsGuide) lookedUpNothingElse() {
	g.t.Helper()
	names := g.lookedUp(siteAddr)
	if len(names) == 0 {
		g.t.Error("the site looked nothing up")
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		if name != "connect."+vendorDomain && !strings.HasSuffix(name, ".connect."+vendorDomain) {
			g.t.Errorf("the site looked %s up", name)
		}
	}
	if err := program.Poll(time.Second, 100*time.Millisecond, func() error {
		rules := strings.Split(strings.TrimSpace(g.site.run("iptables", "-nvxL", "OUTPUT")), "\n")
		if last := strings.Fields(rules[len(rules)-1]); last[0] != "0" || last[2] != "DROP" {
			return fmt.Errorf("the firewall dropped something: %s", strings.Join(rules, "\n"))
		}
		return nil
	}); err != nil {
		g.t.Error(err)
	}
}
