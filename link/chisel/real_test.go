package chisel_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/chisel"
)

// realClient starts an unmodified chisel client, whose token and auth may be "".
func realClient(t testing.TB, address, token, auth string, remotes ...string) *os.Process {
	t.Helper()
	return chiselProcess(t, "client", append([]string{"http://" + address + "/sg_1", token, auth}, remotes...)...)
}

// chiselProcess runs an unmodified chisel until the test ends.
func chiselProcess(t testing.TB, role string, args ...string) *os.Process {
	t.Helper()
	command := exec.Command(os.Args[0], args...)
	command.Env = append(os.Environ(), roleVariable+"="+role)
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	})
	return command.Process
}

// target serves each connection with serve, on a port of its own.
func target(t testing.TB, serve func(net.Conn)) (port string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	_, port, _ = net.SplitHostPort(listener.Addr().String())
	return port
}

func echoAll(conn net.Conn) { _, _ = io.Copy(conn, conn) }

func bytesOf(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

// exchange writes data and reads as much back.
func exchange(t *testing.T, st io.ReadWriter, data []byte) {
	t.Helper()
	var sent sync.WaitGroup
	sent.Go(func() {
		if _, err := st.Write(data); err != nil {
			t.Errorf("Write: %v", err)
		}
	})
	got := make([]byte, len(data))
	if _, err := io.ReadFull(st, got); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes came back changed, or %v", len(data), err)
	}
	sent.Wait()
}

func TestRealClientTCP(t *testing.T) {
	g := newGateway(t)
	at := "R:8081:127.0.0.1:" + target(t, echoAll)
	realClient(t, g.address, token, "", at)
	session := g.next(1).Session
	var visitors sync.WaitGroup
	for i := range 20 {
		visitors.Go(func() {
			st := visit(t, session, at, "192.0.2.7:"+strconv.Itoa(1000+i))
			defer st.Close()
			exchange(t, st, bytesOf(1+i*150_000))
		})
	}
	visitors.Wait()
	if _, err := session.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

// What chisel's own server loses: the answer to somebody who has said that he is done.
func TestRealClientKeepsTheAnswerAfterAHalfClose(t *testing.T) {
	g := newGateway(t)
	answer := bytesOf(3 << 20)
	at := "R:8081:127.0.0.1:" + target(t, func(conn net.Conn) {
		_, _ = io.ReadFull(conn, make([]byte, 8))
		_, _ = conn.Write(answer)
	})
	realClient(t, g.address, token, "", at)
	st := visit(t, g.next(1).Session, at, "192.0.2.7:4711")
	defer st.Close()
	if _, err := st.Write([]byte("question")); err != nil {
		t.Fatal(err)
	}
	if err := st.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(st)
	if err != nil || !bytes.Equal(got, answer) {
		t.Errorf("%d of %d bytes of the answer, %v", len(got), len(answer), err)
	}
}

func TestRealClientWhoseTargetIsDown(t *testing.T) {
	g := newGateway(t)
	at := "R:8081:" + ports.Address(t) // nobody listens there
	realClient(t, g.address, token, "", at)
	st := visit(t, g.next(1).Session, at, "192.0.2.7:4711")
	defer st.Close()
	if n, err := st.Read(make([]byte, 1)); n != 0 || !postern.HasCode(err, postern.CodeUpstreamUnreachable) {
		t.Errorf("Read = %d, %v", n, err)
	}
}

func TestRealClientWithTheTokenAsPassword(t *testing.T) {
	g := newGateway(t)
	at := "R:8081:127.0.0.1:" + target(t, echoAll)
	realClient(t, g.address, "", "anybody:"+token, at)
	admitted := g.next(1)
	if got := admitted.Hello; got.Token != token || got.Gateway.Gateway != "sg_1" || got.Agent.ClientType != "chisel" {
		t.Errorf("the hello is %+v", got)
	}
}

func TestRealClientIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		token   string
		remotes []string
		want    postern.Code
	}{
		"a bad token":      {"wrong", []string{"R:1:a:1"}, postern.CodeTokenInvalid},
		"no token":         {"", []string{"R:1:a:1"}, postern.CodeTokenMalformed},
		"the port is held": {token, []string{"R:8081:a:1", "R:8082:a:1"}, postern.CodeAlreadyOnline},
		"SOCKS":            {token, []string{"R:1080:socks"}, postern.CodeRemoteInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway(t)
			holder, err := g.connect(t, nil, "R:8082:a:1")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { holder.Close(nil); <-holder.Done() }()
			g.next(1)
			realClient(t, g.address, c.token, "", c.remotes...)
			if err := <-g.served; !postern.HasCode(err, c.want) {
				t.Errorf("Serve gave %v, want %s", err, c.want)
			}
		})
	}
}

