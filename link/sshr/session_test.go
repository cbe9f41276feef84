package sshr_test

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
)

// A forward becomes an endpoint, a visitor a channel that names the forward as the client
// asked for it, and the session shows the URL.
func TestForwardAndVisitor(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	a := c.admitted(g)
	if a.Session.Transport() != "ssh" || a.Hello.Agent.ClientType != "ssh" || a.Hello.Agent.Version != "test_1" {
		t.Errorf("the session is %q of %+v", a.Session.Transport(), a.Hello.Agent)
	}
	screen := c.run("")
	screen.await("Account     tests")
	if _, ok := c.forward("Shop", 80); !ok {
		t.Fatal("the forward was refused")
	}
	screen.await("Forwarding  https://shop.test  (-R Shop:80)")
	stream, err := a.Session.Open(t.Context(), link.Header{Endpoint: a.Bound()[0].ID, ClientAddr: netip.MustParseAddrPort("192.0.2.1:99")}, []byte("GET"))
	if err != nil {
		t.Fatal(err)
	}
	v, channel, requests := c.next()
	go ssh.DiscardRequests(requests)
	if want := (visitor{"Shop", 80, "192.0.2.1", 99}); v != want {
		t.Errorf("the client is told of %+v, want %+v", v, want)
	}
	got := make([]byte, 3)
	if _, err := io.ReadFull(channel, got); string(got) != "GET" || err != nil {
		t.Errorf("the first bytes are %q, %v", got, err)
	}
	if a.Session.Streams() != 1 {
		t.Errorf("%d streams are counted", a.Session.Streams())
	}
	if err := stream.Close(); err != nil || a.Session.Streams() != 0 {
		t.Errorf("after Close (%v) %d streams are counted", err, a.Session.Streams())
	}
	if took, err := a.Session.Ping(t.Context()); err != nil || took <= 0 {
		t.Errorf("Ping gave %v, %v", took, err)
	}
}

// Without a session channel (-N) forwards are bound after a moment, with no options.
func TestForwardWithoutASession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		c := connect(t, g)
		began := time.Now()
		port, ok := c.forward("localhost", 0)
		if !ok || port < 20000 {
			t.Errorf("port 0 became %d, %v", port, ok)
		}
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("it took %v", waited)
		}
		c.close()
	})
}

// The command of the session holds for the forwards that were asked for before it.
func TestCommandComesAfterTheForward(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	a := c.admitted(g)
	answered := make(chan uint32, 1)
	go func() {
		_, answer, err := c.SendRequest("tcpip-forward", true, ssh.Marshal(forwardRequest{"", 0}))
		var got struct{ Port uint32 }
		if err == nil {
			err = ssh.Unmarshal(answer, &got)
		}
		if err != nil {
			t.Errorf("tcpip-forward: %v", err)
		}
		answered <- got.Port
	}()
	screen := c.run("http --subdomain shop --name 'a shop' --metadata=x")
	screen.await("https://shop.test")
	if port := <-answered; port != 443 {
		t.Errorf("the client is told of port %d, want 443", port)
	}
	if asked := a.Requests()[0]; asked.Name != "a shop" || asked.Metadata != "x" || asked.Subdomain != "shop" || asked.URL.Scheme != postern.HTTPS {
		t.Errorf("asked for was %+v", asked)
	}
	if port, _ := c.forward("", 0); port == 443 {
		t.Error("two forwards have one port, and the client could not tell their visitors apart")
	}
}

// cancel-tcpip-forward takes offline what it names and nothing else.
func TestCancel(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	a := c.admitted(g)
	c.run("")
	port, _ := c.forward("", 0)
	c.forward("shop", 80)
	for _, step := range []struct {
		forward forwardRequest
		ok      bool
		online  int
	}{{forwardRequest{"", 1}, false, 2}, {forwardRequest{"", port}, true, 1}, {forwardRequest{"", port}, false, 1}, {forwardRequest{"shop", 80}, true, 0}} {
		ok, _, err := c.SendRequest("cancel-tcpip-forward", true, ssh.Marshal(step.forward))
		if err != nil || ok != step.ok || len(a.Bound()) != step.online {
			t.Errorf("cancel %v: %v, %v; %d are online, want %d", step.forward, ok, err, len(a.Bound()), step.online)
		}
	}
	if ok, _, err := c.SendRequest("cancel-tcpip-forward", true, []byte{1, 2}); ok || err != nil {
		t.Errorf("a payload that is none: %v, %v", ok, err)
	}
}

