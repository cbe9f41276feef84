package chisel_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/chisel"
	"github.com/postern-dev/postern/link/linktest"
)

// rawSocket is a WebSocket as somebody else's library makes it.
func rawSocket(t testing.TB, address, path string, header http.Header) *websocket.Conn {
	t.Helper()
	socket, _, err := websocket.Dial(t.Context(), "ws://"+address+path, &websocket.DialOptions{
		HTTPHeader: header, Subprotocols: []string{chisel.Subprotocol}, CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	socket.SetReadLimit(64 << 10) // as chisel from 1.12 on
	t.Cleanup(func() { _ = socket.CloseNow() })
	return socket
}

// rawSSH is outsystemscc as far as SSH: no user and no password.
func rawSSH(t testing.TB, g *gateway) (ssh.Conn, <-chan ssh.NewChannel) {
	t.Helper()
	socket := rawSocket(t, g.address, "/sg_7?id=987654321&ports=8081,8082", http.Header{"Token": {token}, "User-Agent": {"CloudConnector/2.0.11"}})
	return secure(t, websocket.NetConn(context.Background(), socket, websocket.MessageBinary))
}

func secure(t testing.TB, conn net.Conn) (ssh.Conn, <-chan ssh.NewChannel) {
	t.Helper()
	secured, channels, requests, err := ssh.NewClientConn(conn, "", &ssh.ClientConfig{
		Auth: []ssh.AuthMethod{ssh.Password("")}, ClientVersion: "SSH-chisel-v3-client", HostKeyCallback: ssh.InsecureIgnoreHostKey()})
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	t.Cleanup(func() { _ = secured.Close() })
	return secured, channels
}

const oneRemote = `{"Version":"0.0.0-src","Remotes":[{"LocalHost":"0.0.0.0","LocalPort":"8081","LocalProto":"tcp","RemoteHost":"192.168.0.3","RemotePort":"8393","RemoteProto":"tcp","Socks":false,"Reverse":true,"Stdio":false}]}`

func TestBytesOfOutsystemscc(t *testing.T) {
	g := newGateway(t)
	secured, channels := rawSSH(t, g)
	if got := string(secured.ServerVersion()); got != "SSH-chisel-v3-server" {
		t.Errorf("the server's version is %q", got)
	}
	ok, answer, err := secured.SendRequest("config", true, []byte(oneRemote))
	if !ok || len(answer) > 0 || err != nil {
		t.Fatalf("config: %v, %q, %v", ok, answer, err)
	}
	admitted := g.next(1)
	hello := admitted.Hello
	if hello.Token != token || hello.Gateway.Gateway != "sg_7" || hello.Gateway.Instance != "987654321" ||
		hello.Agent.ClientType != "outsystemscc" || hello.Agent.Version != "2.0.11" {
		t.Errorf("the hello is %+v of %+v", hello, hello.Gateway)
	}
	asked := admitted.Requests()[0]
	if asked.URL.Scheme != postern.TCP || asked.URL.Port != 8081 || asked.ForwardsTo != "192.168.0.3:8393" || asked.Name != "R:8081:192.168.0.3:8393" {
		t.Errorf("bound was %+v", asked)
	}
	st := visit(t, admitted.Session, asked.Name, "192.0.2.1:1")
	defer st.Close()
	opened := <-channels
	if opened.ChannelType() != "chisel" || string(opened.ExtraData()) != "192.168.0.3:8393" {
		t.Errorf("the channel is %s for %q", opened.ChannelType(), opened.ExtraData())
	}
	_ = opened.Reject(ssh.ConnectionFailed, "no route")
	if _, err := st.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeUpstreamUnreachable) || !strings.Contains(err.Error(), "no route") {
		t.Errorf("Read = %v", err)
	}
	if ok, answer, err := secured.SendRequest("ping", true, nil); !ok || string(answer) != "pong" || err != nil {
		t.Errorf("ping: %v, %q, %v", ok, answer, err)
	}
}

func TestConfigsThatAreRefused(t *testing.T) {
	change := func(old, new string) string { return strings.Replace(oneRemote, old, new, 1) }
	for name, c := range map[string]struct{ payload, want string }{
		"no JSON":          {"hello", "invalid config"},
		"nothing":          {"", "invalid config"},
		"more than one":    {oneRemote + "{}", "something follows"},
		"no remote":        {`{"Version":"1","Remotes":[]}`, "no remote"},
		"1,000 remotes":    {`{"Remotes":[` + strings.Repeat("{},", 999) + "{}]}", "1000 remotes"},
		"a long one":       {strings.Replace(oneRemote, "0.0.0-src", strings.Repeat("x", 61<<10), 1), "at most"},
		"forward":          {change(`"Reverse":true`, `"Reverse":false`), "write R: in front"},
		"SOCKS":            {change(`"Socks":false`, `"Socks":true`), "SOCKS"},
		"stdio":            {change(`"Stdio":false`, `"Stdio":true`), "standard input"},
		"port 0":           {change(`"8081"`, `"0"`), "port"},
		"port 70000":       {change(`"8393"`, `"70000"`), "port"},
		"port -1":          {change(`"8393"`, `"-1"`), "port"},
		"no port":          {change(`"8081"`, `""`), "port"},
		"a port in words":  {change(`"8081"`, `8081`), "invalid config"},
		"no host":          {change(`"192.168.0.3"`, `""`), "names no host"},
		"control bytes":    {change(`192.168.0.3`, `a\u001b[2Jb`), "address that cannot be one"},
		"two protocols":    {change(`"LocalProto":"tcp"`, `"LocalProto":"udp"`), "neither TCP nor UDP"},
		"another protocol": {strings.ReplaceAll(oneRemote, `"tcp"`, `"sctp"`), "neither TCP nor UDP"},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			secured, _ := rawSSH(t, g)
			ok, answer, err := secured.SendRequest("config", true, []byte(c.payload))
			if ok || err != nil || !strings.Contains(string(answer), c.want) {
				t.Errorf("the answer is %v, %q, %v", ok, answer, err)
			}
		})
	}
}

