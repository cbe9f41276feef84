package ngrok

import (
	"crypto/tls"
	"io"
	"net"
	"testing"

	"github.com/postern-dev/postern/internal/testkit"
)

func TestTheSocketIsFoundBelowTLS(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	far, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	if newAckConn(near).socket == nil {
		t.Error("no socket below TCP")
	}
	if newAckConn(tls.Server(near, &tls.Config{})).socket == nil {
		t.Error("no socket below TLS")
	}
	// Quick acknowledgement is on after each Read.
	conn := newAckConn(near)
	conn.acknowledgeQuickly()
	for range 3 {
		if _, err := far.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if !quickAck(t, conn) {
			t.Error("the kernel delays acknowledgements")
		}
	}
}

func TestWithoutASocketNothingHappens(t *testing.T) {
	near, far := testkit.Pipe()
	defer near.Close()
	conn := newAckConn(far)
	conn.acknowledgeQuickly()
	if _, err := near.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	// The multiplexer's half-close and goodbye pass through.
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := near.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("got %v", err)
	}
	if conn.NetConn() != far {
		t.Error("NetConn is not the connection below")
	}
	conn.Close()
}
