package chisel_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/jpillora/chisel/share/ccrypto"
	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/chisel"
	"github.com/postern-dev/postern/link/linktest"
)

// rawServer is a server that says what test wants: a chisel server need not be one.
func rawServer(t *testing.T, answer func(*ssh.Request)) (*host, <-chan ssh.Conn) {
	t.Helper()
	sessions := make(chan ssh.Conn, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{chisel.Subprotocol}})
		if err != nil {
			t.Error(err)
			return
		}
		socket.SetReadLimit(64 << 10) // as chisel from 1.12 on
		conn := websocket.NetConn(context.Background(), socket, websocket.MessageBinary)
		config := &ssh.ServerConfig{NoClientAuth: true, ServerVersion: "SSH-chisel-v3-server"}
		config.AddHostKey(testKey())
		secured, channels, requests, err := ssh.NewServerConn(conn, config)
		if err != nil {
			return
		}
		go func() {
			for opened := range channels {
				_ = opened.Reject(ssh.Prohibited, "")
			}
		}()
		answer(<-requests)
		go ssh.DiscardRequests(requests)
		sessions <- secured
	}))
	t.Cleanup(web.Close)
	return at(web.Listener.Addr().String()), sessions
}

func accepts(r *ssh.Request) { _ = r.Reply(true, nil) }

// A server has no say in what is dialled in the private network.
func TestClientTakesDeclaredTargetsOnly(t *testing.T) {
	server, sessions := rawServer(t, accepts)
	client, err := server.connect(t, nil, "R:8081:192.168.0.3:8393", "R:8082:192.168.0.3:53/udp")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { client.Close(nil); <-client.Done() }()
	session := <-sessions
	for _, extra := range []string{
		"127.0.0.1:22", "192.168.0.3:8394", "192.168.0.3:8393 ", "192.168.0.3:8393/tcp", "192.168.0.3:8393/udp", "192.168.0.3:53",
		"192.168.0.3:8393\n192.0.2.1:1", "socks", "", strings.Repeat("x", 30_000),
	} {
		_, _, err := session.OpenChannel("chisel", []byte(extra))
		if refusal, ok := errors.AsType[*ssh.OpenChannelError](err); !ok || refusal.Reason != ssh.Prohibited {
			t.Errorf("%.40q: %v", extra, err)
		}
	}
	opened := make(chan error, 1)
	go func() {
		_, _, err := session.OpenChannel("whatever", []byte("192.168.0.3:8393"))
		opened <- err
	}()
	h, st, err := client.Accept(t.Context())
	if err != nil || h.Endpoint != "R:8081:192.168.0.3:8393" || h.ClientAddr.IsValid() {
		t.Fatalf("%+v, %v", h, err)
	}
	select {
	case err := <-opened:
		t.Fatalf("the channel is open before its target is: %v", err)
	default:
	}
	st.Reset(postern.Errorf(postern.CodeUpstreamUnreachable, "connection refused"))
	refusal, ok := errors.AsType[*ssh.OpenChannelError](<-opened)
	if !ok || refusal.Reason != ssh.ConnectionFailed || refusal.Message != "connection refused" {
		t.Errorf("the server hears %v", refusal)
	}
	_ = st.Close()
}

func TestClientIsRefusedInTheServersWords(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(*ssh.Request)
		want   string
	}{
		"in words":         {func(r *ssh.Request) { _ = r.Reply(false, []byte("quota: port 8081")) }, "quota: port 8081"},
		"in words and yes": {func(r *ssh.Request) { _ = r.Reply(true, []byte("no")) }, "no"},
		"without a word":   {func(r *ssh.Request) { _ = r.Reply(false, nil) }, "without a reason"},
		"with an escape":   {func(r *ssh.Request) { _ = r.Reply(false, []byte("\x1b[2Jgone")) }, " [2Jgone"},
	} {
		server, _ := rawServer(t, c.answer)
		_, err := server.connect(t, nil, "R:8081:a:1")
		refused, ok := errors.AsType[*chisel.Refused](err)
		if !ok || !strings.Contains(refused.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClientWithoutAWebSocket(t *testing.T) {
	for status, want := range map[int]string{
		http.StatusUnauthorized:     "websocket: bad handshake (401 Unauthorized from tests)",
		http.StatusMovedPermanently: "websocket: bad handshake (301 Moved Permanently from tests)",
		http.StatusOK:               "websocket: bad handshake (200 OK from tests)",
	} {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Server", "tests")
			w.WriteHeader(status)
		}))
		_, err := at(web.Listener.Addr().String()).connect(t, nil, "R:8081:a:1")
		bad, ok := errors.AsType[*chisel.BadHandshake](err)
		if !ok || bad.Status != status || bad.Error() != want {
			t.Errorf("%d: %v", status, err)
		}
		web.Close()
	}
}

