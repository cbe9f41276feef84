package native_test

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/native"
)

// BenchmarkBulk moves bytes from the agent to the server over TLS on loopback, in
// pieces as relay.Pipe writes them, with one connection and with further ones.
func BenchmarkBulk(b *testing.B) {
	for _, further := range []bool{false, true} {
		name := map[bool]string{false: "OneCarrier", true: "FurtherCarriers"}[further]
		b.Run(name, func(b *testing.B) {
			const piece = 4 * (16<<10 - 8)
			server, agent, closeAll := over(b, true, further)
			defer closeAll()
			b.SetBytes(piece)
			b.ReportAllocs()
			done := make(chan struct{})
			go func() {
				defer close(done)
				buffer := make([]byte, piece)
				for {
					if _, err := server.Read(buffer); err != nil {
						return
					}
				}
			}()
			buffer := make([]byte, piece)
			for b.Loop() {
				if _, err := agent.Write(buffer); err != nil {
					b.Fatal(err)
				}
			}
			_ = agent.CloseWrite()
			<-done
		})
	}
}

// BenchmarkEcho is the round trip of a small message on a stream that can move.
func BenchmarkEcho(b *testing.B) {
	server, agent, closeAll := over(b, true, true)
	defer closeAll()
	go echo(agent)
	message := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := server.Write(message); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(server, message); err != nil {
			b.Fatal(err)
		}
	}
}

// over is one stream of a session over loopback, with TLS or without.
func over(b testing.TB, secure, further bool) (server, agent link.Stream, closeAll func()) {
	client, admitted, closeAll := session(b, secure, further)
	ctx := context.WithoutCancel(b.Context())
	var err error
	if server, err = admitted.Session.Open(ctx, link.Header{Endpoint: "e", Scheme: postern.TCP}, nil); err != nil {
		b.Fatal(err)
	}
	if _, agent, err = client.Accept(ctx); err != nil {
		b.Fatal(err)
	}
	return server, agent, closeAll
}

// session is both ends of a session over loopback.
func session(b testing.TB, secure, further bool) (client *native.Client, admitted *linktest.Admitted, closeAll func()) {
	ctx := context.WithoutCancel(b.Context())
	registrar := linktest.NewRegistrar(token)
	config := native.Config{Registrar: registrar, Logger: testkit.Logger(b), Hub: new(native.Hub)}
	config.Logger = slog.New(slog.DiscardHandler)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	certificate, roots := testkit.Certificate(b, testkit.TLSName)
	dial := func(context.Context) (net.Conn, error) {
		near, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			return nil, err
		}
		far, err := listener.Accept()
		if err != nil {
			return nil, err
		}
		if !secure {
			go func() { _ = native.Serve(ctx, far, config) }()
			return near, nil
		}
		client, secured, err := tlsPair(near, far, &tls.Config{
			Certificates: []tls.Certificate{certificate}, RootCAs: roots, ServerName: testkit.TLSName,
			MinVersion: tls.VersionTLS13, NextProtos: []string{native.ALPN}, DynamicRecordSizingDisabled: true,
		})
		if err != nil {
			return nil, err
		}
		go func() { _ = native.Serve(ctx, secured, config) }()
		return client, nil
	}
	conn, err := dial(ctx)
	if err != nil {
		b.Fatal(err)
	}
	clientConfig := native.ClientConfig{Hello: hello, Logger: config.Logger}
	if further {
		clientConfig.Dial = dial
	}
	if client, _, err = native.Connect(ctx, conn, clientConfig); err != nil {
		b.Fatal(err)
	}
	if admitted, err = registrar.Next(ctx); err != nil {
		b.Fatal(err)
	}
	return client, admitted, func() {
		client.Close(nil)
		<-client.Closed()
		_ = listener.Close()
	}
}

func tlsPair(near, far net.Conn, config *tls.Config) (client, server *tls.Conn, err error) {
	client, server = tls.Client(link.NewWire(near), config), tls.Server(link.NewWire(far), config)
	served := make(chan error, 1)
	go func() { served <- server.Handshake() }()
	if err := client.Handshake(); err != nil {
		return nil, nil, err
	}
	return client, server, <-served
}
