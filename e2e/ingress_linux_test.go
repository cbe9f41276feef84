package e2e_test

import (
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	_ "modernc.org/sqlite"

	"github.com/postern-dev/postern/agent/login"
	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/internal/testkit/path"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/resource"
)

const (
	ingress        = "connect.acme.org"
	foreignIngress = "connect.other.org"
	firewallAddr   = "10.3.0.1"
)

// firewall stands between a customer's site and the world: the site reaches one port of one
// address, behind which the server is, and asks one resolver. It keeps every name that was
// looked up, and every name that a TLS connection was opened for.
type firewall struct {
	t      *testing.T
	to     string
	mu     sync.Mutex
	asked  []string
	opened []string
	under  map[net.Conn]bool
}

// newFirewall closes the site off and begins to serve it.
func newFirewall(t *testing.T, site *place, port int) *firewall {
	t.Helper()
	f := &firewall{t: t, to: fmt.Sprintf("127.0.0.1:%d", port), under: make(map[net.Conn]bool)}
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", firewallAddr, port))
	if err != nil {
		t.Fatal(err)
	}
	names, err := net.ListenPacket("udp", firewallAddr+":53")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() { f.accept(listener, &serving) })
	serving.Go(func() { f.resolve(names) })
	t.Cleanup(func() {
		listener.Close()
		names.Close()
		f.cut()
		serving.Wait()
	})
	site.run("mount", "--bind", site.file("resolv.conf", "nameserver "+firewallAddr+"\noptions attempts:1\n"), "/etc/resolv.conf")
	site.names()
	site.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6")
	site.run("iptables", "-A", "OUTPUT", "-o", "lo", "-j", "ACCEPT")
	site.run("iptables", "-A", "OUTPUT", "-d", firewallAddr, "-p", "tcp", "--dport", fmt.Sprint(port), "-j", "ACCEPT")
	site.run("iptables", "-A", "OUTPUT", "-d", firewallAddr, "-p", "udp", "--dport", "53", "-j", "ACCEPT")
	site.run("iptables", "-A", "OUTPUT", "-j", "DROP")
	return f
}

func (f *firewall) accept(listener net.Listener, serving *sync.WaitGroup) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		serving.Go(func() { f.pass(conn) })
	}
}

// pass lets a connection through, whatever name it is for, and notes that.
func (f *firewall) pass(conn net.Conn) {
	peeked := relay.NewPeeked(conn, 64<<10)
	hello, err := relay.SniffHello(peeked)
	name := hello.ServerName.String()
	if err != nil {
		name = "not TLS: " + err.Error()
	}
	out, err := net.Dial("tcp", f.to)
	if err != nil {
		conn.Close()
		return
	}
	f.mu.Lock()
	f.opened = append(f.opened, name)
	f.under[conn], f.under[out] = true, true
	f.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { io.Copy(out, peeked); out.Close() }) //nolint:errcheck // its end is all that matters
	both.Go(func() { io.Copy(conn, out); conn.Close() })  //nolint:errcheck
	both.Wait()
	f.mu.Lock()
	delete(f.under, conn)
	delete(f.under, out)
	f.mu.Unlock()
}

// cut ends every connection.
func (f *firewall) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.under {
		conn.Close()
	}
}

// resolve answers for every name, so that nothing is kept from being dialled by not having
// an address.
func (f *firewall) resolve(conn net.PacketConn) {
	buffer := make([]byte, 4096)
	for {
		n, from, err := conn.ReadFrom(buffer)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if m.Unpack(buffer[:n]) != nil || len(m.Questions) != 1 {
			continue
		}
		q := m.Questions[0]
		f.mu.Lock()
		f.asked = append(f.asked, strings.TrimSuffix(q.Name.String(), "."))
		f.mu.Unlock()
		answer := dnsmessage.Message{Header: dnsmessage.Header{ID: m.ID, Response: true, RecursionAvailable: true}, Questions: m.Questions}
		if q.Type == dnsmessage.TypeA {
			answer.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body: &dnsmessage.AResource{A: [4]byte(net.ParseIP(firewallAddr).To4())}}}
		}
		if packed, err := answer.Pack(); err == nil {
			_, _ = conn.WriteTo(packed, from)
		}
	}
}

// saw returns what there was since the last call.
func (f *firewall) saw() (asked, opened []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked, opened = f.asked, f.opened
	f.asked, f.opened = nil, nil
	return asked, opened
}

// nothingBut fails the test where anything else than names of the ingress was looked up or
// dialled, or the firewall kept anything from leaving.
func (f *firewall) nothingBut(t *testing.T, site *place, domain string) (connections int) {
	t.Helper()
	asked, opened := f.saw()
	for _, name := range append(slices.Clone(asked), opened...) {
		if name != domain && !strings.HasSuffix(name, "."+domain) {
			t.Errorf("%q was looked up or dialled", name)
		}
	}
	if len(asked) == 0 || len(opened) == 0 {
		t.Errorf("nothing went through the firewall: %d questions, %d connections", len(asked), len(opened))
	}
	rules := strings.Split(strings.TrimSpace(site.run("iptables", "-nvxL", "OUTPUT")), "\n")
	if last := strings.Fields(rules[len(rules)-1]); last[0] != "0" || last[2] != "DROP" {
		t.Errorf("the firewall dropped something: %s", strings.Join(rules, "\n"))
	}
	return len(opened)
}

