package edge_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/edge"
)

// What is tapped is the bodies, byte for byte and without framing, however they are
// framed, on every path.
func TestTappedBytesAreTheBodies(t *testing.T) {
	large := strings.Repeat("0123456789abcde\n", 20_000)
	bothPaths(t, func(t *testing.T, path func(*config)) {
		for _, needs := range []edge.Needs{edge.NeedBytes, edge.NeedBytes | edge.NeedHead, edge.NeedBytes | edge.NeedChange} {
			told := new(story)
			s := start(t, path, subscribed(told, &rule{name: "tap", needs: needs}))
			s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				switch r.URL.Path {
				case "/length":
					w.Header().Set("Content-Length", fmt.Sprint(len(b)))
				case "/chunks":
					_ = http.NewResponseController(w).Flush()
				case "/close":
					conn, out, _ := http.NewResponseController(w).Hijack()
					_, _ = out.WriteString("HTTP/1.0 200 OK\r\n\r\n" + string(b))
					_ = out.Flush()
					conn.Close()
					return
				}
				_, _ = w.Write(b)
			}))
			n := 0
			for _, protocol := range []string{"http/1.1", "h2"} {
				client := s.client(protocol)
				for _, target := range []string{"/length", "/chunks", "/close"} {
					for _, sent := range []string{"", "small", large} {
						for _, reader := range []io.Reader{strings.NewReader(sent), struct{ io.Reader }{strings.NewReader(sent)}} {
							response, err := client.Post("https://app."+domain+target, "text/plain", reader)
							must(t, err)
							got := body(t, response)
							told.over(t, n+1)
							up, down := told.body("tap", edge.Upload), told.body("tap", edge.Download)
							if got != sent || up != sent || down != sent {
								t.Errorf("%s %s needs %d: %d bytes sent, %d tapped; %d got, %d tapped", protocol, target, needs, len(sent), len(up), len(got), len(down))
							}
							told.mu.Lock()
							clear(told.bytes)
							told.mu.Unlock()
							n++
						}
					}
				}
			}
		}
	})
}

// Bodies are read and replaced as followers please; lengths follow.
func TestFollowersChangeBodies(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		told := new(story)
		outer := &rule{name: "outer", needs: edge.NeedBytes}
		change := &rule{name: "change", needs: edge.NeedChange,
			request: func(x *edge.Exchange) (*edge.Answer, error) {
				b, err := io.ReadAll(x.Request().Body())
				if err != nil || string(b) == "forged" {
					return nil, postern.Errorf(postern.CodeRequestInvalid, "the signature is wrong")
				}
				x.Request().SetBody(bytes.NewReader(bytes.ToUpper(b)), int64(len(b)))
				return nil, nil
			},
			response: func(x *edge.Exchange) (*edge.Answer, error) {
				x.Response().SetBody(io.MultiReader(strings.NewReader("<"), x.Response().Body(), strings.NewReader(">")), -1)
				return nil, nil
			},
		}
		inner := &rule{name: "inner", needs: edge.NeedBytes}
		s := start(t, path, subscribed(told, outer, change, inner))
		m := s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %d", b, r.ContentLength)
		}))
		conn := s.dial(s.http)
		answers := bufio.NewReader(conn)
		const head = "POST / HTTP/1.1\r\nHost: app." + domain + "\r\n"
		for _, framed := range []string{"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"} {
			if r, got := ask(t, conn, answers, head+framed); got != "<HELLO 5>" || r.ContentLength != -1 {
				t.Errorf("got %q, length %d", got, r.ContentLength)
			}
		}
		say(t, conn, strings.Replace(head, "POST", "HEAD", 1)+"\r\n")
		r, err := http.ReadResponse(answers, &http.Request{Method: http.MethodHead})
		must(t, err)
		if r.StatusCode != 200 {
			t.Errorf("HEAD: %s", r.Status)
		}
		if r, got := ask(t, conn, answers, head+"Content-Length: 6\r\n\r\nforged"); r.StatusCode != 400 || !strings.Contains(got, "signature") {
			t.Errorf("got %q, %d", got, r.StatusCode)
		}
		told.over(t, 12)
		for name, want := range map[string]string{
			told.body("outer", edge.Upload): "hellohelloforged", told.body("inner", edge.Upload): "HELLOHELLO",
			told.body("outer", edge.Download): "<HELLO 5><HELLO 5>", told.body("inner", edge.Download): "HELLO 5HELLO 5",
		} {
			if name != want {
				t.Errorf("tapped %q, want %q", name, want)
			}
		}
		if n := m.busy.Load(); n != 0 {
			t.Errorf("%d are still busy", n)
		}
	})
}

