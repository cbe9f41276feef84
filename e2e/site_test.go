package e2e_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificates is the script of a site's operator, with the file names of the guide that
// such sites follow, and a second CA that nobody there trusts.
const certificates = `set -e
subject='/C=DE/O=Site/CN=*.customer1.postern.test'
authority() {
  openssl req -x509 -newkey rsa:2048 -nodes -days 9999 -subj "/O=Site/CN=$1" -keyout $1-key.pem -out $1-crt.pem
}
signed() { # signed NAME CA USAGE
  openssl req -newkey rsa:2048 -nodes -subj "$subject" -keyout $1-key.pem -out $1-csr.pem
  printf 'subjectAltName=DNS:*.customer1.postern.test\nextendedKeyUsage=%s\n' $3 > $1.ext
  openssl x509 -req -days 9999 -in $1-csr.pem -CA $2-crt.pem -CAkey $2-key.pem -CAcreateserial -extfile $1.ext -out $1-crt.pem
  openssl verify -CAfile $2-crt.pem $1-crt.pem
}
authority ca
authority other
signed server ca serverAuth
signed client ca clientAuth
signed stranger other clientAuth
`

// site is a customer's site: an agent whose API is reached through an endpoint of its
// own, started in the directory with the certificates.
type site struct {
	*person
	s      *server
	agent  typed
	public string // URL of the agent's API
	token  string
	client *http.Client
}

func (s *server) site() *site {
	s.t.Helper()
	p := newPerson(s.t)
	p.environment = append(p.environment, "POSTERN_CONNECT_CAS="+s.caFile)
	p.write("certificates.sh", certificates)
	if code, _, stderr := p.gets("sh certificates.sh"); code != 0 {
		s.t.Fatalf("openssl: %s", stderr)
	}
	web := freePorts(s.t, 1)[0]
	p.write("vendor/ngrok.yml", fmt.Sprintf("version: \"2\"\nauthtoken: %s\nserver_addr: %s\nweb_addr: 127.0.0.1:%d\ntunnels:\n  agent-api:\n    proto: http\n    domain: agent.customer1.%s\n    addr: %d\n    inspect: false\n",
		s.authtoken, s.connectURL(), web, domain, web))
	code, token, stderr := p.gets("postern config add-web-token --config vendor/ngrok.yml")
	if code != 0 {
		s.t.Fatalf("add-web-token: %s", stderr)
	}
	lines := strings.Split(strings.TrimSpace(token), "\n")
	here := &site{person: p, s: s, token: lines[len(lines)-1], client: s.visitor(), public: fmt.Sprintf("https://agent.customer1.%s:%d", domain, s.https)}
	here.start()
	return here
}

func (h *site) start() {
	h.t.Helper()
	h.agent = h.types("ngrok start agent-api --config vendor/ngrok.yml --log=stdout")
	if _, err := h.agent.Online(1); err != nil {
		h.t.Fatal(err)
	}
}

// post starts a tunnel from outside.
func (h *site) post(body string, answer any) int {
	h.t.Helper()
	return api(h.t, h.client, "POST", h.public+"/api/tunnels", body, h.allowed(), answer)
}

func (h *site) remove(name string) {
	h.t.Helper()
	if status := api(h.t, h.client, "DELETE", h.public+"/api/tunnels/"+name, "", h.allowed(), nil); status != http.StatusNoContent {
		h.t.Errorf("DELETE %s: %d", name, status)
	}
}

func (h *site) allowed() map[string]string {
	return map[string]string{"Authorization": "Bearer " + h.token}
}