// What a real client's request looks like, byte for byte but for the key and our own header.
func TestClientsUpgrade(t *testing.T) {
	near, far := testkit.Pipe()
	defer far.Close()
	go func() {
		_, err := chisel.Dial(t.Context(), near, chisel.ClientConfig{
			Host: "org.example", Path: "/sg_1?id=123456789&ports=8081", UserAgent: "CloudConnector/2.0.11",
			Header: http.Header{"Token": {"secret"}}, Logger: testkit.Logger(t)})
		if err == nil {
			t.Error("a WebSocket with nobody")
		}
	}()
	got := make([]byte, 0, 1000)
	for !strings.Contains(string(got), "\r\n\r\n") {
		b := make([]byte, 500)
		n, err := far.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, b[:n]...)
	}
	var lines []string
	for line := range strings.SplitSeq(string(got), "\r\n") {
		if !strings.HasPrefix(line, "Sec-WebSocket-Key: ") && line != chisel.OwnHeader+": 1" {
			lines = append(lines, line)
		}
	}
	const want = "GET /sg_1?id=123456789&ports=8081 HTTP/1.1|Host: org.example|User-Agent: CloudConnector/2.0.11|Connection: Upgrade|" +
		"Sec-WebSocket-Protocol: chisel-v3|Sec-WebSocket-Version: 13|Token: secret|Upgrade: websocket||"
	if text := strings.Join(lines, "|"); text != want {
		t.Errorf("the request is\n%s, want\n%s", text, want)
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := testkit.Pipe() // nobody answers
		defer far.Close()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := chisel.Dial(ctx, near, chisel.ClientConfig{Host: "a", Path: "/", Logger: testkit.Logger(t)})
		if !postern.HasCode(err, postern.CodeLinkLost) || time.Since(began) > 2*time.Second {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}

func TestHostKeys(t *testing.T) {
	// chisel's own test vector: the key that it makes of the seed "foobar".
	text, err := ccrypto.GenerateKey("foobar")
	if err != nil {
		t.Fatal(err)
	}
	key, err := chisel.ParseHostKey(text)
	if err != nil {
		t.Fatal(err)
	}
	if got := chisel.Fingerprint(key.PublicKey()); got != foobarKey {
		t.Errorf("the fingerprint is %s", got)
	}
	if _, err := chisel.ParseHostKey([]byte("ck-AAAA")); err == nil {
		t.Error("a broken ck- key was read")
	}
	legacy := strings.ReplaceAll(ssh.FingerprintLegacyMD5(key.PublicKey()), "\n", "")
	for want, good := range map[string]bool{foobarKey: true, legacy: true, strings.ToUpper(legacy): true, legacy[:20]: false, foobarKey[:40]: false, "": false} {
		if err := chisel.CheckFingerprint(key.PublicKey(), want); (err == nil) != good || err != nil && !postern.HasCode(err, postern.CodeServerUntrusted) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestVersionsThatHalfClose(t *testing.T) {
	for version, want := range map[string]bool{
		"0.0.0-src": false, "": false, "1.11.7": false, "v1.11": false, "1.12.0-rc1": true, "v1.12.3": true, "2.0": true, "postern": false,
	} {
		if got := chisel.HalfCloses(version); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
}

// old runs test with a session whose client is as chisel 1.11: it takes the end of one
// direction for that of both, and test sees when it comes.
func old(t *testing.T, test func(st link.Stream, channel ssh.Channel)) {
	synctest.Test(t, func(t *testing.T) {
		near, far := testkit.Pipe()
		served := make(chan error, 1)
		registrar := linktest.NewRegistrar(token)
		go func() {
			served <- chisel.Serve(t.Context(), chisel.NewConn(far, true, false), chisel.Config{
				Registrar: naming{registrar, byName}, Logger: testkit.Logger(t), HostKey: testKey(), Hello: hello})
		}()
		st, channel := visited(t, near, registrar)
		test(st, channel)
		_ = st.Close()
		_ = channel.Close()
		_ = near.Close()
		<-served
	})
}

// endOf reads channel to its end and tells when that came.
func endOf(channel ssh.Channel, since time.Time) <-chan time.Duration {
	ended := make(chan time.Duration, 1)
	go func() {
		_, _ = io.Copy(io.Discard, channel)
		ended <- time.Since(since).Round(10 * time.Millisecond)
	}()
	return ended
}

// The end of the visitor's direction waits for the answer.
func TestTheEndIsHeldBack(t *testing.T) {
	write := func(w io.Writer) {
		if _, err := w.Write([]byte("x")); err != nil {
			t.Error(err)
		}
	}
	read := func(r io.Reader) {
		if _, err := io.ReadFull(r, make([]byte, 1)); err != nil {
			t.Error(err)
		}
	}
	for name, c := range map[string]struct {
		run  func(st link.Stream, channel ssh.Channel)
		want time.Duration
	}{
		"no answer": {func(st link.Stream, _ ssh.Channel) { write(st) }, 5 * time.Second},
		"the answer came before": {func(st link.Stream, channel ssh.Channel) {
			write(st)
			read(channel)
			write(channel)
			read(st)
		}, 250 * time.Millisecond},
		"it comes after 3 s": {func(st link.Stream, channel ssh.Channel) {
			write(st)
			time.AfterFunc(3*time.Second, func() { write(channel); read(st) })
		}, 5 * time.Second},
		"it comes in pieces": {func(st link.Stream, channel ssh.Channel) {
			write(st)
			for _, after := range []time.Duration{1, 2, 3, 4, 5, 6} {
				time.AfterFunc(after*time.Second, func() { write(channel); read(st) })
			}
		}, 8 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			old(t, func(st link.Stream, channel ssh.Channel) {
				c.run(st, channel)
				began := time.Now()
				if err := st.CloseWrite(); err != nil {
					t.Error(err)
				}
				if got := <-endOf(channel, began); got != c.want {
					t.Errorf("the end came after %s, want %s", got, c.want)
				}
			})
		})
	}
}
