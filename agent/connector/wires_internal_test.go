package connector

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/chisel"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/native"
)

// gatewayServer is a server of ours as connectors see it: pre-flight, chisel's wire and,
// where it is told so, the native link, all behind one TLS port.
type gatewayServer struct {
	*linktest.Registrar
	address string
	ca      string
	native  bool // what the pre-flight says
	print   string

	mu       sync.Mutex
	upgrades []string // requests for chisel's wire
}

func startGateway(t *testing.T, says, does bool) *gatewayServer {
	t.Helper()
	certificate, _ := testkit.Certificate(t, "gateway.localhost")
	key, err := chisel.NewHostKey()
	if err != nil {
		t.Fatal(err)
	}
	signer, err := chisel.ParseHostKey(key)
	if err != nil {
		t.Fatal(err)
	}
	g := &gatewayServer{Registrar: linktest.NewRegistrar("the-token"), native: says, print: chisel.Fingerprint(signer.PublicKey()), ca: filepath.Join(t.TempDir(), "ca.pem")}
	if err := os.WriteFile(g.ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var sessions sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { g.serve(ctx, &sessions, w, r, signer) }))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}
	if does {
		server.TLS.NextProtos = append(server.TLS.NextProtos, native.ALPN)
		server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){
			native.ALPN: func(_ *http.Server, conn *tls.Conn, _ http.Handler) {
				sessions.Add(1)
				defer sessions.Done()
				_ = native.Serve(ctx, conn, native.Config{Registrar: g.Registrar, Logger: slog.New(slog.DiscardHandler)})
			},
		}
	}
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	server.StartTLS()
	t.Cleanup(func() {
		cancel()
		sessions.Wait()
		server.Close()
	})
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	g.address = "https://gateway.localhost:" + port + "/sg_1"
	return g
}

func (g *gatewayServer) serve(ctx context.Context, sessions *sync.WaitGroup, w http.ResponseWriter, r *http.Request, key ssh.Signer) {
	if !chisel.Asked(r) {
		if g.native && r.Header.Get(speaksHeader) == "1" {
			w.Header().Set(speaksHeader, "1")
		}
		return
	}
	g.mu.Lock()
	g.upgrades = append(g.upgrades, r.URL.RequestURI()+" "+r.UserAgent())
	g.mu.Unlock()
	conn, err := chisel.Accept(w, r, nil, netip.Addr{})
	if err != nil {
		return
	}
	sessions.Add(1)
	defer sessions.Done()
	_ = chisel.Serve(ctx, conn, chisel.Config{Registrar: g.Registrar, Logger: slog.New(slog.DiscardHandler), HostKey: key, Hello: chisel.HelloOf(r)})
}

// connectTo makes one connection of a connector.
func connectTo(t *testing.T, g *gatewayServer, change func(*Gateway)) (wire, error) {
	t.Helper()
	r := routeTo(t, func(c *Gateway) {
		c.CAs, c.Remotes = g.ca, remotes(t, "R:8081:db:80", "R:8082:mail:25")
		if change != nil {
			change(c)
		}
	}, g.address)
	w, _, err := r.connect(t.Context(), r.gateway.Remotes)
	if err == nil {
		t.Cleanup(func() { w.Close(stopping()) })
	}
	return w, err
}

// Which wire is taken, by what the gateway says, what it does, and what the operator
// wants.
func TestNegotiation(t *testing.T) {
	for name, c := range map[string]struct {
		says, does bool
		change     func(*Gateway)
		want       string // the wire; "" is an error
		code       postern.Code
	}{
		"ours":                   {says: true, does: true, want: "postern/1"},
		"a chisel server":        {want: "chisel-v3"},
		"does not get through":   {says: true, want: "chisel-v3"},
		"says nothing":           {does: true, want: "chisel-v3"},
		"chisel is wanted":       {says: true, does: true, change: func(g *Gateway) { g.Speech = Chisel }, want: "chisel-v3"},
		"ours is wanted":         {does: true, change: func(g *Gateway) { g.Speech = Native }, want: "postern/1"},
		"ours is wanted in vain": {says: true, change: func(g *Gateway) { g.Speech = Native }, code: postern.CodeIntercepted},
		"another name": {says: true, does: true, change: func(g *Gateway) {
			g.Hostname = "gateway.localhost"
			g.Address = strings.Replace(g.Address, "gateway.localhost", "127.0.0.1", 1)
		}, want: "postern/1"},
		"a fingerprint":                    {says: true, does: true, change: func(g *Gateway) { g.Fingerprint = strings.Repeat("A", 43) + "=" }, code: postern.CodeServerUntrusted},
		"a wrong token":                    {says: true, does: true, change: func(g *Gateway) { g.Token = "wrong" }, code: postern.CodeTokenInvalid},
		"a wrong token over chisel's wire": {change: func(g *Gateway) { g.Token = "wrong" }, code: postern.CodeInternal},
		"another authority":                {says: true, does: true, change: func(g *Gateway) { g.CAs = "host" }, code: postern.CodeServerUntrusted},
	} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, c.says, c.does)
			w, err := connectTo(t, g, c.change)
			if c.want == "" {
				if !postern.HasCode(err, c.code) {
					t.Errorf("%v, want %s", err, c.code)
				}
				return
			}
			if err != nil || w.Name() != c.want {
				t.Fatalf("%v, %v; want %s", w, err, c.want)
			}
			a, err := g.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if hello := a.Hello.Gateway; a.Hello.Token != "the-token" || hello == nil || hello.Gateway != "sg_1" || !regexp.MustCompile(`^\d{9}$`).MatchString(hello.Instance) {
				t.Errorf("the gateway is told %+v", hello)
			}
		})
	}
}