// visit asks the site's service as curl --cacert ca-crt.pem --cert … --key … does.
func (h *site) visit(host, certificate string) (string, error) {
	h.t.Helper()
	authority, err := os.ReadFile(filepath.Join(h.home, "ca-crt.pem"))
	if err != nil {
		h.t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(authority)
	if certificate != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(h.home, certificate+"-crt.pem"), filepath.Join(h.home, certificate+"-key.pem"))
		if err != nil {
			h.t.Fatal(err)
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	}
	transport := &http.Transport{DialContext: h.s.DialContext, TLSClientConfig: config, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	response, body, err := tryFetch(&http.Client{Transport: transport, Timeout: 10 * time.Second}, "https://"+host+"/any/endpoint")
	if err != nil {
		return "", err
	}
	return response.Status + " " + body, nil
}

// S1-2, S1-25, S1-29, S1-40, S1-41, S1-43…S1-48, S1-51, S1-53, S1-57, S1-58: a tunnel
// that is started from outside, with certificates that never leave the site.
func TestMutualTLSThatEndsAtTheSite(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	h := s.site()
	port := service(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "private "+r.URL.Path) })
	host := "api.customer1." + domain
	plain := fmt.Sprintf(`{"name":"passthrough","proto":"tls","addr":"%s","domain":"%s"`, port, host)

	if status := api(t, h.client, "POST", h.public+"/api/tunnels", plain+"}", nil, nil); status != http.StatusUnauthorized {
		t.Errorf("a stranger's POST: %d", status)
	}
	var tunnel apiTunnel
	if status := h.post(plain+`,"crt":"server-crt.pem","key":"server-key.pem","terminate_at":"agent"}`, &tunnel); status != 201 || withoutPort(tunnel.PublicURL) != "tls://"+host+"/" {
		t.Fatalf("%d %+v", status, tunnel)
	}
	if body, err := h.visit(host, ""); err != nil || body != "200 OK private /any/endpoint" {
		t.Errorf("before mutual TLS: %q %v", body, err)
	}
	h.remove("passthrough")

	if status := h.post(plain+`,"mutual_tls_cas":"ca-crt.pem","crt":"server-crt.pem","key":"server-key.pem","terminate_at":"agent"}`, &tunnel); status != 201 {
		t.Fatalf("%d %+v", status, tunnel)
	}
	if body, err := h.visit(host, "client"); err != nil || body != "200 OK private /any/endpoint" {
		t.Errorf("with the client's certificate: %q %v", body, err)
	}
	for _, certificate := range []string{"", "stranger"} {
		if body, err := h.visit(host, certificate); err == nil {
			t.Errorf("with certificate %q the service answers %q", certificate, body)
		}
	}
}

// S1-40, S1-53: the same with curl, as guides have it.
func TestCurl(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	h := s.site()
	port := service(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "private "+r.URL.Path) })
	host := "api.customer1." + domain
	body := fmt.Sprintf(`{"name":"passthrough","proto":"tls","terminate_at":"agent","addr":"%s","domain":"%s","mutual_tls_cas":"ca-crt.pem","crt":"server-crt.pem","key":"server-key.pem"}`, port, host)
	// Names of the domain resolve nowhere: curl is told where the server is.
	curl := fmt.Sprintf("curl --silent --show-error --max-time 20 --connect-to ::127.0.0.1:%d ", s.https)

	code, out, stderr := h.gets(curl + "--cacert " + s.caFile + ` --request POST --header "Authorization: Bearer ` + h.token + `" --header "Content-Type: application/json" --data '` + body + `' ` + h.public + "/api/tunnels")
	if code != 0 || !strings.Contains(out, `"public_url":"tls://`+host) {
		t.Fatalf("exit code %d, %s%s", code, out, stderr)
	}
	if code, out, stderr = h.gets(curl + "--cacert ca-crt.pem --cert client-crt.pem --key client-key.pem https://" + host + "/any/endpoint"); code != 0 || out != "private /any/endpoint" {
		t.Errorf("with the client's certificate: exit code %d, %s%s", code, out, stderr)
	}
	if code, out, _ = h.gets(curl + "--cacert ca-crt.pem https://" + host + "/any/endpoint"); code == 0 || out != "" {
		t.Errorf("without: exit code %d, %s", code, out)
	}
}

