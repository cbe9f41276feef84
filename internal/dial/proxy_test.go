package dial_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
)

func TestParseProxy(t *testing.T) {
	for text, want := range map[string]string{
		"http://proxy.test:3128":               "http://proxy.test:3128",
		"proxy.test:3128":                      "http://proxy.test:3128",
		"proxy.test":                           "http://proxy.test",
		"https://user:secret@proxy.test/":      "https://user:xxxxx@proxy.test/",
		"socks5://10.0.0.1:1080":               "socks5://10.0.0.1:1080",
		"socks5h://[::1]:1080":                 "socks5h://[::1]:1080",
		"ftp://proxy.test":                     "",
		"http://":                              "",
		"http://proxy.test/path":               "",
		"http://us er:secret@proxy.test:3128/": "",
	} {
		proxy, err := dial.ParseProxy("proxy_url", text)
		switch {
		case want == "" && (!postern.HasCode(err, postern.CodeConfigInvalid) || strings.Contains(err.Error(), "secret")):
			t.Errorf("ParseProxy(%q) = %v", text, err)
		case want != "" && (err != nil || proxy.String() != want || proxy.Source != "proxy_url"):
			t.Errorf("ParseProxy(%q) = %v, %v", text, proxy, err)
		}
	}
}

func TestProxyFromEnvironment(t *testing.T) {
	for name, c := range map[string]struct {
		environment map[string]string
		addr        string
		want        string
	}{
		"none":              {nil, "connect.example.com:443", ""},
		"https":             {map[string]string{"https_proxy": "http://a:1", "http_proxy": "http://b:2"}, "connect.example.com:443", "http://a:1"},
		"capitals":          {map[string]string{"HTTPS_PROXY": "http://a:1"}, "connect.example.com:443", "http://a:1"},
		"http, as in ngrok": {map[string]string{"http_proxy": "b:2"}, "connect.example.com:443", "http://b:2"},
		"all":               {map[string]string{"ALL_PROXY": "socks5://c:3"}, "connect.example.com:443", "socks5://c:3"},
		"excepted":          {map[string]string{"https_proxy": "http://a:1", "no_proxy": ".example.com"}, "connect.example.com:443", ""},
		"another excepted":  {map[string]string{"https_proxy": "http://a:1", "NO_PROXY": "example.org"}, "connect.example.com:443", "http://a:1"},
		"loopback":          {map[string]string{"https_proxy": "http://a:1"}, "127.0.0.1:443", ""},
		"localhost":         {map[string]string{"https_proxy": "http://a:1"}, "localhost:443", ""},
	} {
		proxy, err := dial.ProxyFromEnvironment(func(key string) string { return c.environment[key] }, c.addr)
		got := ""
		if proxy != nil {
			got = proxy.String()
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	if _, err := dial.ProxyFromEnvironment(func(key string) string {
		return map[string]string{"https_proxy": "gopher://a:1"}[key]
	}, "a.test:1"); !postern.HasCode(err, postern.CodeConfigInvalid) {
		t.Errorf("an odd proxy gives %v", err)
	}
}

// proxied runs one connection of a proxy and gives its address.
func proxied(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	listener := listen(t, "tcp", "127.0.0.1:0")
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				serve(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

func through(t *testing.T, proxy string) (net.Conn, error) {
	t.Helper()
	parsed, err := dial.ParseProxy("test", proxy)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&dial.Dialer{Proxy: parsed}).Dial(t.Context(), "tcp", "server.test:443")
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

func TestHTTPProxy(t *testing.T) {
	asked := make(chan *http.Request, 1)
	for name, c := range map[string]struct {
		answer, user string
		want         postern.Code // "" with away false: it works
		away         bool
	}{
		"works":          {"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", "", "", false},
		"HTTP/1.0":       {"HTTP/1.0 200 OK\r\n\r\n", "user:pass@", "", false},
		"with a length":  {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "", "", false},
		"asks for users": {"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 9000\r\n\r\n", "", postern.CodeProxyRefused, false},
		"forbids":        {"HTTP/1.1 403 Forbidden\r\n\r\n<html>", "", postern.CodeProxyRefused, false},
		"server is down": {"HTTP/1.1 502 Bad Gateway\r\n\r\n", "", "", true},
		"is no proxy":    {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "", postern.CodeInternal, false},
		"ends":           {"HTTP/1.1 200", "", postern.CodeInternal, false},
		"has no end":     {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 4000), "", postern.CodeInternal, false},
	} {
		t.Run(name, func(t *testing.T) {
			addr := proxied(t, func(conn net.Conn) {
				request, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				asked <- request
				_, _ = io.WriteString(conn, c.answer+"the server's bytes")
			})
			conn, err := through(t, "http://"+c.user+addr)
			request := <-asked
			if request.Method != "CONNECT" || request.Host != "server.test:443" || (request.Header.Get("Proxy-Authorization") != "") != (c.user != "") {
				t.Errorf("the proxy was asked %s %s %v", request.Method, request.Host, request.Header)
			}
			var answer *dial.ProxyAnswer
			switch {
			case c.away:
				if !errors.As(err, &answer) || answer.Status != 502 {
					t.Errorf("Dial = %v", err)
				}
			case c.want != "":
				if err == nil || postern.AsError(err).Code != c.want {
					t.Errorf("Dial = %v, want %s", err, c.want)
				}
			default:
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(conn); err != nil || string(got) != "the server's bytes" {
					t.Errorf("behind the proxy: %q, %v", got, err)
				}
			}
		})
	}
}

func TestSOCKSProxy(t *testing.T) {
	addr := proxied(t, func(conn net.Conn) {
		head := make([]byte, 2)
		_, _ = io.ReadFull(conn, head)
		_, _ = io.ReadFull(conn, make([]byte, head[1]))
		_, _ = conn.Write([]byte{5, 2}) // user and password
		_, _ = io.ReadFull(conn, head)
		user := make([]byte, head[1])
		_, _ = io.ReadFull(conn, user)
		_, _ = io.ReadFull(conn, head[:1])
		password := make([]byte, head[0])
		_, _ = io.ReadFull(conn, password)
		if string(user) != "user" || string(password) != "pass" {
			_, _ = conn.Write([]byte{1, 1})
			return
		}
		_, _ = conn.Write([]byte{1, 0})
		request := make([]byte, 5)
		_, _ = io.ReadFull(conn, request)
		name := make([]byte, int(request[4])+2)
		_, _ = io.ReadFull(conn, name)
		_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
		port := binary.BigEndian.Uint16(name[len(name)-2:])
		if port == 443 {
			_, _ = conn.Write(name[:len(name)-2])
		}
	})
	conn, err := through(t, "socks5://user:pass@"+addr)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); err != nil || string(got) != "server.test" {
		t.Errorf("the proxy was asked for %q, %v: names are the proxy's to resolve", got, err)
	}
	if _, err := through(t, "socks5://user:wrong@"+addr); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong password gives %v", err)
	}
}

func TestProxyThatIsSilentOrAway(t *testing.T) {
	silent := listen(t, "tcp", "127.0.0.1:0") // the kernel accepts
	parsed, err := dial.ParseProxy("test", silent.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if _, err := (&dial.Dialer{Proxy: parsed}).Dial(ctx, "tcp", "server.test:443"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent proxy gives %v", err)
	}
	addr := silent.Addr().String()
	silent.Close()
	if _, err := through(t, addr); err == nil || !strings.Contains(err.Error(), "the proxy http://"+addr+" cannot be reached") {
		t.Errorf("a proxy that is away gives %v", err)
	}
}

// Whatever a proxy answers, not a byte behind its head is taken, and no more than the
// bound is read.
func FuzzProxyAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\n\r\nrest"))
	f.Add([]byte("HTTP/1.0 407 No\r\nProxy-Authenticate: Basic\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\n\nrest"))
	f.Add([]byte("\r\n\r\n"))
	f.Fuzz(func(t *testing.T, answer []byte) {
		in := bytes.NewReader(answer)
		status, err := dial.ReadAnswer(in)
		taken := len(answer) - in.Len()
		if taken > 16<<10 {
			t.Fatalf("%d bytes were read", taken)
		}
		if err != nil {
			return
		}
		if status < 100 || status > 999 {
			t.Errorf("status %d", status)
		}
		head := answer[:taken]
		if !bytes.HasSuffix(head, []byte("\n\r\n")) && !bytes.HasSuffix(head, []byte("\n\n")) {
			t.Errorf("%q is not a whole head", head)
		}
		for _, end := range []string{"\n\r\n", "\n\n"} {
			if i := bytes.Index(head, []byte(end)); i >= 0 && i+len(end) < taken {
				t.Errorf("%d bytes behind the head were taken", taken-i-len(end))
			}
		}
	})
}
