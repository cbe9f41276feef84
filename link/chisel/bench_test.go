package chisel_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern/link/chisel"
)

// BenchmarkWebSocket moves what SSH writes, pieces of 4 KiB and 28 KiB, from a client
// to a server over TCP, with our frames and with those of the library that we would
// use if it were as cheap.
func BenchmarkWebSocket(b *testing.B) {
	for name, accept := range map[string]func(http.ResponseWriter, *http.Request) (net.Conn, error){
		"ours": func(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
			return chisel.Accept(w, r, nil, netip.Addr{})
		},
		"coder": func(w http.ResponseWriter, r *http.Request) (net.Conn, error) {
			socket, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{chisel.Subprotocol}})
			if err != nil {
				return nil, err
			}
			socket.SetReadLimit(-1)
			return websocket.NetConn(context.Background(), socket, websocket.MessageBinary), nil
		},
	} {
		for _, way := range []string{"read", "write"} {
			b.Run(name+"/"+way, func(b *testing.B) { webSocket(b, accept, way == "read") })
		}
	}
}

func webSocket(b *testing.B, accept func(http.ResponseWriter, *http.Request) (net.Conn, error), read bool) {
	accepted := make(chan net.Conn, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := accept(w, r)
		if err != nil {
			b.Error(err)
			return
		}
		accepted <- conn
	}))
	defer web.Close()
	socket := rawSocket(b, web.Listener.Addr().String(), "/", nil)
	socket.SetReadLimit(-1)
	var from, to net.Conn = websocket.NetConn(context.Background(), socket, websocket.MessageBinary), <-accepted
	if !read {
		from, to = to, from
	}
	defer from.Close()
	defer to.Close()
	const packet = 32 << 10
	data := bytesOf(packet)
	b.SetBytes(packet)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range b.N {
			_, _ = from.Write(data[:4<<10])
			_, _ = from.Write(data[4<<10:])
		}
	}()
	buffer := make([]byte, packet)
	b.ResetTimer()
	for range b.N {
		if _, err := io.ReadFull(to, buffer[:4<<10]); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(to, buffer[4<<10:]); err != nil {
			b.Fatal(err)
		}
	}
	<-done
}