// guide is the script of the site-to-site guide: one subject for all, nothing but a common
// name, 9999 days, RSA of 4096 bits, and a pass phrase on the CA's key.
const guide = `set -e
subject='/C=US/ST=State/L=City/O=Vendor/CN=*.customer1.postern.test'
echo secret > pass.txt
echo "Creating the CA"
openssl req -new -x509 -days 9999 -newkey rsa:4096 -passout file:pass.txt -keyout ca-key.pem -out ca-crt.pem -subj "$subject"
for name in server client; do
  echo "Creating the certificate of the $name"
  openssl genrsa -out $name-key.pem 4096
  openssl req -new -key $name-key.pem -out $name-csr.pem -subj "$subject"
  openssl x509 -req -days 9999 -in $name-csr.pem -CA ca-crt.pem -CAkey ca-key.pem -passin file:pass.txt -CAcreateserial -out $name-crt.pem
done
openssl verify -CAfile ca-crt.pem server-crt.pem client-crt.pem || true
`

// S1-46, S1-47, S1-50, S1-54: what the guide's script makes starts the tunnel, with warnings
// that say what is wrong with it and what replaces it. Without verification curl passes with
// the client's certificate, and not without it.
func TestCertificatesOfTheGuide(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	h := s.site()
	h.write("guide/guide.sh", guide)
	if code, out, stderr := h.gets("sh -c 'cd guide && sh guide.sh'"); code != 0 || !strings.Contains(out+stderr, "error 18 at 0 depth lookup") {
		t.Fatalf("the guide's script: exit code %d, %s%s", code, out, stderr)
	}
	port := service(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "private "+r.URL.Path) })
	host := "api.customer1." + domain
	body := fmt.Sprintf(`{"name":"passthrough","proto":"tls","terminate_at":"agent","addr":"%s","domain":"%s","mutual_tls_cas":"guide/ca-crt.pem","crt":"guide/server-crt.pem","key":"guide/server-key.pem"}`, port, host)
	if status := h.post(body, nil); status != 201 {
		t.Fatalf("POST: %d", status)
	}
	for _, want := range []string{"is of version 1", "names no host in its subjectAltName", "error 18", "postern ca server " + host} {
		h.agent.waitFor(want, 10*time.Second)
	}
	curl := fmt.Sprintf("curl --silent --show-error --max-time 20 --connect-to ::127.0.0.1:%d https://%s/any ", s.https, host)
	const client = "--cert guide/client-crt.pem --key guide/client-key.pem "
	if code, out, stderr := h.gets(curl + "-k " + client); code != 0 || out != "private /any" {
		t.Errorf("-k with the client's certificate: exit code %d, %s%s", code, out, stderr)
	}
	h.agent.waitFor("client=\"CN=*.customer1.postern.test", 10*time.Second)
	if code, out, stderr := h.gets(curl + "-k"); code == 0 || out != "" || !strings.Contains(stderr, "certificate required") {
		t.Errorf("-k without it: exit code %d, %s%s", code, out, stderr)
	}
	if code, _, _ := h.gets(curl + "-k --cert stranger-crt.pem --key stranger-key.pem"); code == 0 {
		t.Error("-k with a stranger's certificate: it passes")
	}
	if code, _, _ := h.gets(curl + "--cacert guide/ca-crt.pem " + client); code != 60 {
		t.Errorf("--cacert: exit code %d, want 60, as openssl has it", code)
	}
	h.remove("passthrough")
	// The CA's own key is encrypted; with its pass phrase it can be used as any other.
	for passphrase, want := range map[string]int{"": 400, `,"key_passphrase_file":"guide/pass.txt"`: 201} {
		body := fmt.Sprintf(`{"name":"locked","proto":"tls","terminate_at":"agent","addr":"%s","domain":"locked.customer1.%s","crt":"guide/ca-crt.pem","key":"guide/ca-key.pem"%s}`, port, domain, passphrase)
		if status := h.post(body, nil); status != want {
			t.Errorf("an encrypted key with %q: %d, want %d", passphrase, status, want)
		}
	}
}