// A request that has no room in the message of a stranger is not even read.
func TestAConfigOfTenThousandRemotes(t *testing.T) {
	g := newGateway(t)
	secured, _ := rawSSH(t, g)
	payload, _ := json.Marshal(map[string]any{"Remotes": make([]chisel.Remote, 10_000)})
	if ok, answer, err := secured.SendRequest("config", true, payload[:200_000]); ok || err == nil {
		t.Errorf("the answer is %v, %q", ok, answer)
	}
	if err := <-g.served; !postern.HasCode(err, postern.CodeLinkLost) {
		t.Errorf("Serve = %v", err)
	}
}

func TestABadTokenIsToldInWords(t *testing.T) {
	g := newGateway(t)
	socket := rawSocket(t, g.address, "/sg_7", http.Header{"Token": {"wrong"}})
	secured, _ := secure(t, websocket.NetConn(context.Background(), socket, websocket.MessageBinary))
	ok, answer, err := secured.SendRequest("config", true, []byte(oneRemote))
	if ok || err != nil || string(answer) != "the authtoken is not known" {
		t.Errorf("the answer is %v, %q, %v", ok, answer, err)
	}
	if err := <-g.served; !postern.HasCode(err, postern.CodeTokenInvalid) {
		t.Errorf("Serve = %v", err)
	}
}

func TestWhatAClientMayNotDo(t *testing.T) {
	g := newGateway(t)
	secured, _ := rawSSH(t, g)
	flood := func(n int) { // of what nobody knows
		for range n {
			if _, _, err := secured.SendRequest("tcpip-forward", false, bytesOf(100)); err != nil {
				t.Fatal(err)
			}
		}
	}
	flood(200)
	if ok, answer, err := secured.SendRequest("keepalive@openssh.com", true, nil); ok || err != nil {
		t.Errorf("an unknown request: %v, %q, %v", ok, answer, err)
	}
	if ok, _, err := secured.SendRequest("config", true, []byte(oneRemote)); !ok || err != nil {
		t.Fatal(err)
	}
	flood(5000)
	if ok, _, err := secured.SendRequest("config", true, []byte(oneRemote)); ok || err != nil {
		t.Errorf("a second config request: %v, %v", ok, err)
	}
	for _, extra := range []string{"10.0.0.1:22", "192.168.0.3:8393", "socks", ""} {
		for range 50 {
			_, _, err := secured.OpenChannel("chisel", []byte(extra))
			refusal, ok := errors.AsType[*ssh.OpenChannelError](err)
			if !ok || refusal.Reason != ssh.Prohibited || !strings.Contains(refusal.Message, "R:") {
				t.Fatalf("a channel to %q: %v", extra, err)
			}
		}
	}
	if ok, answer, err := secured.SendRequest("ping", true, nil); !ok || string(answer) != "pong" || err != nil {
		t.Errorf("ping: %v, %q, %v", ok, answer, err)
	}
}