// Followers learn that a transfer broke off, and on whose side.
func TestFollowersAreToldOfAborts(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		for name, c := range map[string]struct {
			request, answer, want string
			leaves                bool
		}{
			"service": {"GET / HTTP/1.1\r\nHost: app." + domain + "\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello",
				"tap: end 200 in 0 out 5 ERR_NGROK_3004", false},
			"no answer": {"GET / HTTP/1.1\r\nHost: app." + domain + "\r\nConnection: close\r\n\r\n", "", "tap: end 502 in 0 out ", false},
			"visitor": {"POST / HTTP/1.1\r\nHost: app." + domain + "\r\nContent-Length: 10\r\n\r\nhello", "",
				"tap: end 0 in 5 out 0 ERR_POSTERN_106", true},
		} {
			t.Run(name, func(t *testing.T) {
				told := new(story)
				s := start(t, path, subscribed(told, &rule{name: "tap", needs: edge.NeedBytes | edge.NeedHead}))
				arrived := make(chan struct{})
				s.serve("http://app."+domain, rawUpstream(t, func(conn *net.TCPConn) {
					reader := bufio.NewReader(conn)
					r, err := http.ReadRequest(reader)
					if err != nil {
						return
					}
					_, _ = io.ReadFull(r.Body, make([]byte, min(r.ContentLength, 5)))
					close(arrived)
					_, _ = io.Copy(io.Discard, r.Body)
					_, _ = io.WriteString(conn, c.answer)
					_ = conn.SetLinger(0)
					if c.answer != "" {
						_ = conn.SetLinger(-1)
					}
				}))
				conn := s.dial(s.http)
				say(t, conn, c.request)
				<-arrived
				if c.leaves {
					conn.Close()
				} else {
					_, _ = io.ReadAll(conn)
				}
				told.over(t, 1)
				if got := told.String(); !strings.Contains(got, c.want) {
					t.Errorf("followers were told\n%s\nwant %s", got, c.want)
				}
			})
		}
	})
}

// A follower sees that a protocol is switched, may edit the head of that, and is told how
// many bytes passed; or it refuses.
func TestFollowersSeeUpgrades(t *testing.T) {
	told := new(story)
	s := start(t, subscribed(told, &rule{name: "rule", needs: edge.NeedHead | edge.NeedBytes,
		response: func(x *edge.Exchange) (*edge.Answer, error) {
			if x.Request().Target() == "/denied" {
				return nil, &postern.Error{Code: postern.CodeMisdirected}
			}
			x.Response().Set("X-Rule", "1")
			return nil, nil
		}}))
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.CloseNow()
		_, message, err := conn.Read(r.Context())
		if err == nil {
			_ = conn.Write(r.Context(), websocket.MessageText, message)
		}
	}))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	options := &websocket.DialOptions{HTTPClient: s.client("http/1.1")}
	if _, response, err := websocket.Dial(ctx, "wss://app."+domain+"/denied", options); err == nil || response.StatusCode != 421 {
		t.Fatalf("%v %v", response, err)
	}
	conn, response, err := websocket.Dial(ctx, "wss://app."+domain+"/socket", options)
	must(t, err)
	defer conn.CloseNow()
	must(t, conn.Write(ctx, websocket.MessageText, []byte("hello")))
	_, _, err = conn.Read(ctx)
	must(t, err)
	conn.CloseNow()
	told.over(t, 2)
	if response.Header.Get("X-Rule") != "1" || !strings.Contains(told.String(), "rule: upgraded true\nrule: end 101 in 11 out ") {
		t.Errorf("got %v, and followers were told\n%s", response.Header, told)
	}
}

// Interim answers pass unseen by followers; the final one is shown once.
func TestInterimAnswersPassFollowers(t *testing.T) {
	bothPaths(t, func(t *testing.T, path func(*config)) {
		told := new(story)
		s := start(t, path, subscribed(told, &rule{name: "rule", needs: edge.NeedHead}))
		s.serve("http://app."+domain, s.upstream(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style.css>; rel=preload")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusNoContent)
		}))
		conn := s.dial(s.http)
		say(t, conn, "GET / HTTP/1.1\r\nHost: app."+domain+"\r\n\r\n")
		answers := bufio.NewReader(conn)
		for _, want := range []int{103, 204} {
			response, err := http.ReadResponse(answers, nil)
			must(t, err)
			if response.StatusCode != want || response.Header.Get("Link") == "" {
				t.Errorf("got %v, want %d", response, want)
			}
		}
		told.over(t, 1)
		if got := told.String(); strings.Count(got, "response") != 1 || !strings.Contains(got, "response 204") {
			t.Errorf("followers were told\n%s", got)
		}
	})
}
