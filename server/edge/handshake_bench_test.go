package edge_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
)

// BenchmarkHandshake is one visitor after another, each on a connection of its own with one
// small request, at the edge and at a server that is nothing but crypto/tls, both with the
// same certificate over loopback. ns/op is client and server together.
func BenchmarkHandshake(b *testing.B) {
	const name = "api." + domain
	s := start(b, func(c *edge.Config) {
		c.Hosts = map[postern.Hostname]http.Handler{name: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") })}
	})
	for server, address := range map[string]string{"edge": s.https, "crypto-tls": serveAlone(b, s.certificate)} {
		for kind, resumes := range map[string]bool{"full": false, "resumed": true} {
			b.Run(server+"/"+kind, func(b *testing.B) {
				config := &tls.Config{RootCAs: s.roots, ServerName: name, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS13}
				if resumes {
					config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				}
				visit(b, address, config, false)
				for b.Loop() {
					visit(b, address, config, resumes)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "handshakes/s")
			})
		}
	}
}

// visit makes a connection, asks once, and checks that the session was resumed if it should
// have been.
func visit(b *testing.B, address string, config *tls.Config, resumed bool) {
	b.Helper()
	conn, err := tls.Dial("tcp", address, config)
	must(b, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+config.ServerName+"\r\nConnection: close\r\n\r\n")
	must(b, err)
	answer, err := io.ReadAll(conn)
	must(b, err)
	if state := conn.ConnectionState(); state.DidResume != resumed || len(answer) == 0 {
		b.Fatalf("resumed: %v, want %v; %d bytes of an answer", state.DidResume, resumed, len(answer))
	}
}

// serveAlone answers requests with crypto/tls and nothing else.
func serveAlone(b *testing.B, certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) (address string) {
	b.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetCertificate: certificate, NextProtos: []string{"http/1.1"}, MinVersion: tls.VersionTLS12})
	must(b, err)
	b.Cleanup(func() { ln.Close() })
	serve := func(conn net.Conn) {
		defer conn.Close()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello")
		}
	}
	go func() {
		for {
			conn, err := ln.Accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err == nil {
				go serve(conn)
			}
		}
	}()
	return ln.Addr().String()
}
