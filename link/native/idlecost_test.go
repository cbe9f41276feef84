package native_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/native"
)

// BenchmarkIdleSession is what a session over TLS holds once it is idle, both ends
// together: bytes of heap and of stacks, and goroutines; each has carried one visit
// with an answer of 1 KiB. The kernel's part is not in it. B/op is what connecting
// and visiting allocates, and time is theirs.
func BenchmarkIdleSession(b *testing.B) {
	const sessions = 400
	var heap, stacks, goroutines float64
	b.ReportAllocs()
	for b.Loop() {
		s := newIdleSessions(b)
		s.add(b, 8) // what comes once comes with the first
		b.StopTimer()
		heap0, stacks0, goroutines0 := inUse(b)
		b.StartTimer()
		s.add(b, sessions)
		b.StopTimer()
		heap1, stacks1, goroutines1 := inUse(b)
		heap, stacks, goroutines = heap+heap1-heap0, stacks+stacks1-stacks0, goroutines+goroutines1-goroutines0
		s.close()
		b.StartTimer()
	}
	of := float64(b.N) * sessions
	b.ReportMetric(heap/of, "heap-B/session")
	b.ReportMetric(stacks/of, "stack-B/session")
	b.ReportMetric(goroutines/of, "goroutines/session")
}

// inUse is what is in use once nothing changes any more.
func inUse(b *testing.B) (heap, stacks, goroutines float64) {
	samples := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"}}
	read := func() (float64, float64, float64) {
		debug.FreeOSMemory() // pools keep what is unused for two collections
		debug.FreeOSMemory()
		debug.FreeOSMemory()
		metrics.Read(samples)
		return float64(samples[0].Value.Uint64()), float64(samples[1].Value.Uint64()), float64(runtime.NumGoroutine())
	}
	rest := time.NewTicker(time.Second) // longer than a goroutine that writes stays
	defer rest.Stop()
	heap, stacks, goroutines = read()
	for {
		select {
		case <-rest.C:
		case <-b.Context().Done():
			b.Fatal("it comes to no rest")
		}
		h, s, g := read()
		if g >= goroutines && s >= stacks {
			return h, s, g
		}
		heap, stacks, goroutines = h, s, g
	}
}

// idleSessions is both ends of sessions over TLS on loopback.
type idleSessions struct {
	registrar *linktest.Registrar
	config    native.Config
	listener  net.Listener
	tls       *tls.Config
	clients   []*native.Client
}

func newIdleSessions(b *testing.B) *idleSessions {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	certificate, roots := testkit.Certificate(b, testkit.TLSName)
	registrar := linktest.NewRegistrar(token)
	return &idleSessions{
		registrar: registrar,
		listener:  listener,
		config:    native.Config{Registrar: registrar, Logger: slog.New(slog.DiscardHandler), Hub: new(native.Hub)},
		tls: &tls.Config{
			Certificates: []tls.Certificate{certificate}, RootCAs: roots, ServerName: testkit.TLSName,
			MinVersion: tls.VersionTLS13, NextProtos: []string{native.ALPN}, DynamicRecordSizingDisabled: true,
		},
	}
}

// add makes n more and has each carry a visit.
func (s *idleSessions) add(b *testing.B, n int) {
	for range n {
		near, err := net.Dial("tcp", s.listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		far, err := s.listener.Accept()
		if err != nil {
			b.Fatal(err)
		}
		// Handshakes grow stacks: tlsPair has them on goroutines that end, and so here.
		shaken := make(chan error, 1)
		var client, server *tls.Conn
		go func() {
			var err error
			client, server, err = tlsPair(near, far, s.tls)
			shaken <- err
		}()
		if err := <-shaken; err != nil {
			b.Fatal(err)
		}
		go func() { _ = native.Serve(context.WithoutCancel(b.Context()), server, s.config) }()
		s.visit(b, client)
	}
}

// visit connects an agent and sends it one request, with an answer of 1 KiB.
func (s *idleSessions) visit(b *testing.B, conn net.Conn) {
	ctx := b.Context()
	refuse := func(context.Context) (net.Conn, error) { return nil, errors.New("one connection is enough") }
	client, _, err := native.Connect(ctx, conn, native.ClientConfig{Hello: hello, Logger: s.config.Logger, Dial: refuse})
	if err != nil {
		b.Fatal(err)
	}
	s.clients = append(s.clients, client)
	admitted, err := s.registrar.Next(ctx)
	if err != nil {
		b.Fatal(err)
	}
	visitor, err := admitted.Session.Open(ctx, link.Header{Endpoint: "e", Scheme: postern.HTTP}, make([]byte, 200))
	if err != nil {
		b.Fatal(err)
	}
	_, upstream, err := client.Accept(ctx)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := upstream.Write(make([]byte, 1200)); err != nil {
		b.Fatal(err)
	}
	if _, err := io.ReadFull(visitor, make([]byte, 1200)); err != nil {
		b.Fatal(err)
	}
	_ = visitor.Close()
	_ = upstream.Close()
}

func (s *idleSessions) close() {
	for _, client := range s.clients {
		client.Close(nil)
	}
	for _, client := range s.clients {
		<-client.Closed()
	}
	_ = s.listener.Close()
}
