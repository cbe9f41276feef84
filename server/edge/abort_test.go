package edge_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// A service that answers early is heard while the visitor still sends: 20 MiB do not
// fit into any buffer on the way.
func TestEarlyAnswerIsReadDuringUpload(t *testing.T) {
	s := start(t)
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		_, _ = io.WriteString(w, "too large")
	}))
	conn := s.dialTLS("app."+domain, "http/1.1")
	go func() {
		_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: app."+domain+"\r\nContent-Length: 20971520\r\n\r\n")
		_, _ = io.Copy(conn, io.LimitReader(zeros{}, 20<<20))
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	must(t, err)
	if got := body(t, response); response.StatusCode != 413 || got != "too large" {
		t.Errorf("got %d %q", response.StatusCode, got)
	}
	if !response.Close {
		t.Error("the connection would be used again after half a request")
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// B5-15: the service's side is cancelled within a second when the visitor aborts,
// during an upload and while it waits for the answer.
func TestVisitorAbortCancelsUpstream(t *testing.T) {
	s := start(t)
	cancelled := make(chan error, 1)
	reading := make(chan struct{}, 1)
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/upload" {
			var b [1]byte
			_, _ = io.ReadFull(r.Body, b[:])
			reading <- struct{}{}
			_, err := io.Copy(io.Discard, r.Body)
			cancelled <- err
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		reading <- struct{}{}
		<-r.Context().Done()
		cancelled <- r.Context().Err()
	}))
	for _, head := range []string{"POST /upload HTTP/1.1\r\nContent-Length: 1000000\r\n", "GET /wait HTTP/1.1\r\n"} {
		conn := s.dialTLS("app."+domain, "http/1.1")
		text := head + "Host: app." + domain + "\r\n\r\n"
		if strings.HasPrefix(head, "POST") {
			text += "x"
		}
		_, err := io.WriteString(conn, text)
		must(t, err)
		<-reading
		began := time.Now()
		conn.NetConn().Close()
		if err := <-cancelled; err == nil {
			t.Error("the service believes that it got everything")
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %s", took)
		}
	}
}

// B5-13: when the service breaks off, the visitor never sees a clean end.
func TestUpstreamResetIsNeverACleanEnd(t *testing.T) {
	s := start(t)
	for name, head := range map[string]string{
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		"length":  "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello",
		"close":   "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
	} {
		cut := make(chan struct{})
		addr := rawUpstream(t, func(conn *net.TCPConn) {
			_, _ = http.ReadRequest(bufio.NewReader(conn))
			_, _ = io.WriteString(conn, head)
			<-cut
			_ = conn.SetLinger(0)
			conn.Close()
		})
		s.serve("https://"+name+"."+domain, addr)
		s.serve("http://"+name+"."+domain, addr)
		for _, v := range []struct{ scheme, protocol string }{{"https", "http/1.1"}, {"https", "h2"}, {"http", "http/1.1"}} {
			response, err := s.client(v.protocol).Get(v.scheme + "://" + name + "." + domain)
			must(t, err)
			var hello [5]byte
			_, err = io.ReadFull(response.Body, hello[:])
			must(t, err)
			cut <- struct{}{}
			if rest, err := io.ReadAll(response.Body); err == nil {
				t.Errorf("%s over %v: a clean end after %q", name, v, rest)
			}
			response.Body.Close()
		}
		// HTTP/1.0 has nothing but the connection's end to tell.
		conn := s.dial(s.http)
		_, err := io.WriteString(conn, "GET / HTTP/1.0\r\nHost: "+name+"."+domain+"\r\n\r\n")
		must(t, err)
		reader := bufio.NewReader(conn)
		_, err = http.ReadResponse(reader, nil)
		must(t, err)
		_, err = reader.Peek(5)
		must(t, err)
		cut <- struct{}{}
		if rest, err := io.ReadAll(reader); err == nil {
			t.Errorf("%s over HTTP/1.0: a clean end after %q", name, rest)
		}
	}
}

// rawUpstream serves each connection by a function.
func rawUpstream(t testing.TB, serve func(*net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn.(*net.TCPConn))
			}()
		}
	}()
	return ln.Addr().String()
}

// 64 MiB pass each way while little memory is held; the race detector makes it slow
// enough as it is.
func TestLargeBodiesStream(t *testing.T) {
	s := start(t)
	const size = 64 << 20
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		_, _ = fmt.Fprint(w, n)
		if r.URL.Path == "/down" {
			_, _ = io.Copy(w, io.LimitReader(zeros{}, size))
		}
	}))
	for _, protocol := range []string{"http/1.1", "h2"} {
		client := s.client(protocol)
		client.Timeout = time.Minute
		response, err := client.Post("https://app."+domain, "application/octet-stream", io.LimitReader(zeros{}, size))
		must(t, err)
		if got := body(t, response); got != fmt.Sprint(size) {
			t.Errorf("%s: the service got %s bytes", protocol, got)
		}
		response, err = client.Get("https://app." + domain + "/down")
		must(t, err)
		n, err := io.Copy(io.Discard, response.Body)
		must(t, err)
		response.Body.Close()
		if n != size+1 {
			t.Errorf("%s: the visitor got %d bytes", protocol, n)
		}
	}
}