// What cannot be bound is refused, shown with its code and the next step, and where
// nothing else is online the session ends with a status.
func TestRefusedForward(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	c.admitted(g)
	screen := c.run("")
	c.forward("good", 80)
	if _, ok := c.forward("good", 80); ok {
		t.Error("the same forward was granted twice")
	}
	screen.await("Refused     -R good:80")
	screen.await("ERR_NGROK_301")
	if _, ok := c.forward("10.1.2.3", 70000); ok {
		t.Error("port 70000 was granted")
	}
	screen.await("Refused     -R ")
	if ok, _, err := c.SendRequest("cancel-tcpip-forward", true, ssh.Marshal(forwardRequest{"good", 80})); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, ok := c.forward("no_tcp_name", 20001); ok {
		t.Error("a TCP endpoint was given a name")
	}
	var exit *ssh.ExitError
	if err := screen.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 1 {
		t.Errorf("the session ended with %v", err)
	}
}

// The end of an endpoint, a word to people, and the end of the session are shown.
func TestWordsOnTheSession(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	a := c.admitted(g)
	screen := c.run("")
	c.forward("shop", 80)
	if err := a.Session.StopEndpoint(t.Context(), a.Bound()[0].ID, postern.Errorf(postern.CodeNameNotAllowed, "not any \x1b[31m more")); err != nil {
		t.Fatal(err)
	}
	screen.await("Ended       https://shop.test")
	if line := screen.await("ERR_NGROK_"); strings.ContainsRune(line, 0x1b) {
		t.Errorf("%q moves the terminal", line)
	}
	a.Session.(link.Teller).Tell(postern.Errorf(postern.CodeLinkDraining, "soon"))
	screen.await("ERR_POSTERN_104  soon")
	a.Session.Close(postern.Errorf(postern.CodeCredentialRevoked, "the key is gone"))
	screen.await("ERR_NGROK_300  the key is gone")
	var exit *ssh.ExitError
	if err := screen.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 3 {
		t.Errorf("the session ended with %v", err)
	}
	<-a.Session.Done()
	<-a.Released()
	if !postern.HasCode(a.Why(), postern.CodeCredentialRevoked) {
		t.Errorf("released because of %v", a.Why())
	}
}

// Ctrl-C ends the session where there is a terminal; bytes mean nothing where there is
// none, and the end of the input never does.
func TestKeysEndTheSession(t *testing.T) {
	for _, terminal := range []bool{true, false} {
		g := newGate()
		c := connect(t, g)
		session, err := c.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		if terminal {
			if err := session.RequestPty("xterm", 24, 80, nil); err != nil {
				t.Fatal(err)
			}
		}
		in, err := session.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Shell(); err != nil {
			t.Fatal(err)
		}
		_, _ = in.Write([]byte{'x', 3})
		_ = in.Close()
		if terminal {
			if err := session.Wait(); err != nil {
				t.Errorf("Ctrl-C ended the session with %v", err)
			}
			continue
		}
		if _, ok := c.forward("", 0); !ok {
			t.Error("the session did not survive the end of its input")
		}
	}
}

// A client that is let in as somebody and still refused is told why.
func TestRefusedAdmission(t *testing.T) {
	g := newGate()
	g.refuse = postern.Errorf(postern.CodeSessionLimit, "the account has 1 agent connected")
	c := connect(t, g)
	if _, ok := c.forward("", 0); ok {
		t.Error("a client that was not admitted has a forward")
	}
	screen := c.run("")
	screen.await("ERR_NGROK_108  the account has 1 agent connected")
	var exit *ssh.ExitError
	if err := screen.Wait(); !errors.As(err, &exit) || exit.ExitStatus() != 1 {
		t.Errorf("the session ended with %v", err)
	}
}