// B5-31
func TestAStrangersLongMessage(t *testing.T) {
	g := newGateway(t)
	socket := rawSocket(t, g.address, "/", nil)
	if _, hello, err := socket.Read(t.Context()); err != nil || !strings.HasPrefix(string(hello), "SSH-chisel-v3-server\r\n") {
		t.Fatalf("the server begins with %q, %v", hello, err)
	}
	_ = socket.Write(t.Context(), websocket.MessageBinary, bytesOf(100_000)) // it may be cut off meanwhile
	for {
		if _, _, err := socket.Read(t.Context()); err != nil {
			if got := websocket.CloseStatus(err); got != websocket.StatusMessageTooBig {
				t.Errorf("the end is %v", err)
			}
			return
		}
	}
}

func TestAStrangerWhoNeverStops(t *testing.T) {
	g := newGateway(t)
	socket := rawSocket(t, g.address, "/", nil)
	_ = socket.Write(t.Context(), websocket.MessageBinary, []byte("SSH-chisel-v3-client\r\n"))
	for {
		if err := socket.Write(t.Context(), websocket.MessageBinary, bytesOf(1000)); err != nil {
			break
		}
	}
	if err := <-g.served; !postern.HasCode(err, postern.CodeLinkLost) {
		t.Errorf("Serve = %v", err)
	}
}

// What operators read when a session is ended here.
func TestCloseTellsWhy(t *testing.T) {
	for code, want := range map[postern.Code]websocket.StatusCode{
		postern.CodeLinkDraining: websocket.StatusServiceRestart,
		postern.CodeTokenInvalid: websocket.StatusPolicyViolation,
	} {
		g := newGateway(t)
		secured, _ := rawSSH(t, g)
		if ok, _, err := secured.SendRequest("config", true, []byte(oneRemote)); !ok || err != nil {
			t.Fatal(err)
		}
		session := g.next(1).Session
		session.Close(postern.Errorf(code, "because of %s", strings.Repeat("x", 200)))
		err := secured.Wait()
		var told websocket.CloseError
		if !errors.As(err, &told) || told.Code != want || !strings.HasPrefix(told.Reason, "because of xxx") {
			t.Errorf("the client hears %v", err)
		}
		<-session.Done()
		if why := session.Cause(); why.Code != code {
			t.Errorf("the cause is %v", why)
		}
	}
}

// inBubble runs Serve in memory, against a client that test is.
func inBubble(t *testing.T, test func(t *testing.T, client net.Conn, registrar *linktest.Registrar, served <-chan error)) {
	synctest.Test(t, func(t *testing.T) {
		near, far := testkit.Pipe()
		registrar := linktest.NewRegistrar(token)
		served := make(chan error, 1)
		go func() {
			served <- chisel.Serve(t.Context(), chisel.NewConn(far, true, false), chisel.Config{
				Registrar: naming{registrar, byName}, Logger: testkit.Logger(t), HostKey: testKey(), Hello: hello})
		}()
		defer near.Close()
		test(t, near, registrar, served)
	})
}

func TestASlowHandshakeIsEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, _ net.Conn, _ *linktest.Registrar, served <-chan error) {
		began := time.Now()
		if err := <-served; !postern.HasCode(err, postern.CodeLinkLost) || time.Since(began) > 13*time.Second {
			t.Errorf("Serve = %v after %s", err, time.Since(began))
		}
	})
}

func TestAClientThatAsksForNothingIsEnded(t *testing.T) {
	inBubble(t, func(t *testing.T, near net.Conn, _ *linktest.Registrar, served <-chan error) {
		_, _ = secure(t, chisel.NewConn(near, false, false))
		began := time.Now()
		if err := <-served; !postern.HasCode(err, postern.CodeRequestTimeout) || time.Since(began) > 13*time.Second {
			t.Errorf("Serve = %v after %s", err, time.Since(began))
		}
	})
}

// A client that is there no more, and whose connection does not say so. // B5-5
func TestASilentClientIsFoundOut(t *testing.T) {
	inBubble(t, func(t *testing.T, near net.Conn, registrar *linktest.Registrar, served <-chan error) {
		frozen := &freezer{Conn: near, frozen: make(chan struct{}), done: make(chan struct{})}
		defer close(frozen.done)
		secured, _ := secure(t, chisel.NewConn(frozen, false, false))
		if ok, _, err := secured.SendRequest("config", true, []byte(oneRemote)); !ok || err != nil {
			t.Fatal(err)
		}
		admitted, err := registrar.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		lives := time.NewTimer(time.Hour) // its WebSocket answers
		select {
		case err := <-served:
			t.Fatalf("Serve = %v", err)
		case <-lives.C:
		}
		close(frozen.frozen)
		began := time.Now()
		if err := <-served; !postern.HasCode(err, postern.CodeLinkLost) || time.Since(began) > 20*time.Second {
			t.Errorf("Serve = %v after %s", err, time.Since(began))
		}
		<-admitted.Released()
	})
}

