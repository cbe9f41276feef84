package edge_test

import (
	"fmt"
	"io"
	"testing"
	"time"
)

// B5-15: a visitor who goes away while the service reads nothing of its body is noticed
// within a second, by its end and by a reset, on both paths, though what it sent before
// is not read.
func TestAbortOfAnUploadThatNobodyReads(t *testing.T) {
	for name, target := range map[string]string{"relay": "/", "net/http": "http://app." + domain + "/"} {
		for _, reset := range []bool{false, true} {
			t.Run(fmt.Sprint(name, ", reset ", reset), func(t *testing.T) {
				t.Parallel()
				s := start(t)
				m := s.serve("http://app."+domain, "")
				conn := s.dial(s.http)
				say(t, conn, "POST "+target+" HTTP/1.1\r\nHost: app."+domain+"\r\nContent-Length: 1000000\r\n\r\n")
				_, err := conn.Write(make([]byte, 40_000)) // what the edge's kernel takes, so that the end behind it comes too
				must(t, err)
				eventually(t, "the upload waits", func() bool { return m.waits.Load() == 1 })
				if reset {
					must(t, conn.SetLinger(0))
				}
				conn.Close()
				began := time.Now()
				eventually(t, "it is noticed", func() bool { return m.streams.Load() == 0 && m.busy.Load() == 0 })
				if took := time.Since(began); took > time.Second {
					t.Errorf("that the visitor has gone was noticed after %s", took)
				}
			})
		}
	}
}

// A visitor who waits is not taken for one who has gone, and the body goes on when the
// service does.
func TestUploadThatWaitsGoesOn(t *testing.T) {
	for name, target := range map[string]string{"relay": "/", "net/http": "http://app." + domain + "/"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			m := s.serve("http://app."+domain, "")
			conn := s.dial(s.http)
			say(t, conn, "POST "+target+" HTTP/1.1\r\nHost: app."+domain+"\r\nContent-Length: 200000\r\n\r\n")
			_, err := conn.Write(make([]byte, 200_000))
			must(t, err)
			eventually(t, "the upload waits", func() bool { return m.waits.Load() == 1 })
			<-time.After(700 * time.Millisecond) // it is looked at
			if m.streams.Load() != 1 {
				t.Fatal("the upload was cut")
			}
			m.resume.Do(func() { close(m.resumed) })
			text, err := io.ReadAll(io.LimitReader(conn, 15))
			if err != nil || string(text) != "HTTP/1.1 200 OK" {
				t.Errorf("got %q, %v", text, err)
			}
		})
	}
}
