package control_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/link/native"
	"github.com/postern-dev/postern/server/control"
)

// hello is what an agent sends first, on either wire: a heartbeat and Auth, each on a
// stream of its own.
func hello(token string) []byte {
	stream := func(id, streamType uint32, body string) []byte {
		frame := binary.BigEndian.AppendUint32(nil, uint32(4+len(body))<<8|1<<4|2) // DATA, SYN
		frame = binary.BigEndian.AppendUint32(frame, id)
		frame = binary.BigEndian.AppendUint32(frame, streamType)
		return append(frame, body...)
	}
	return append(stream(3, 0xFFFFFFFF, "ping"),
		stream(5, 0, fmt.Sprintf(`{"Version":["3","2"],"ClientId":"","Extra":{"Authtoken":%q}}`, token))...)
}

// Whoever stalls at whatever step of the handshake holds a connection, and nothing
// else, for no longer than the time to authenticate; then everything of it is gone.
// goleak, and synctest itself, find what is left.
func TestStallAtEveryStep(t *testing.T) {
	const patience = 10 * time.Second
	for _, alpn := range []string{"", native.ALPN} {
		for _, token := range []string{"alpha", "wrong"} {
			said := hello(token)
			for length := range len(said) + 1 {
				for _, reads := range []bool{true, false} {
					synctest.Test(t, func(t *testing.T) {
						w := newWorld(t, func(c *control.Config) { c.AuthTimeout = patience })
						ours, theirs := testkit.Pipe()
						defer theirs.Close()
						if reads {
							go func() { _, _ = io.Copy(io.Discard, theirs) }()
						}
						if _, err := theirs.Write(said[:length]); err != nil {
							t.Fatal(err)
						}
						started := time.Now()
						w.Serve(t.Context(), ours, alpn)
						most := patience + 3*time.Second
						admitted := length == len(said) && token == "alpha"
						if admitted {
							most = 40 * time.Second // the heartbeat finds it dead
						}
						if was := len(w.service.events) > 0; was != admitted {
							t.Errorf("%q, %s, %d bytes: admitted: %v", alpn, token, length, was)
						}
						if took := time.Since(started); took > most {
							t.Errorf("%q, %s, %d bytes, reads %v: held for %v", alpn, token, length, reads, took)
						}
						if left := w.Sessions(); len(left) != 0 {
							t.Errorf("%d sessions are left", len(left))
						}
					})
				}
			}
		}
	}
}