// freezer is a connection whose reader gets nothing once it is frozen.
type freezer struct {
	net.Conn
	frozen, done chan struct{}
}

func (f *freezer) Read(p []byte) (int, error) {
	n, err := f.Conn.Read(p)
	select {
	case <-f.frozen:
		<-f.done
		return 0, net.ErrClosed
	default:
		return n, err
	}
}

// SSH's reader waits for somebody to take a channel's requests, of which the client
// sends more than anybody takes: the session is found out, and nothing is left.
func TestAFloodOfChannelRequests(t *testing.T) {
	inBubble(t, func(t *testing.T, near net.Conn, registrar *linktest.Registrar, served <-chan error) {
		st, channel := visited(t, near, registrar)
		flooded := make(chan struct{})
		go func() {
			defer close(flooded)
			for {
				if _, err := channel.SendRequest("x", false, bytesOf(100)); err != nil {
					return
				}
			}
		}()
		if err := <-served; !postern.HasCode(err, postern.CodeLinkLost) {
			t.Errorf("Serve = %v", err)
		}
		_ = near.Close()
		<-flooded
		if _, err := st.Read(make([]byte, 1)); !postern.HasCode(err, postern.CodeLinkLost) {
			t.Errorf("Read = %v", err)
		}
		_ = st.Close()
	})
}

// outsystemscc hangs up when a ping is not answered within two seconds. Its link here
// has 8 KiB a tick, and 24 visitors fill it: what counts is how much is in front of
// the answer.
func TestPingsAreAnsweredPastBulk(t *testing.T) {
	const at = "R:8081:192.168.0.3:8393"
	near, far := testkit.Pipe()
	registrar := linktest.NewRegistrar(token)
	served := make(chan error, 1)
	go func() {
		served <- chisel.Serve(t.Context(), chisel.NewConn(far, true, false), chisel.Config{
			Registrar: naming{registrar, byName}, Logger: testkit.Logger(t), HostKey: testKey(), Hello: hello})
	}()
	link := &slowLink{Conn: near, ticker: time.NewTicker(4 * time.Millisecond)}
	secured, channels := secure(t, chisel.NewConn(link, false, false))
	if ok, _, err := secured.SendRequest("config", true, []byte(oneRemote)); !ok || err != nil {
		t.Fatal(err)
	}
	admitted, err := registrar.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var bulk sync.WaitGroup
	for range 24 {
		st := visit(t, admitted.Session, at, "192.0.2.1:1")
		channel, requests, err := (<-channels).Accept()
		if err != nil {
			t.Fatal(err)
		}
		bulk.Go(func() { ssh.DiscardRequests(requests) })
		bulk.Go(func() {
			for data := bytesOf(64 << 10); ; {
				if _, err := st.Write(data); err != nil {
					_ = st.Close()
					return
				}
			}
		})
		bulk.Go(func() { _, _ = io.Copy(io.Discard, channel) })
	}
	for range 2 {
		before := link.passed.Load()
		if ok, _, err := secured.SendRequest("ping", true, nil); !ok || err != nil {
			t.Fatal(err)
		}
		if waited := link.passed.Load() - before; waited > 512<<10 {
			t.Errorf("%d bytes came before the answer", waited)
		}
	}
	_ = near.Close()
	<-served
	bulk.Wait()
}

// slowLink gives its reader 8 KiB a tick.
type slowLink struct {
	net.Conn
	ticker *time.Ticker
	passed atomic.Int64
}

func (s *slowLink) Read(p []byte) (int, error) {
	<-s.ticker.C
	n, err := s.Conn.Read(p[:min(len(p), 8<<10)])
	s.passed.Add(int64(n))
	return n, err
}

// visited has a client of SSH offer one remote over near, and gives both ends of a first
// visit: the stream at the server, and the client's channel.
func visited(t *testing.T, near net.Conn, registrar *linktest.Registrar) (link.Stream, ssh.Channel) {
	t.Helper()
	secured, channels := secure(t, chisel.NewConn(near, false, false))
	if ok, _, err := secured.SendRequest("config", true, []byte(oneRemote)); !ok || err != nil {
		t.Fatal(err)
	}
	admitted, err := registrar.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	st := visit(t, admitted.Session, "R:8081:192.168.0.3:8393", "192.0.2.1:1")
	_ = st.SetDeadline(time.Time{})
	channel, requests, err := (<-channels).Accept()
	if err != nil {
		t.Fatal(err)
	}
	go ssh.DiscardRequests(requests)
	return st, channel
}
