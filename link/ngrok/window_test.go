package ngrok_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// Frames of muxado v2, as a peer that is neither of our multiplexers writes them.
const (
	frameData   = 1
	frameWindow = 2
	flagSyn     = 2
	flagFin     = 1
)

func writeFrame(t *testing.T, conn net.Conn, kind, flags byte, id uint32, body []byte) {
	t.Helper()
	frame := binary.BigEndian.AppendUint32(nil, uint32(len(body))<<8|uint32(kind)<<4|uint32(flags))
	frame = binary.BigEndian.AppendUint32(frame, id)
	if _, err := conn.Write(append(frame, body...)); err != nil {
		t.Error(err)
	}
}

func readFrame(conn net.Conn) (kind byte, id uint32, body []byte, err error) {
	var head [8]byte
	if _, err = io.ReadFull(conn, head[:]); err != nil {
		return 0, 0, nil, err
	}
	body = make([]byte, binary.BigEndian.Uint32(head[:])>>8)
	_, err = io.ReadFull(conn, body)
	return head[3] >> 4, binary.BigEndian.Uint32(head[4:]), body, err
}

// ngrok-rust does not count credit above 256 KiB. A server that gave credit only
// after half of a larger window had come would wait for it for ever.
func TestAnAgentThatClampsItsWindowIsNotStalled(t *testing.T) {
	const window, upload = 256 << 10, 8 << 20
	synctest.Test(t, func(t *testing.T) {
		registrar := linktest.NewRegistrar(token)
		conn, far := testkit.Pipe()
		served := serve(t, far, registrar)
		raw, err := sessionmsg.Encode(sessionmsg.NewAuth(link.Hello{Token: token, Agent: postern.AgentInfo{UserAgent: nodeAgent}}, nil))
		if err != nil {
			t.Fatal(err)
		}
		writeFrame(t, conn, frameData, flagSyn, 3, append([]byte{0, 0, 0, 0}, raw...))

		ended := make(chan struct{})
		go func() {
			defer close(ended)
			credit, left, visitor := window, upload, uint32(0)
			for {
				kind, id, body, err := readFrame(conn)
				if err != nil {
					return
				}
				if kind == frameData && len(body) >= 4 && binary.BigEndian.Uint32(body) == sessionmsg.TypeProxy {
					visitor = id
				}
				if visitor == 0 || id != visitor {
					continue // the reply to Auth, a heartbeat
				}
				if kind == frameWindow {
					credit = min(credit+int(binary.BigEndian.Uint32(body)), window)
				}
				for credit > 0 && left > 0 {
					n := min(credit, left, 16<<10)
					writeFrame(t, conn, frameData, 0, id, make([]byte, n))
					if credit, left = credit-n, left-n; left == 0 {
						writeFrame(t, conn, frameData, flagFin, id, nil)
					}
				}
			}
		}()
		admitted, err := registrar.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stream, err := admitted.Session.Open(t.Context(), header, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, stream); n != upload || err != nil {
			t.Errorf("%d bytes of %d arrived, %v", n, upload, err)
		}
		stream.Close()
		conn.Close()
		<-ended
		<-served
	})
}