// udpTarget answers every datagram with itself.
func udpTarget(t testing.TB, address string) (port string) {
	t.Helper()
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		b := make([]byte, 64<<10)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(b[:n], from)
		}
	})
	t.Cleanup(func() { _ = conn.Close(); open.Wait() })
	_, port, _ = net.SplitHostPort(conn.LocalAddr().String())
	return port
}

func framed(payload []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(payload))), payload...)
}

func readFramed(r io.Reader) ([]byte, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint16(head[:]))
	_, err := io.ReadFull(r, b)
	return b, err
}

// 150 sources are more than one of chisel's channels can have.
func TestRealClientUDP(t *testing.T) {
	g := newGateway(t)
	at := "R:8081:127.0.0.1:" + udpTarget(t, "127.0.0.1:0") + "/udp"
	realClient(t, g.address, token, "", at)
	session := g.next(1).Session
	for i := range 150 {
		st := visit(t, session, at, "192.0.2.7:"+strconv.Itoa(1000+i))
		defer st.Close()
		for _, size := range []int{0, 1, 200, 9011} {
			want := bytesOf(size)
			if size == 0 && i > 0 {
				continue
			}
			if _, err := st.Write(framed(want)); err != nil {
				t.Fatal(err)
			}
			if got, err := readFramed(st); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("source %d: %d bytes, %v", i, len(got), err)
			}
		}
	}
}