// A fingerprint that is right, and with it chisel's wire.
func TestFingerprint(t *testing.T) {
	g := startGateway(t, true, true)
	w, err := connectTo(t, g, func(c *Gateway) { c.Fingerprint = g.print })
	if err != nil || w.Name() != "chisel-v3" {
		t.Errorf("%v, %v", w, err)
	}
}

// Both wires bring streams to their remotes.
func TestStreamsOverBothWires(t *testing.T) {
	for name, speech := range map[string]Speech{"ours": Native, "chisel's": Chisel} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, true, true)
			w, a := admitted(t, g, speech)
			if !w.Fixed() {
				for _, r := range remotes(t, "R:8081:db:80", "R:8082:mail:25") {
					if err := w.Offer(t.Context(), r); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := a.AwaitBound(t.Context(), 2); err != nil {
				t.Fatal(err)
			}
			for _, bound := range a.Bound() {
				stream, err := a.Session.Open(t.Context(), link.Header{Endpoint: bound.ID, ClientAddr: netip.MustParseAddrPort("192.0.2.7:5"), Scheme: postern.TCP}, []byte("hello"))
				if err != nil {
					t.Fatal(err)
				}
				key, header, accepted, err := w.Accept(t.Context())
				if err != nil || key.Port != bound.URL.Port || header.ClientAddr.String() != "192.0.2.7:5" {
					t.Fatalf("%v, %+v, %v; want %d", key, header, err, bound.URL.Port)
				}
				_ = stream.CloseWrite()
				if text, err := io.ReadAll(accepted); err != nil || string(text) != "hello" {
					t.Errorf("%q, %v", text, err)
				}
				fmt.Fprint(accepted, "the answer")
				accepted.Close()
				if text, err := io.ReadAll(stream); err != nil || string(text) != "the answer" {
					t.Errorf("%q, %v", text, err)
				}
				stream.Close()
			}
			if latency, err := w.Ping(t.Context()); err != nil || latency <= 0 || latency > time.Minute {
				t.Errorf("%s, %v", latency, err)
			}
			if !w.Fixed() {
				if err := w.Withdraw(t.Context(), Key{tcp, 8081}); err != nil || len(a.Bound()) != 1 {
					t.Errorf("%v, %v", err, a.Bound())
				}
			}
		})
	}
}

// The query and the headers of the upgrade. S4-49
func TestUpgradeAsOutsystemscc(t *testing.T) {
	g := startGateway(t, false, false)
	_, err := connectTo(t, g, func(g *Gateway) { g.Remotes = remotes(t, "R:8081:db:80", "R:8082:mail:25", "R:8081:db:80/udp") })
	if err != nil || len(g.upgrades) != 1 || !regexp.MustCompile(`^/sg_1\?id=\d{9}&ports=8081,8082 connector/test$`).MatchString(g.upgrades[0]) {
		t.Errorf("%q, %v", g.upgrades, err)
	}
}

// Why a gateway ends a connection is what its operator reads.
func TestReasonsOfTheGateway(t *testing.T) {
	for name, speech := range map[string]Speech{"ours": Native, "chisel's": Chisel} {
		t.Run(name, func(t *testing.T) {
			g := startGateway(t, true, true)
			w, a := admitted(t, g, speech)
			a.Session.Close(postern.Errorf(postern.CodeCredentialRevoked, "the token was revoked by ada"))
			<-w.Done()
			if text := describe(w.Cause()); !strings.Contains(text, "the token was revoked by ada") {
				t.Errorf("the operator reads %q", text)
			}
		})
	}
}

// admitted connects over one of the wires, and gives both ends.
func admitted(t *testing.T, g *gatewayServer, speech Speech) (wire, *linktest.Admitted) {
	t.Helper()
	w, err := connectTo(t, g, func(g *Gateway) { g.Speech = speech })
	if err != nil {
		t.Fatal(err)
	}
	a, err := g.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return w, a
}
