package sessionmsg_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"testing"
	"testing/iotest"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/sessionmsg"
)

func TestDialMessage(t *testing.T) {
	want := link.GatewayPort{Gateway: "stage", Network: postern.TCP, Port: 8081}
	raw, err := sessionmsg.EncodeHead(sessionmsg.NewDial(want, false))
	if err != nil {
		t.Fatal(err)
	}
	if got := string(raw[8:]); got != `{"Gateway":"stage","Network":"tcp","Port":8081}` {
		t.Errorf("on the wire: %s", got)
	}
	behind := bytes.NewReader(append(raw, "first"...))
	message, err := sessionmsg.ReadDial(iotest.OneByteReader(behind))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := message.GatewayPort(); got != want || err != nil || behind.Len() != len("first") {
		t.Errorf("%+v, %v, %d bytes are left", got, err, behind.Len())
	}
	for _, bad := range []sessionmsg.Dial{
		{Network: "tcp", Port: 1},
		{Gateway: string(make([]byte, 257)), Network: "tcp", Port: 1},
		{Gateway: "g", Network: "http", Port: 1},
		{Gateway: "g", Network: "tcp"},
	} {
		if _, err := bad.GatewayPort(); !postern.HasCode(err, postern.CodeProtocolViolation) {
			t.Errorf("%.60v: %v", bad, err)
		}
	}
}

// A head that comes in pieces, with deadlines between them, is read in pieces.
func TestHeadInPieces(t *testing.T) {
	raw, err := sessionmsg.EncodeHead(sessionmsg.Dial{Gateway: "stage", Network: "udp", Port: 53})
	if err != nil {
		t.Fatal(err)
	}
	var head sessionmsg.Head
	var got sessionmsg.Dial
	for i := range raw {
		piece := io.MultiReader(bytes.NewReader(raw[i:i+1]), iotest.ErrReader(os.ErrDeadlineExceeded))
		err = head.Read(piece, &got)
		if i < len(raw)-1 && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("after %d bytes: %v", i+1, err)
		}
	}
	if err != nil || got.Port != 53 {
		t.Errorf("%+v, %v", got, err)
	}
}

// Wires that have no such streams refuse them as every type that they do not know.
func TestDialWithoutTheDialect(t *testing.T) {
	registrar := linktest.NewRegistrar(token)
	a := serve(t, registrar, sessionmsg.Dialect{})
	a.admit(registrar, link.Hello{})
	stream := a.open(sessionmsg.TypeDial)
	if _, err := stream.Read(make([]byte, 1)); err == nil || err == io.EOF {
		t.Errorf("Read = %v", err)
	}
	_ = stream.Close()
	a.close()
}

// A stranger who dials is no stranger for long.
func TestDialBeforeAuth(t *testing.T) {
	a := serve(t, linktest.NewRegistrar(token), sessionmsg.Dialect{Dials: true})
	stream := a.open(sessionmsg.TypeDial)
	raw, err := sessionmsg.EncodeHead(sessionmsg.Dial{Gateway: "g", Network: "tcp", Port: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = stream.Write(raw)
	a.ended(postern.CodeProtocolViolation)
	_ = stream.Close()
}

// Hostile heads neither panic nor allocate beyond their limit, and what is accepted
// survives a round trip.
func FuzzReadDial(f *testing.F) {
	for _, d := range []sessionmsg.Dial{{Gateway: "stage", Network: "tcp", Port: 8081}, {Gateway: "pgw_1", Network: "udp", Port: 53, Check: true}, {}} {
		raw, err := sessionmsg.EncodeHead(d)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte("\xff\xff\x00\x00\x00\x00\x00\x00{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		d, err := sessionmsg.ReadDial(bytes.NewReader(raw))
		if err != nil {
			return
		}
		again, err := sessionmsg.EncodeHead(d)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := sessionmsg.ReadDial(bytes.NewReader(again)); err != nil || got != d {
			t.Fatalf("%+v became %+v (%v)", d, got, err)
		}
		if p, err := d.GatewayPort(); err == nil && (p.Gateway == "" || p.Port == 0 || p.Network != "tcp" && p.Network != "udp") {
			t.Fatalf("%+v was accepted", d)
		}
	})
}
