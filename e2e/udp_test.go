package e2e_test

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postern-dev/postern/client"
	"github.com/postern-dev/postern/resource"
)

// udpEcho answers every datagram with itself, at an address or at a free port.
func udpEcho(t *testing.T, address string) *net.UDPConn {
	t.Helper()
	at, err := net.ResolveUDPAddr("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 1<<16)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buffer)
			if err != nil {
				return
			}
			_, _ = conn.WriteToUDPAddrPort(buffer[:n], from)
		}
	}()
	return conn
}

// udpVisitor is a socket that hears the endpoint alone.
func udpVisitor(t *testing.T, public string) *net.UDPConn {
	t.Helper()
	u, err := url.Parse(public)
	if err != nil || u.Scheme != "udp" || u.Hostname() != "udp."+domain {
		t.Fatalf("the endpoint is %s", public)
	}
	conn, err := net.Dial("udp", "127.0.0.1:"+u.Port())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn.(*net.UDPConn)
}

// answered sends a datagram and tells whether it came back. What comes late of earlier
// ones is passed over.
func answered(conn *net.UDPConn, sent []byte, within time.Duration) error {
	_ = conn.SetDeadline(time.Now().Add(within))
	if _, err := conn.Write(sent); err != nil {
		return err
	}
	buffer := make([]byte, 1<<16)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return err
		}
		if bytes.Equal(buffer[:n], sent) {
			return nil
		}
	}
}

// eventuallyAnswered sends until something comes back.
func eventuallyAnswered(t *testing.T, conn *net.UDPConn, text string, within time.Duration) {
	t.Helper()
	eventually(t, within, func() error { return answered(conn, []byte(text), 200*time.Millisecond) })
}

// DNS over UDP with a real resolver behind the agent and a real client in front.
func TestDNSBehindAnAgent(t *testing.T) {
	log := t.TempDir() + "/access.log"
	s := startServer(t, "access_log: "+log)
	port := freePorts(t, 1)[0]
	startProcess(t, "dnsmasq", nil, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-hosts", "--no-resolv", "--port", fmt.Sprint(port),
		"--listen-address=127.0.0.1", "--bind-interfaces", "--user=root", "--pid-file", "--address=/db.corp.test/10.9.8.7")
	agent, public := s.agent("udp", fmt.Sprint(port))
	u, err := url.Parse(public)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, 20*time.Second, func() error {
		output, err := exec.Command("dig", "+short", "+tries=1", "+time=2", "+notcp", "-p", u.Port(), "@127.0.0.1", "db.corp.test", "A").CombinedOutput()
		if err != nil || strings.TrimSpace(string(output)) != "10.9.8.7" {
			return fmt.Errorf("dig: %v: %s", err, output)
		}
		return nil
	})
	if n := s.metric(`postern_edge_datagrams_total{direction="out"}`); n < 1 {
		t.Errorf("%v datagrams left", n)
	}
	agent.signal(15)
	agent.wait(35 * time.Second)
	eventually(t, 10*time.Second, func() error {
		text, err := os.ReadFile(log)
		if err == nil && !strings.Contains(string(text), `"kind":"udp"`) {
			err = fmt.Errorf("the access log has no flow: %s", text)
		}
		return err
	})
}

// Datagrams keep their boundaries, from the empty one to the largest that there is.
func TestDatagramBoundaries(t *testing.T) {
	s := startServer(t)
	_, public := s.agent("udp", udpEcho(t, "127.0.0.1:0").LocalAddr().String())
	visitor := udpVisitor(t, public)
	for _, size := range []int{0, 1, 511, 512, 1472, 16 << 10, 65507} {
		sent := bytes.Repeat([]byte{byte(size), 7}, size/2+1)[:size]
		if err := answered(visitor, sent, 10*time.Second); err != nil {
			t.Errorf("a datagram of %d bytes: %v", size, err)
		}
	}
}

// Each of 500 sources gets what is its own, and nothing is lost on the way.
func TestFiveHundredSources(t *testing.T) {
	s := startServer(t)
	_, public := s.agent("udp", "udp://"+udpEcho(t, "127.0.0.1:0").LocalAddr().String())
	const sources, rounds, abreast = 500, 4, 50
	visitors := make([]*net.UDPConn, sources)
	for i := range visitors {
		visitors[i] = udpVisitor(t, public)
	}
	for round := range rounds {
		for first := 0; first < sources; first += abreast { // the service's own socket holds some hundred
			var all sync.WaitGroup
			for i := first; i < first+abreast; i++ {
				all.Go(func() {
					if err := answered(visitors[i], fmt.Appendf(nil, "source %d, round %d", i, round), 20*time.Second); err != nil {
						t.Errorf("source %d, round %d: %v", i, round, err)
					}
				})
			}
			all.Wait()
		}
	}
	if n := s.metric("postern_edge_flows"); n != sources {
		t.Errorf("%v flows for %d sources", n, sources)
	}
}

