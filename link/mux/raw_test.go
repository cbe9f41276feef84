package mux_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/mux"
)

// Frame kinds, flags and codes of the wire, written down a second time: a test that
// shared the package's constants would follow their mistakes.
const (
	rst, data, wndinc, goaway = 0, 1, 2, 3
	fin, syn                  = 1, 2

	protocolError, flowControlError, streamClosed, streamRefused = 1, 3, 4, 5
	cancelled, frameSizeError, acceptQueueFull, calm             = 6, 8, 9, 10
)

// rawPeer is the far end of a session of ours, frame by frame.
type rawPeer struct {
	t    *testing.T
	conn net.Conn
}

// frame is one frame as it was read.
type frame struct {
	kind, flags byte
	stream      uint32
	body        []byte
}

func (f frame) code() uint32 { return binary.BigEndian.Uint32(f.body) }

// against runs test in a bubble of virtual time with a server session of ours and a
// raw peer, whose stream ids are odd.
func against(t *testing.T, c mux.Config, test func(t *testing.T, s *mux.Session, peer *rawPeer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a, b := testkit.Pipe()
		s := mux.New(b, c)
		test(t, s, &rawPeer{t, a})
		_ = a.Close()
		s.Close(nil)
		<-s.Closed()
	})
}

func encode(kind, flags byte, stream uint32, length int, body []byte) []byte {
	b := []byte{byte(length >> 16), byte(length >> 8), byte(length), kind<<4 | flags}
	return append(binary.BigEndian.AppendUint32(b, stream), body...)
}

func word(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// typed is a payload that opens a stream of an ordinary type.
func typed(rest string) []byte { return append(word(3), rest...) }

func (p *rawPeer) send(kind, flags byte, stream uint32, body []byte) {
	p.t.Helper()
	p.write(encode(kind, flags, stream, len(body), body))
}

func (p *rawPeer) write(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatalf("the session took no more: %v", err)
	}
}

// next reads one frame.
func (p *rawPeer) next() frame {
	p.t.Helper()
	f, err := p.read()
	if err != nil {
		p.t.Fatalf("no frame came: %v", err)
	}
	return f
}

func (p *rawPeer) read() (frame, error) {
	var head [8]byte
	if _, err := io.ReadFull(p.conn, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: head[3] >> 4, flags: head[3] & 15, stream: binary.BigEndian.Uint32(head[4:])}
	f.body = make([]byte, int(head[0])<<16|int(head[1])<<8|int(head[2]))
	_, err := io.ReadFull(p.conn, f.body)
	return f, err
}

// expectReset wants an RST of the stream with the code next.
func (p *rawPeer) expectReset(stream, code uint32) {
	p.t.Helper()
	f := p.next()
	if f.kind != rst || f.stream != stream || f.code() != code {
		p.t.Fatalf("got frame %+v, want RST %d of stream %d", f, code, stream)
	}
}

// expectEnd wants GOAWAY with the code, then the connection's end.
func (p *rawPeer) expectEnd(code uint32) {
	p.t.Helper()
	for {
		f, err := p.read()
		if err != nil {
			p.t.Fatalf("the session ended without GOAWAY: %v", err)
		}
		if f.kind != goaway {
			continue
		}
		if got := binary.BigEndian.Uint32(f.body[4:]); got != code {
			p.t.Errorf("GOAWAY has code %d, want %d (%q)", got, code, f.body[8:])
		}
		break
	}
	if f, err := p.read(); err != io.EOF {
		p.t.Errorf("after GOAWAY came %+v, %v", f, err)
	}
}
