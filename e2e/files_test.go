package e2e_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"
)

// These tests start from the configuration files that people have, where they have
// them.

// tunnelsOfOld is a file of the agent's second generation, which has no version: what
// guides and support answers tell people to write.
const tunnelsOfOld = `authtoken: AUTHTOKEN
tunnels:
  dips:
    proto: http
    addr: PORT
    bind_tls: true
    subdomain: Dips
  everyone:
    addr: PORT
    proto: http
    host_header: rewrite
  crm:
    proto: http
    addr: localhost:PORT
    subdomain: crm
    host_header: crm.internal
  remote:
    proto: http
    bind_tls: true
    addr: myservice.postern.invalid
    host_header: rewrite
    subdomain: remote
  secured:
    proto: http
    addr: PORT
    auth: "demo:secret"
    bind_tls: true
    subdomain: secured
  passthrough:
    proto: tls
    addr: localhost:TLS
    subdomain: passthrough
  secureService:
    proto: tls
    region: us
    hostname: secureService.postern.test
`

// oldFile fills tunnelsOfOld in and stores it where the agent of that time looked.
func (p *person) oldFile(s *server, port, tlsPort string) {
	p.t.Helper()
	p.write(".ngrok2/ngrok.yml", strings.NewReplacer("AUTHTOKEN", s.authtoken, "PORT", port, "TLS", tlsPort).Replace(tunnelsOfOld))
}

// S0-36, S0-37, S0-38, S0-40…S0-43: an installation of the second generation goes on
// where it is.
func TestFileOfTheSecondGeneration(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	port := service(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.Header.Get("X-Forwarded-Proto")+" "+r.Host)
	})
	p := s.person()
	p.oldFile(s, port, "1")

	first := p.types("ngrok start dips")
	only := first.lines(1)
	if withoutPort(only[0]) != "https://dips."+domain+"/" || len(only) != 1 {
		t.Errorf("bind_tls: true put %q online", only)
	}
	awaitBody(t, s.visitor(), "https://dips."+domain, "https dips."+domain, 5*time.Second)
	// The file names an address for the local API, so there is one agent at a time.
	first.signal(syscall.SIGTERM)
	first.wait(10 * time.Second)

	several := p.types("ngrok start everyone crm -log=stdout")
	urls, err := several.Online(4)
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range urls {
		want := "localhost:" + port
		if strings.Contains(url, "://crm.") {
			want = "crm.internal"
		}
		scheme, _, _ := strings.Cut(url, "://")
		awaitBody(t, s.visitor(), url, scheme+" "+want, 5*time.Second)
	}
	if !strings.Contains(several.output(), "addr=http://localhost:"+port+" ") {
		t.Errorf("addr: %s is not shown as http://localhost:%s", port, port)
	}
}

// S0-40, S0-41: a service on another machine, without a port, is its port 80. Nobody
// answers to this name: visitors are told so and not where it was looked for.
func TestServiceElsewhere(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := s.person()
	p.oldFile(s, "1", "1")
	agent := p.types("ngrok start remote -log=stdout")
	if _, err := agent.Online(1); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(agent.output(), "addr=http://myservice.postern.invalid:80 ") {
		t.Error("the log does not tell the port that was meant")
	}
	response, body := fetch(t, s.visitor(), "https://remote."+domain)
	if response.StatusCode != http.StatusBadGateway || !strings.Contains(body, "ERR_NGROK_8012") || strings.Contains(body, "myservice") {
		t.Errorf("visitors get %s %s", response.Status, tail(body, 300))
	}
}

// S0-39: the password of the file is asked for, and passes the service by. It is shorter
// than passwords are today, which the agent warns of.
func TestPasswordOfAnOldFile(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	p := s.person()
	p.oldFile(s, service(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "service ", r.Header["Authorization"]) }), "1")
	agent := p.types("ngrok start secured -log=stdout")
	if _, err := agent.Online(1); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(agent.output(), "fewer than 8 characters") || strings.Contains(agent.output(), "demo:secret") {
		t.Error("the log does not warn of the password, or shows it")
	}
	s.asksFor(t, "https://secured."+domain, "demo", "secret")
}

// S2-5: the same from a command line of then, with the flag behind the address.
func TestPasswordOfACommandLine(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	for _, flag := range []string{"-auth=demo:secret-word", "--basic-auth=demo:secret-word"} {
		p := s.person().loggedIn(s)
		port := service(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "service ", r.Header["Authorization"]) })
		agent := p.types("ngrok http " + port + " \"" + flag + "\" -log=stdout")
		urls, err := agent.Online(1)
		if err != nil {
			t.Fatal(err)
		}
		s.asksFor(t, urls[0], "demo", "secret-word")
		agent.signal(syscall.SIGTERM)
		agent.wait(10 * time.Second)
	}
}