// A service that is down costs nothing, and when it is back it hears its visitors again.
func TestServiceOfDatagramsReturns(t *testing.T) {
	s := startServer(t)
	service := udpEcho(t, "127.0.0.1:0")
	at := service.LocalAddr().String()
	agent, public := s.agent("udp", at)
	visitor := udpVisitor(t, public)
	eventuallyAnswered(t, visitor, "before", 10*time.Second)
	service.Close()
	for range 2000 {
		_, _ = visitor.Write([]byte("nobody hears this"))
	}
	_ = answered(visitor, []byte("nor this"), 300*time.Millisecond)
	idle := agent.cpu() + s.process.cpu()
	if err := answered(visitor, []byte("nor this"), time.Second); err == nil {
		t.Fatal("who answers?")
	}
	if spent := agent.cpu() + s.process.cpu() - idle; spent > 500*time.Millisecond {
		t.Errorf("agent and server were busy for %v in a second in which one datagram was sent", spent)
	}
	udpEcho(t, at)
	eventuallyAnswered(t, visitor, "after", 10*time.Second)
}

// An agent that crashed has the same port when it is back, and the same sources are
// answered; so it is after a restart of the server, and when another process takes over.
func TestUDPEndpointStays(t *testing.T) {
	s := startServer(t)
	at := udpEcho(t, "127.0.0.1:0").LocalAddr().String()
	agent, public := s.agent("udp", at)
	visitor := udpVisitor(t, public)
	eventuallyAnswered(t, visitor, "first", 10*time.Second)
	agent.signal(9)
	agent.wait(5 * time.Second)
	agent, again := s.agent("udp", at)
	if again != public {
		t.Fatalf("was %s, is %s", public, again)
	}
	eventuallyAnswered(t, visitor, "after the agent's crash", 10*time.Second)
	s.upgrade()
	eventuallyAnswered(t, visitor, "after an upgrade", 20*time.Second)
	s.restart()
	eventuallyAnswered(t, visitor, "after a crash of the server", 30*time.Second)
	agent.signal(15)
	agent.wait(35 * time.Second)
}

// A TCP endpoint and a UDP endpoint may have one number. Ports of others and outside of
// the range are refused by code.
func TestPortsOfBothKinds(t *testing.T) {
	s := startServer(t)
	port := s.TCPFirst + 3
	_, stream := s.agent("tcp", echoListener(t), "--url", fmt.Sprintf("tcp://tcp.%s:%d", domain, port), "--name", "stream")
	_, datagrams := s.agent("udp", udpEcho(t, "127.0.0.1:0").LocalAddr().String(), "--url", fmt.Sprintf("udp://udp.%s:%d", domain, port), "--name", "datagrams")
	if want := fmt.Sprintf("://udp.%s:%d", domain, port); !strings.HasSuffix(datagrams, want) || !strings.HasPrefix(stream, "tcp://") {
		t.Errorf("%s and %s", stream, datagrams)
	}
	eventuallyAnswered(t, udpVisitor(t, datagrams), "both", 10*time.Second)
	for _, wrong := range []string{"udp://udp." + domain + ":1", "udp://tcp." + domain + ":20000", fmt.Sprintf("udp://udp.%s:%d", domain, port)} {
		refused := s.agentProcess("udp", "5353", "--url", wrong, "--name", "other")
		if status := refused.wait(30 * time.Second); status == 0 || !strings.Contains(refused.output(), "ERR_") {
			t.Errorf("%s: status %d: %s", wrong, status, tail(refused.output(), 5))
		}
	}
}

// The agent's API starts a udp endpoint, both APIs show it, and it works.
func TestUDPEndpointInTheAPIs(t *testing.T) {
	s := startServer(t)
	p := s.person().loggedIn(s)
	configuration := p.write("ngrok.yml", "web_addr: 127.0.0.1:0\n")
	agent := startProcess(t, "agent", p.environment, posternBinary, "start", "--none", "--log=stdout", "--log-format=logfmt", "--config="+configuration)
	agent.waitFor(`msg="tunnel session started"`, 20*time.Second)
	base, local := apiAddress(t, agent), &http.Client{Timeout: 30 * time.Second}
	defer local.CloseIdleConnections()
	service := "udp://" + udpEcho(t, "127.0.0.1:0").LocalAddr().String()
	var made shownTunnel
	if status := api(t, local, "POST", base+"/api/tunnels", fmt.Sprintf(`{"name":"dns","proto":"udp","addr":%q}`, service), nil, &made); status != 201 || made.Proto != "udp" || made.Config.Addr != service {
		t.Fatalf("%d %+v", status, made)
	}
	eventuallyAnswered(t, udpVisitor(t, made.PublicURL), "hello", 10*time.Second)
	shown := 0
	for e, err := range client.For(s.api(), resource.Endpoints()).List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		shown++
		if e.Proto != "udp" || e.PublicURL != made.PublicURL || e.Host != "udp."+domain || e.Port == 0 || e.UpstreamURL != service {
			t.Errorf("the server's API shows %+v", e)
		}
	}
	if shown != 1 {
		t.Errorf("the server's API shows %d endpoints", shown)
	}
	if status := api(t, local, "DELETE", base+"/api/tunnels/dns", "", nil, nil); status != 204 {
		t.Errorf("DELETE: %d", status)
	}
}