// withIngresses is a server whose account has an agent ingress, as has another account.
func withIngresses(t *testing.T) *server {
	t.Helper()
	s := startServer(t)
	for _, domain := range []string{ingress, foreignIngress} {
		made, err := client.For(s.api(), resource.AgentIngresses()).Create(t.Context(), resource.AgentIngressCreate{Domain: domain})
		if err != nil || len(made.RegionDomains) != 1 || made.RegionDomains[0] != "tunnel.local."+domain {
			t.Fatal(made, err)
		}
	}
	var other struct{ ID string }
	if err := json.Unmarshal([]byte(run(t, nil, posternBinary, "server", "accounts", "create", "Other", "--email", "o@other.org", "--config", s.Config, "--format", "json")), &other); err != nil {
		t.Fatal(err)
	}
	s.process.signal(syscall.SIGTERM)
	s.process.wait(20 * time.Second)
	// Accounts have no way to another's ingress, which is the point: the second one's is put
	// where it is to be while the server is down.
	files, err := filepath.Glob(filepath.Join(filepath.Dir(s.Config), "data", "*.db"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	db, err := sql.Open("sqlite", files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec("UPDATE agent_ingresses SET account_id = ? WHERE domain = ?", other.ID, foreignIngress); err != nil {
		t.Fatal(err)
	}
	s.start()
	return s
}

// customCA is where the server keeps who vouches for names outside its own domain.
func (s *server) customCA() string { return filepath.Join(filepath.Dir(s.caFile), "custom-ca.pem") }

// S1-9, S1-33, S1-35: through a firewall that lets out nothing but connections to the
// ingress, agents of every kind serve, come back after a cut, a restart and an upgrade, and
// look up and dial no other name.
func TestAgentsBehindAFirewallThatKnowsTheIngressAlone(t *testing.T) {
	if !path.Isolate(t) {
		return
	}
	s := withIngresses(t)
	site := newPlace(t, "site", firewallAddr+"/24", "10.3.0.2/24")
	f := newFirewall(t, site, s.https)
	ca, err := os.ReadFile(s.customCA())
	if err != nil {
		t.Fatal(err)
	}
	roots := site.file("roots.pem", string(ca))
	served := site.directory("served")
	for name, text := range map[string]string{"index.html": "from the site", "big": strings.Repeat("0123456789abcdef", 1<<20)} {
		if err := os.WriteFile(filepath.Join(served, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, start := range map[string]func(t *testing.T, url string) *process{
		"Generation3": func(t *testing.T, url string) *process {
			return s.startIngressAgent(t, site, fmt.Sprintf("version: 3\nagent:\n  authtoken: %s\n  connect_url: %s:%d\n  connect_cas: %s\nendpoints:\n  - name: web\n    url: %s\n    upstream: {url: %q}\n",
				s.authtoken, ingress, s.https, roots, url, "file://"+served))
		},
		"Generation2": func(t *testing.T, url string) *process {
			return s.startIngressAgent(t, site, fmt.Sprintf("version: \"2\"\nauthtoken: %s\nserver_addr: tunnel.local.%s:%d\nroot_cas: %s\ntunnels:\n  web:\n    proto: http\n    schemes: [https]\n    hostname: %s\n    addr: %q\n",
				s.authtoken, ingress, s.https, roots, strings.TrimPrefix(url, "https://"), "file://"+served))
		},
		"WebSocket": func(t *testing.T, url string) *process {
			return startProcess(t, "agent", []string{"POSTERN_CONNECT_CAS=" + roots, "SSL_CERT_FILE=" + roots},
				site.in(posternBinary, "http", "file://"+served, "--url", url, "--authtoken", s.authtoken, "--transport", "websocket",
					"--connect-url", fmt.Sprintf("%s:%d", ingress, s.https), "--log", "stdout", "--config", site.file("empty.yml", "version: 3\n"))...)
		},
		"SDK": func(t *testing.T, url string) *process {
			return sdkOrders{Server: fmt.Sprintf("tunnel.local.%s:%d", ingress, s.https), CA: roots, Token: s.authtoken, URL: url, Dir: served}.start(t, site)
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := fmt.Sprintf("https://%s.%s", strings.ToLower(name), domain)
			visited := fmt.Sprintf("%s:%d/", url, s.https)
			agent := start(t, url)
			visitor := s.visitor()
			awaitBody(t, visitor, visited, "from the site", 30*time.Second)
			for range 3 {
				if _, body := fetch(t, visitor, visited+"big"); len(body) != 16<<20 {
					t.Errorf("%d bytes of the download", len(body))
				}
			}
			f.cut()
			awaitBody(t, visitor, visited, "from the site", 60*time.Second)
			s.restart()
			awaitBody(t, visitor, visited, "from the site", 60*time.Second)
			if n := f.nothingBut(t, site, ingress); n < 3 {
				t.Errorf("%d connections after a cut and a restart", n)
			}
			kill(agent)
		})
	}
	t.Run("Upgrade", func(t *testing.T) { s.upgradesBehind(t, f, site, roots, served) })
	t.Run("Diagnose", func(t *testing.T) {
		f.saw()
		report := site.run(posternBinary, "diagnose", "--connect-url", fmt.Sprintf("%s:%d", ingress, s.https), "--connect-cas", roots, "--authtoken", s.authtoken, "--config", site.file("empty.yml", "version: 3\n"))
		if !strings.Contains(report, "The agent takes tls") || !strings.Contains(report, ingress) {
			t.Errorf("the report is\n%s", report)
		}
		f.nothingBut(t, site, ingress)
	})
	t.Run("Login", func(t *testing.T) {
		f.saw()
		config := filepath.Join(site.directory("login"), "postern.yml")
		said := site.run(posternBinary, "login", fmt.Sprintf("https://%s:%d", ingress, s.https), "--token", s.authtoken, "--ca-pin", fingerprintOf(t, ca), "--config", config)
		if !strings.Contains(said, "Logged in to "+ingress) {
			t.Errorf("login said %s", said)
		}
		f.nothingBut(t, site, ingress)
	})
	t.Run("Foreign", func(t *testing.T) { s.refusesForeignIngress(t, site, roots) })
}

// fingerprintOf names the certificate in PEM as people compare it.
func fingerprintOf(t *testing.T, text []byte) string {
	t.Helper()
	block, _ := pem.Decode(text)
	if block == nil {
		t.Fatalf("no PEM: %q", text)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return login.Fingerprint(certificate)
}

// startIngressAgent runs our agent in the site with a configuration file.
func (s *server) startIngressAgent(t *testing.T, site *place, text string) *process {
	return startProcess(t, "agent", nil, site.in(posternBinary, "start", "--all", "--log", "stdout", "--config", site.file("agent.yml", text))...)
}

// upgradesBehind has a server taken over by another, which tells its agents to come over.
func (s *server) upgradesBehind(t *testing.T, f *firewall, site *place, roots, served string) {
	url := "https://upgraded." + domain
	visited := fmt.Sprintf("%s:%d/", url, s.https)
	s.startIngressAgent(t, site, fmt.Sprintf("version: 3\nagent:\n  authtoken: %s\n  connect_url: %s:%d\n  connect_cas: %s\nendpoints:\n  - name: web\n    url: %s\n    upstream: {url: %q}\n",
		s.authtoken, ingress, s.https, roots, url, "file://"+served))
	awaitBody(t, s.visitor(), visited, "from the site", 30*time.Second)
	f.saw()
	successor := startProcess(s.t, "upgraded", nil, posternBinary, "server", "--config", s.Config, "--upgrade")
	s.process.waitFor("another process of the server has taken over; connect again", 60*time.Second)
	successor.waitFor("endpoint online", 30*time.Second)
	awaitBody(t, s.visitor(), visited, "from the site", 30*time.Second)
	f.nothingBut(t, site, ingress)
}

// refusesForeignIngress has every kind of agent be refused that comes by the ingress of
// another account, also where only a name inside of a WebSocket is that.
func (s *server) refusesForeignIngress(t *testing.T, site *place, roots string) {
	for _, transport := range []string{"tls", "websocket"} {
		agent := startProcess(t, "foreign", []string{"SSL_CERT_FILE=" + roots}, site.in(posternBinary, "http", "80", "--authtoken", s.authtoken, "--transport", transport, "--connect-cas", roots,
			"--connect-url", fmt.Sprintf("%s:%d", foreignIngress, s.https), "--log", "stdout", "--config", site.file("empty.yml", "version: 3\n"))...)
		if code := agent.wait(30 * time.Second); code == 0 || !strings.Contains(agent.output(), "ERR_NGROK_122") {
			t.Errorf("%s: exit status %d, %s", transport, code, agent.output())
		}
	}
	sdkOrders{Server: fmt.Sprintf("tunnel.local.%s:%d", foreignIngress, s.https), CA: roots, Token: s.authtoken, URL: "https://foreign." + domain, Dir: "/"}.
		start(t, site).waitFor("ERR_NGROK_122", 30*time.Second)
}

// start runs the SDK in a place.
func (o sdkOrders) start(t *testing.T, site *place) *process {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return startProcess(t, "sdk", []string{sdkVariable + "=" + string(raw)}, site.in(os.Args[0])...)
}
