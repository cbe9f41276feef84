package tunnel_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/ports"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/tunnel"
)

func TestListen(t *testing.T) {
	n := newNode(t)
	listener, err := tunnel.Listen(t.Context(), n.options)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	service := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" from "+r.RemoteAddr)
	})}
	go func() { served <- service.Serve(listener) }()
	answer := n.get(t, listener.URL()+"/x")
	if !strings.HasPrefix(answer, "GET /x from 127.0.0.1:") {
		t.Errorf("answer %q, want the visitor's address in it", answer)
	}
	if listener.Addr().Network() != "https" || "https://"+listener.Addr().String() != listener.URL() {
		t.Errorf("address %s %s", listener.Addr().Network(), listener.Addr())
	}
	if err := service.Close(); err != nil {
		t.Error(err)
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve = %v", err)
	}
	<-listener.Done()
	if _, err := listener.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close = %v, want net.ErrClosed", err)
	}
	if err := listener.Close(); err != nil {
		t.Errorf("a second Close = %v", err)
	}
}

func TestForward(t *testing.T) {
	n := newNode(t)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, "host "+r.Host)
	}))
	defer service.Close()
	o := n.options
	o.URL, o.HostHeader = "https://app.localhost", "rewrite"
	forwarder, err := tunnel.Forward(t.Context(), service.URL, o)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(forwarder.URL(), "https://app.localhost:") || forwarder.Upstream() != service.URL {
		t.Errorf("forwarding %s to %s", forwarder.URL(), forwarder.Upstream())
	}
	if got, want := n.get(t, forwarder.URL()), "host "+strings.TrimPrefix(service.URL, "http://"); got != want {
		t.Errorf("answer %q, want %q", got, want)
	}
	forwarder.Close()
	if err := forwarder.Wait(); err != nil {
		t.Errorf("Wait after Close = %v", err)
	}
}

// Datagrams are forwarded to a socket, which may be of this process.
func TestForwardDatagrams(t *testing.T) {
	n := newNode(t, func(c *server.Config) { c.Listen.UDPPorts = server.PortRange{First: 20000, Last: 29999} })
	service, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := service.ReadFrom(b)
			if err != nil {
				return
			}
			_, _ = service.WriteTo(b[:n], from)
		}
	}()
	o := n.options
	o.URL = "udp://"
	forwarder, err := tunnel.Forward(t.Context(), service.LocalAddr().String(), o)
	if err != nil {
		t.Fatal(err)
	}
	at, err := url.Parse(forwarder.URL())
	if err != nil || at.Scheme != "udp" {
		t.Fatalf("%s, %v", forwarder.URL(), err)
	}
	visitor, err := net.Dial("udp", "127.0.0.1:"+at.Port())
	if err != nil {
		t.Fatal(err)
	}
	defer visitor.Close()
	b := make([]byte, 16)
	for tries := 1; ; tries++ {
		_ = visitor.SetDeadline(time.Now().Add(500 * time.Millisecond))
		_, _ = visitor.Write([]byte("hello"))
		k, err := visitor.Read(b)
		if err == nil && string(b[:k]) == "hello" {
			break
		}
		if tries == 20 {
			t.Fatalf("nothing comes back: %v", err)
		}
	}
	forwarder.Close()
	if err := forwarder.Wait(); err != nil {
		t.Errorf("Wait after Close = %v", err)
	}
}

// TLS that ends in this process: the certificate that a visitor sees is ours.
func TestListenTLS(t *testing.T) {
	n := newNode(t)
	certificate, roots := testkit.Certificate(t, "db.localhost")
	o := n.options
	o.URL, o.TLS = "tls://db.localhost", &tls.Config{Certificates: []tls.Certificate{certificate}}
	listener, err := tunnel.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { listener.Close(); <-listener.Done() }()
	go func() {
		for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
			_, _ = io.Copy(conn, conn)
			conn.Close()
		}
	}()
	raw, err := new(dial.Dialer).Dial(t.Context(), "tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	visitor := tls.Client(raw, &tls.Config{ServerName: "db.localhost", RootCAs: roots})
	defer visitor.Close()
	_ = visitor.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(visitor, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := visitor.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(visitor); string(got) != "hello" || err != nil {
		t.Errorf("echo %q, %v", got, err)
	}
}

func TestRefusals(t *testing.T) {
	n := newNode(t)
	held := n.options
	held.URL, held.Name = "https://held.localhost", "first"
	first, err := tunnel.Listen(t.Context(), held)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { first.Close(); <-first.Done() }()
	for name, c := range map[string]struct {
		change func(*tunnel.Options)
		want   postern.Code
	}{
		"token":             {func(o *tunnel.Options) { o.Authtoken = "2id_wrong" }, ""},
		"taken":             {func(o *tunnel.Options) { o.URL, o.Name = "https://held.localhost", "second" }, postern.CodeAlreadyOnline},
		"path":              {func(o *tunnel.Options) { o.URL = "https://a.localhost/path" }, postern.CodeURLPartNotAllowed},
		"tls":               {func(o *tunnel.Options) { o.TLS = &tls.Config{} }, postern.CodeConfigInvalid},
		"mutual TLS of tcp": {func(o *tunnel.Options) { o.URL, o.MutualTLS.Mode = "tcp://", "require" }, postern.CodeConfigInvalid},
		"mutual TLS twice":  {func(o *tunnel.Options) { o.MutualTLS = postern.MutualTLS{AuthoritiesPEM: "x", AuthorityIDs: "ca_1"} }, postern.CodeConfigInvalid},
		"datagrams":         {func(o *tunnel.Options) { o.URL = "udp://" }, postern.CodeConfigInvalid},
		"no server":         {func(o *tunnel.Options) { o.Server = "" }, postern.CodeNoServer},
		"no token":          {func(o *tunnel.Options) { o.Authtoken = "" }, postern.CodeNoToken},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range []string{"POSTERN_CONNECT_URL", "POSTERN_CONNECT_CAS", "POSTERN_AUTHTOKEN", "NGROK_AUTHTOKEN"} {
				t.Setenv(variable, "")
			}
			o := n.options
			c.change(&o)
			_, err := tunnel.Listen(t.Context(), o)
			if err == nil || c.want != "" && !postern.HasCode(err, c.want) {
				t.Errorf("Listen = %v, want %s", err, c.want)
			}
		})
	}
}

// A server that is not there is waited for, as long as ctx allows.
func TestListenGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err := tunnel.Listen(ctx, tunnel.Options{Server: ports.Address(t), Authtoken: "t"})
	if !postern.HasCode(err, postern.CodeServerUnreachable) {
		t.Errorf("Listen = %v, want %s", err, postern.CodeServerUnreachable)
	}
}