// asksFor visits without a password, with another and with the right one.
func (s *server) asksFor(t *testing.T, url, user, password string) {
	t.Helper()
	for given, want := range map[string]string{"": "401 ", "wrong": "401 ", password: "200 service []"} {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if given != "" {
			request.SetBasicAuth(user, given)
		}
		response, err := s.visitor().Do(request)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if got := fmt.Sprint(response.StatusCode, " ", string(body)); !strings.HasPrefix(got, want) {
			t.Errorf("%s with the password %q: %s", url, given, tail(got, 300))
		}
	}
}

// S0-42, S0-46, S0-50: a tls tunnel to this machine, and one that says nowhere to.
func TestTLSTunnelsOfAFile(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	certificate, pool := selfSigned(t, "passthrough."+domain)
	address := tlsEcho(t, certificate)
	_, port, _ := net.SplitHostPort(address)
	p := s.person()
	p.oldFile(s, "1", port)
	agent := p.types("ngrok start passthrough")
	if url := agent.lines(1)[0]; withoutPort(url) != "tls://passthrough."+domain+"/" {
		t.Errorf("online as %q", url)
	}
	echoOverTLS(t, s, "passthrough."+domain, pool)

	code, stdout, stderr := p.gets("ngrok start secureService")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "Tunnel 'secureService' must specify 'addr' to tunnel to") {
		t.Errorf("without addr: exit code %d, standard output %q, standard error\n%s", code, stdout, stderr)
	}
}

// tlsEcho is a TLS service that sends back what it gets.
func tlsEcho(t *testing.T, certificate tls.Certificate) (address string) {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go echoAll(listener)
	return listener.Addr().String()
}

// S1-32, S1-33, S1-35…S1-39: a vendor's file beside the customer's own, which stays as
// it is; the agent that serves the customer's tunnels serves the vendor's too.
func TestFilesOfCustomerAndVendor(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	port := service(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "seen as "+r.Host) })
	p := newPerson(t)
	p.environment = append(p.environment, "POSTERN_CONNECT_CAS="+s.caFile)
	customers := "version: \"2\"\nauthtoken: never-asked\nconsole_ui: false\ntunnels:\n  intranet:\n    proto: http\n    domain: intranet.customer1." + domain + "\n    addr: " + port + "\n"
	p.write(".config/ngrok/ngrok.yml", customers)
	p.write("vendor/ngrok.yml", "version: \"2\"\nauthtoken: "+s.authtoken+"\nserver_addr: "+s.connectURL()+
		"\ntunnels:\n  agent-api:\n    proto: http\n    domain: agent.customer1."+domain+"\n    addr: "+port+"\n    inspect: false\n")

	alone := p.types("ngrok start agent-api --config vendor/ngrok.yml --log=stdout")
	if urls, err := alone.Online(1); err != nil || withoutPort(urls[0]) != "https://agent.customer1."+domain+"/" {
		t.Fatalf("online: %v %v", urls, err)
	}
	awaitBody(t, s.visitor(), "https://agent.customer1."+domain, "seen as agent.customer1."+domain, 5*time.Second)
	alone.signal(15)
	alone.wait(35 * time.Second)

	both := p.types("ngrok start agent-api intranet --config vendor/ngrok.yml --log=stdout")
	if _, err := both.Online(2); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"agent", "intranet"} {
		awaitBody(t, s.visitor(), "https://"+name+".customer1."+domain, "seen as "+name+".customer1."+domain, 5*time.Second)
	}
	if p.read(".config/ngrok/ngrok.yml") != customers {
		t.Error("the customer's file was changed")
	}
}

// S1-35, S1-38: what people paste from the guide, and what they are told.
func TestWhatPeoplePaste(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	for name, paste := range map[string]struct {
		text  string
		wants []string
	}{
		"flat.yml":        {"version: \"2\"\nauthtoken: abc\nserver_addr: h:443\ntunnels:\nagent-api:\n  proto: http\n  addr: 4040\n", []string{"flat.yml:5", "agent-api", "tunnels"}},
		"placeholder.yml": {"version: \"2\"\nauthtoken: { YOUR_AUTHTOKEN }\nserver_addr: h:443\ntunnels:\n  agent-api: {proto: http, addr: 4040}\n", []string{"placeholder.yml:2", "authtoken"}},
		"twice.yml":       {"version: \"2\"\nauthtoken: abc\nauthtoken: def\ntunnels:\n  agent-api: {proto: http, addr: 4040}\n", []string{"twice.yml:3", "authtoken"}},
	} {
		p.write(name, paste.text)
		code, stdout, stderr := p.gets("ngrok start agent-api --config " + name)
		if code != 1 || stdout != "" {
			t.Errorf("%s: exit code %d, standard output %q", name, code, stdout)
		}
		for _, want := range append(paste.wants, "ERROR:  ERR_") {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: standard error lacks %q:\n%s", name, want, stderr)
			}
		}
	}
}
