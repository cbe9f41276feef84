package native_test

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/netip"
	"testing"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/link/websocket"
)

// overWebSocket joins two ends as agents and servers do where nothing but HTTPS gets
// through: the link's own TLS in a WebSocket in somebody else's TLS.
func overWebSocket(t testing.TB) (client, server net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 1)
	certificate, roots := testkit.Certificate(t, testkit.TLSName)
	web := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		carrier, err := websocket.Accept(w, r, nil, netip.Addr{})
		if err != nil {
			t.Error(err)
			return
		}
		accepted <- carrier
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = web.Serve(tls.NewListener(listener, &tls.Config{Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}))
	}()
	outer, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{ServerName: testkit.TLSName, RootCAs: roots, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	carrier, err := websocket.Client(t.Context(), outer, testkit.TLSName, "")
	if err != nil {
		t.Fatal(err)
	}
	near, far := testkit.TLSPair(t, carrier, <-accepted, native.ALPN)
	_ = web.Close() // the carrier was hijacked and lives on
	<-done
	return near, far
}

func TestLinkOverWebSocket(t *testing.T) {
	linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
		near, far := overWebSocket(t)
		e := joinOver(t, near, far, linktest.NewRegistrar(token), native.ClientConfig{})
		return e.admitted.Session, e.client, e.close
	})
}
