package access

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
)

// A stranger who says nothing, or too little, is gone in ten seconds; at the end of the
// listener at once.
func TestGreetingPatience(t *testing.T) {
	for _, said := range []string{"", "\x05", "\x05\x01\x00", "\x05\x01\x00\x05\x01\x00\x03\x05st", "CONNECT stage:8081 HTTP/1.1\r\nHost: "} {
		synctest.Test(t, func(t *testing.T) {
			a := &Access{config: Config{Gateway: "stage"}, log: testkit.Logger(t), names: newNames("stage", nil), work: t.Context()}
			d := &proxyDoor{access: a, proxy: Proxy{SOCKS5: true, HTTP: true}}
			ctx, cancel := context.WithCancel(t.Context())
			for _, ended := range []bool{false, true} {
				near, far := testkit.Pipe()
				_, _ = near.Write([]byte(said))
				start, over := time.Now(), make(chan struct{})
				go func() {
					defer close(over)
					d.greet(ctx, far.(*testkit.PipeConn))
				}()
				synctest.Wait()
				want := greetingPatience
				if ended {
					cancel()
					want = 0
				}
				<-over
				if took := time.Since(start); took != want {
					t.Errorf("after %q it took %v, want %v", said, took, want)
				}
				_ = near.Close()
			}
			cancel()
		})
	}
}

// Heads of strangers neither panic nor name what is no gateway's name.
func FuzzParseConnect(f *testing.F) {
	f.Add([]byte("CONNECT secure-gateway:8081 HTTP/1.1\r\nHost: secure-gateway:8081\r\nProxy-Authorization: Basic YTpi\r\n\r\n"))
	f.Add([]byte("CONNECT [::1]:1 HTTP/1.0\r\n\r\n"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, head []byte) {
		r, err := parseConnect(head)
		if err == nil && r.method == "CONNECT" && !isName(r.host) {
			t.Fatalf("%q names %q", head, r.host)
		}
	})
}
