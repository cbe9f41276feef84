package mux_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"testing"

	"github.com/postern-dev/postern/link/mux"
)

// loopback returns both ends of a TCP connection.
func loopback(t testing.TB) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err = net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	server, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return client, server
}

func pair(t testing.TB, c mux.Config) (client, server *mux.Session) {
	t.Helper()
	a, b := loopback(t)
	server = mux.New(b, c)
	c.Client = true
	client = mux.New(a, c)
	t.Cleanup(func() {
		client.Close(nil)
		server.Close(nil)
		<-client.Closed()
		<-server.Closed()
	})
	return client, server
}

func TestBulkBothWays(t *testing.T) {
	client, server := pair(t, mux.Config{RichResets: true})
	ctx := context.Background()
	want := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
	go func() {
		_, st, err := client.Accept(ctx)
		if err != nil {
			t.Error(err)
			return
		}
		got, err := io.ReadAll(st)
		if err != nil || !bytes.Equal(got, append([]byte("first"), want...)) {
			t.Errorf("agent read %d bytes, %v", len(got), err)
		}
		if n, err := st.Write(want); n != len(want) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		st.Close()
	}()
	st, err := server.Open(ctx, 3, []byte("fi"), []byte("rst"))
	if err != nil {
		t.Fatal(err)
	}
	if n, err := st.Write(want); n != len(want) || err != nil {
		t.Fatalf("wrote %d, %v", n, err)
	}
	if err := st.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(st)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("server read %d bytes, %v", len(got), err)
	}
}

func ends(a, b net.Conn, c mux.Config) (opener, acceptor, func()) {
	server := mux.New(b, c)
	c.Client = true
	agent := mux.New(a, c)
	return opener{server}, acceptor{agent}, func() {
		agent.Close(nil)
		server.Close(nil)
		<-agent.Closed()
		<-server.Closed()
	}
}
