package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// What a service sends beyond its answer is nobody's: the next visitor on the same
// connection must never get it, however close behind he comes. A body where none
// belongs is the same thing.
func TestBytesBeyondAnAnswerReachNobody(t *testing.T) {
	const poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	for name, first := range map[string]string{
		"two answers":    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + poison,
		"204 with body":  fmt.Sprintf("HTTP/1.1 204 No Content\r\nContent-Length: %d\r\n\r\n", len(poison)) + poison,
		"HEAD with body": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(poison)) + poison,
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			s.serve("http://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
				reader := bufio.NewReader(conn)
				for {
					r, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, r.Body)
					answer := "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
					if r.URL.Path == "/first" {
						answer = first
					}
					if _, err := io.WriteString(conn, answer); err != nil {
						return
					}
				}
			}))
			method := "GET"
			if strings.HasPrefix(name, "HEAD") {
				method = "HEAD"
			}
			var visitors sync.WaitGroup
			for i := range 16 {
				visitors.Go(func() {
					client := s.client("http/1.1")
					for n := range 300 {
						m, path, sent := "GET", "/next", ""
						switch (i + n) % 4 {
						case 0:
							m, path = method, "/first"
						case 1: // nothing of it was sent, so it may be sent elsewhere
							m, sent = "POST", "body"
						}
						r, _ := http.NewRequest(m, "http://app."+domain+path, strings.NewReader(sent))
						response, err := client.Do(r)
						if err != nil {
							t.Error(err)
							return
						}
						got, err := io.ReadAll(response.Body)
						response.Body.Close()
						if response.StatusCode >= 400 || err != nil || len(got) > 0 && string(got) != "ok" {
							t.Errorf("%s: %d %q %v", path, response.StatusCode, got, err)
							return
						}
					}
				})
			}
			visitors.Wait()
		})
	}
}