// A target that refuses datagrams ends chisel's channel. It is opened again.
func TestRealClientWhoseUDPTargetComesBack(t *testing.T) {
	g := newGateway(t)
	address := ports.Address(t)
	at := "R:8081:" + address + "/udp"
	realClient(t, g.address, token, "", at)
	st := visit(t, g.next(1).Session, at, "192.0.2.7:4711")
	defer st.Close()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	send := func(times int) {
		for range times {
			if _, err := st.Write(framed([]byte("anybody?"))); err != nil {
				t.Fatal(err)
			}
			<-ticker.C
		}
	}
	send(30)
	udpTarget(t, address)
	answered := make(chan error, 1)
	go func() {
		_, err := readFramed(st)
		answered <- err
	}()
	for {
		send(1)
		select {
		case err := <-answered:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// realServer starts an unmodified chisel server, whose key has the seed "foobar".
func realServer(t testing.TB, auth string) (address string) {
	t.Helper()
	port := freePort(t)
	chiselProcess(t, "server", port, auth, "foobar")
	_ = reach(t, "tcp", "127.0.0.1:"+port).Close()
	return "127.0.0.1:" + port
}

// foobarKey is the fingerprint of the key that chisel makes of the seed "foobar".
const foobarKey = "OHclTPr2X1+S7CdRWW7dLFP7SwgtZy6jub2UmnpbTXw="

func freePort(t testing.TB) string {
	t.Helper()
	return strconv.Itoa(ports.For(t, 1).First)
}

// reach dials until somebody listens: chisel's server answers before it does.
func reach(t testing.TB, network, address string) net.Conn {
	t.Helper()
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for began := time.Now(); ; <-ticker.C {
		conn, err := net.Dial(network, address)
		if err == nil {
			_ = conn.SetDeadline(time.Now().Add(patience))
			return conn
		}
		if time.Since(began) > patience {
			t.Fatal(err)
		}
	}
}

// at is a host that somebody else runs.
func at(address string) *host { return &host{address: address} }

// relayTo dials address for each stream and relays.
func relayTo(t testing.TB, client *chisel.Client, address string) {
	var open sync.WaitGroup
	open.Go(func() {
		for {
			_, st, err := client.Accept(context.Background())
			if err != nil {
				return
			}
			open.Go(func() { relayOne(st, address) })
		}
	})
	t.Cleanup(func() {
		client.Close(nil)
		<-client.Done()
		open.Wait()
	})
}

func relayOne(st link.Stream, address string) {
	defer st.Close()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		st.Reset(postern.Errorf(postern.CodeUpstreamUnreachable, "%v", err))
		return
	}
	defer conn.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.Copy(conn, st)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(st, conn)
	_ = st.CloseWrite()
	<-done
}

func TestRealServerTCP(t *testing.T) {
	address := realServer(t, "me:"+token)
	port := freePort(t)
	text := "R:127.0.0.1:" + port + ":target:80"
	client, err := at(address).connect(t, func(c *clientConfig) {
		c.User, c.Password, c.Fingerprint, c.KeepAlive = "me", token, foobarKey, 10*time.Millisecond
	}, text)
	if err != nil {
		t.Fatal(err)
	}
	relayTo(t, client, "127.0.0.1:"+target(t, echoAll))
	for i := range 10 {
		conn := reach(t, "tcp", "127.0.0.1:"+port)
		exchange(t, conn, bytesOf(1+i*300_000))
		_ = conn.Close()
	}
	if _, err := client.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
}

func TestRealServerUDP(t *testing.T) {
	address := realServer(t, "")
	port := freePort(t)
	client, err := at(address).connect(t, nil, "R:127.0.0.1:"+port+":target:53/udp")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			h, st, err := client.Accept(context.Background())
			if err != nil {
				return
			}
			if !h.ClientAddr.IsValid() || h.Scheme != "udp" {
				t.Errorf("the header is %+v", h)
			}
			open.Go(func() { _, _ = io.Copy(st, st) })
		}
	})
	t.Cleanup(func() { client.Close(nil); <-client.Done(); open.Wait() })
	for range 120 { // more than chisel's own exit can have
		conn := reach(t, "udp", "127.0.0.1:"+port)
		defer conn.Close()
		want := bytesOf(300)
		if got, err := ask(conn, want); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}

// ask sends a datagram until it is answered, and not refused by a port that nobody
// listens on yet.
func ask(conn net.Conn, datagram []byte) ([]byte, error) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	b := make([]byte, 64<<10)
	for {
		if _, err := conn.Write(datagram); err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
			return nil, err
		}
		n, err := conn.Read(b)
		if !errors.Is(err, syscall.ECONNREFUSED) {
			return b[:n], err
		}
		<-ticker.C
	}
}

func TestRealServerRefuses(t *testing.T) {
	address := realServer(t, "me:"+token)
	held, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for name, c := range map[string]struct {
		change func(*clientConfig)
		want   string
	}{
		"the fingerprint":      {func(c *clientConfig) { c.Fingerprint = "AAAATPr2X1+S7CdRWW7dLFP7SwgtZy6jub2UmnpbTXw=" }, "Invalid fingerprint (" + foobarKey + ") (" + string(postern.CodeServerUntrusted) + ")"},
		"the password":         {func(c *clientConfig) { c.Password = "wrong" }, "Authentication failed (" + string(postern.CodeTokenInvalid) + ")"},
		"a port that is taken": {nil, "server: Server cannot listen on R:" + held.Addr().String() + "=>target:80"},
		"no WebSocket there":   {func(c *clientConfig) { c.Header.Set("Host", "x\x00") }, ""},
	} {
		_, err := at(address).connect(t, func(config *clientConfig) {
			config.User, config.Password = "me", token
			if c.change != nil {
				c.change(config)
			}
		}, "R:"+held.Addr().String()+":target:80")
		if err == nil || c.want != "" && err.Error() != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
