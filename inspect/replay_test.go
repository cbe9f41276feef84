package inspect_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/inspect"
)

func dialer(t *testing.T, address string) inspect.Open {
	return func(ctx context.Context, endpoint string) (net.Conn, error) {
		if endpoint != "web" {
			t.Errorf("opened for %q", endpoint)
		}
		return new(net.Dialer).DialContext(ctx, "tcp", address)
	}
}

// S1-26: a captured request is sent again as it was, secrets included, and what comes
// of it is an exchange of its own.
func TestReplay(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %v", r.Method, r.URL, r.Header.Get("Authorization"), body, r.TransferEncoding)
	}))
	defer service.Close()
	r, s := record(t, 0)
	for _, framed := range []string{"Content-Length: 5\r\n\r\nhello", "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"} {
		s.FromVisitor([]byte("POST /hook?x=1 HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer secret\r\n" + framed))
		s.FromService([]byte("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"))
		original := r.Store().List(inspect.Filter{}, 1)[0]
		if err := r.Replay(t.Context(), original.ID, "", dialer(t, service.Listener.Addr().String())); err != nil {
			t.Fatal(err)
		}
		again := r.Store().List(inspect.Filter{}, 1)[0]
		if again.ReplayOf != original.ID || again.ID <= original.ID || string(again.Request.Raw) != string(original.Request.Raw) || again.Remote != original.Remote {
			t.Errorf("%+v", again)
		}
		if body := string(again.Response.Body()); !strings.HasPrefix(body, "POST /hook?x=1 Bearer secret hello") {
			t.Errorf("the service saw %q", body)
		}
	}
}

func TestReplayFails(t *testing.T) {
	r, s := record(t, 0)
	exchange(s, "/", 5)
	id := r.Store().List(inspect.Filter{}, 1)[0].ID

	if err := r.Replay(t.Context(), "airt_x", "", nil); !postern.HasCode(err, postern.CodeNotFound) {
		t.Errorf("no such id: %v", err)
	}
	refused := errors.New("refused")
	if err := r.Replay(t.Context(), id, "", func(context.Context, string) (net.Conn, error) { return nil, refused }); !errors.Is(err, refused) {
		t.Errorf("no connection: %v", err)
	}
	small, big := record(t, 64<<10)
	exchange(big, "/", 20<<10)
	if err := small.Replay(t.Context(), small.Store().List(inspect.Filter{}, 1)[0].ID, "", nil); !postern.HasCode(err, postern.CodeReplayImpossible) {
		t.Errorf("a body that was cut: %v", err)
	}

	for _, begun := range []string{"Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"} {
		part, visitor := record(t, 0)
		visitor.FromVisitor([]byte("POST / HTTP/1.1\r\nHost: h\r\n" + begun))
		visitor.FromService([]byte("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"))
		visitor.End(errors.New("gone"))
		if err := part.Replay(t.Context(), part.Store().List(inspect.Filter{}, 1)[0].ID, "", nil); !postern.HasCode(err, postern.CodeReplayImpossible) {
			t.Errorf("a body that never came whole: %v", err)
		}
	}

	for name, answer := range map[string]string{"hangs up": "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "no HTTP": "", "silent": "wait"} {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		err := r.Replay(ctx, id, "", func(context.Context, string) (net.Conn, error) {
			near, far := net.Pipe()
			go serve(far, answer)
			return near, nil
		})
		cancel()
		if !postern.HasCode(err, postern.CodeUpstreamInvalidResponse) {
			t.Errorf("%s: %v", name, err)
		}
		if last := r.Store().List(inspect.Filter{}, 1)[0]; last.ReplayOf != id || !last.Done || last.Problem == "" {
			t.Errorf("%s: %+v", name, last)
		}
	}
}

// serve reads a request and writes a part of an answer, or waits to be hung up on.
func serve(conn net.Conn, answer string) {
	defer conn.Close()
	request, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, request.Body)
	if answer == "wait" {
		_, _ = conn.Read(make([]byte, 1))
		return
	}
	_, _ = io.WriteString(conn, answer)
}