// S1-40, S1-52: the guide's first call, which names no certificate: one is obtained, and no
// key of it is anywhere but at the site.
func TestFirstCallOfTheGuide(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	h := s.site()
	port := service(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "private "+r.URL.Path) })
	host := "api.customer1." + domain
	if status := h.post(fmt.Sprintf(`{"name":"passthrough","proto":"tls","terminate_at":"agent","addr":"%s","domain":"%s"}`, port, host), nil); status != 201 {
		t.Fatalf("POST: %d", status)
	}
	curl := fmt.Sprintf("curl --silent --show-error --max-time 20 --cacert %s --connect-to ::127.0.0.1:%d ", s.caFile, s.https)
	if code, out, stderr := h.gets(curl + "https://" + host + "/any"); code != 0 || out != "private /any" {
		t.Errorf("exit code %d, %s%s", code, out, stderr)
	}
	// A wildcard's certificate is for the wildcard.
	if status := h.post(fmt.Sprintf(`{"name":"all","proto":"tls","terminate_at":"agent","addr":"%s","domain":"*.rest.customer1.%s"}`, port, domain), nil); status != 201 {
		t.Fatalf("POST: %d", status)
	}
	if code, out, stderr := h.gets(curl + "https://one.rest.customer1." + domain + "/any"); code != 0 || out != "private /any" {
		t.Errorf("below a wildcard: exit code %d, %s%s", code, out, stderr)
	}
}

// S1-42, S1-45: what is wrong with a body or its files is said before anything starts.
func TestMistakesInABodyFromOutside(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	h := s.site()
	head := `{"name":"passthrough","proto":"tls","terminate_at":"agent","addr":"3000","domain":"api.customer1.` + domain + `"`
	for body, want := range map[string]string{
		head: "",
		head + `,"crt":"server-crt.pem","key":"server-key.pem",}`:                                  "",
		head + `,"crt":"client-crt.pem","key":"server-key.pem"}`:                                   "key",
		head + `,"crt":"server-crt.pem"}`:                                                          "must supply both 'crt' and 'key' or neither",
		head + `,"crt":"absent.pem","key":"server-key.pem"}`:                                       "absent.pem: no such file or directory",
		head + `,"crt":"server-crt.pem","key":"server-key.pem","mutual_tls_cas":"ca-key.pem"}`:     "private key",
		head + `,"crt":"server-crt.pem","key":"server-key.pem","mutual_tls_cas":"server-csr.pem"}`: "server-csr.pem",
	} {
		var failure apiFailure
		if status := h.post(body, &failure); status != 400 || !strings.Contains(failure.Details.Err, want) || failure.Details.Err == "" {
			t.Errorf("POST %s: %d %+v, want 400 with %q", body, status, failure, want)
		}
	}
	var list apiTunnels
	if api(t, h.client, "GET", h.public+"/api/tunnels", "", h.allowed(), &list); len(list.Tunnels) != 1 {
		t.Errorf("there are %+v", list.Tunnels)
	}
}

// S1-30: what the API started is gone after a restart, unless it was asked to stay.
func TestTunnelsFromOutsideThatStay(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	h := s.site()
	port := service(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "here") })
	for name, more := range map[string]string{"passing": "", "staying": `,"persist":true`} {
		if status := h.post(fmt.Sprintf(`{"name":"%s","proto":"http","addr":"%s","domain":"%s.customer1.%s"%s}`, name, port, name, domain, more), nil); status != 201 {
			t.Fatalf("%s: %d", name, status)
		}
		awaitBody(t, h.client, "https://"+name+".customer1."+domain, "here", 5*time.Second)
	}
	h.agent.signal(15)
	h.agent.wait(35 * time.Second)
	h.start()
	awaitBody(t, h.client, "https://staying.customer1."+domain, "here", 5*time.Second)
	if response, _ := fetch(t, h.client, "https://passing.customer1."+domain); response.StatusCode != http.StatusNotFound {
		t.Errorf("a tunnel that was not to stay answers %s", response.Status)
	}
	h.remove("staying")
}