// What an SSH client cannot do is said at once.
func TestCommandsAreUnsupported(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	a := c.admitted(g)
	for action, code := range map[link.Action]postern.Code{
		link.Restart: postern.CodeRestartUnsupported, link.Stop: postern.CodeStopUnsupported,
		link.Update: postern.CodeUpdateUnsupported, "dance": postern.CodeCommandFailed,
	} {
		if err := a.Session.Command(t.Context(), link.Command{Action: action}); !postern.HasCode(err, code) {
			t.Errorf("%s gave %v", action, err)
		}
	}
}

// B5-5: a client that vanished without a word is noticed after 20 s, and one that answers
// is kept, however little it says.
func TestSilentClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		c := connect(t, g)
		a := c.admitted(g)
		time.Sleep(5 * time.Minute)
		select {
		case <-a.Session.Done():
			t.Fatal("a client that answers was given up")
		default:
		}
		c.conn.(*testkit.FaultConn).Stall(testkit.Reads)
		began := time.Now()
		<-a.Session.Done()
		if took := time.Since(began); took > 20*time.Second+time.Millisecond || !postern.HasCode(a.Session.Cause(), postern.CodeLinkLost) {
			t.Errorf("given up after %v: %v", took, a.Session.Cause())
		}
		c.conn.(*testkit.FaultConn).Cut()
		c.close()
	})
}

// B5-13: a connection that is cut never looks like the end of what a service sends, not
// even where the client ends it in order.
func TestCutTransferIsNoEnd(t *testing.T) {
	for name, cut := range map[string]func(*client){
		"disconnected": func(c *client) { _ = c.Client.Close() },
		"torn":         func(c *client) { _ = c.conn.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate()
			c := connect(t, g)
			a := c.admitted(g)
			c.run("")
			c.forward("shop", 80)
			stream, err := a.Session.Open(t.Context(), link.Header{Endpoint: a.Bound()[0].ID}, nil)
			if err != nil {
				t.Fatal(err)
			}
			_, channel, requests := c.next()
			go ssh.DiscardRequests(requests)
			if _, err := channel.Write([]byte("half")); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(stream, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			go cut(c)
			if _, err := stream.Read(make([]byte, 1)); err == nil || err == io.EOF {
				t.Errorf("Read gave %v", err)
			}
		})
	}
}

// A service that cannot be reached, and a client that refuses, are told apart.
func TestRefusedVisitors(t *testing.T) {
	g := newGate()
	c := connect(t, g)
	a := c.admitted(g)
	c.run("")
	c.forward("shop", 80)
	for reason, code := range map[ssh.RejectionReason]postern.Code{
		ssh.ConnectionFailed: postern.CodeUpstreamUnreachable, ssh.Prohibited: postern.CodeStreamRefused,
	} {
		stream, err := a.Session.Open(t.Context(), link.Header{Endpoint: a.Bound()[0].ID}, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		_ = (<-c.incoming).Reject(reason, "10.0.0.7 refuses")
		_, err = stream.Read(make([]byte, 1))
		if !postern.HasCode(err, code) || strings.Contains(err.Error(), "10.0.0.7") {
			t.Errorf("reason %v gave %v", reason, err)
		}
	}
	if _, err := a.Session.Open(t.Context(), link.Header{Endpoint: "nobody's"}, nil); !postern.HasCode(err, postern.CodeStreamRefused) {
		t.Errorf("an endpoint that there is not gave %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a.Session.Drain()
	if _, err := a.Session.Open(ctx, link.Header{Endpoint: a.Bound()[0].ID}, nil); !postern.HasCode(err, postern.CodeLinkDraining) {
		t.Errorf("Open after Drain gave %v", err)
	}
}
