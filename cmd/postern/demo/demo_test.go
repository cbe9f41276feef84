package demo_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/cmd/postern/demo"
	"github.com/postern-dev/postern/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

const testAccount = `{"id":"1","firstName":"Test","lastName":"Account","phoneNumber":"+1 555 0100","email":"test.account@example.com"}` + "\n"

// S0-15, S0-28
func TestOnce(t *testing.T) {
	var out bytes.Buffer
	if err := demo.Run(t.Context(), demo.Config{Out: &out, Once: true, Logger: testkit.Logger(t)}); err != nil {
		t.Fatal(err)
	}
	if out.String() != testAccount {
		t.Errorf("answer %q", out.String())
	}
}

func TestOwnService(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("mine"))
	}))
	defer service.Close()
	var out bytes.Buffer
	if err := demo.Run(t.Context(), demo.Config{Out: &out, Once: true, Upstream: service.URL}); err != nil || out.String() != "mine" {
		t.Errorf("answer %q, %v", out.String(), err)
	}
	err := demo.Run(t.Context(), demo.Config{Out: &out, Once: true, Upstream: "127.0.0.1:1"})
	if !postern.HasCode(err, postern.CodeUpstreamUnreachable) {
		t.Errorf("a service that is not there: %v", err)
	}
	err = demo.Run(t.Context(), demo.Config{Out: &out, Once: true, Upstream: "http://a/b"})
	if !postern.HasCode(err, postern.CodeUpstreamAddressInvalid) {
		t.Errorf("an address that is none: %v", err)
	}
}

// screen is what a terminal shows, readable while it is written.
type screen struct {
	mu    sync.Mutex
	text  bytes.Buffer
	shown chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer close(s.shown) // one write: a second would panic and fail the test
	return s.text.Write(p)
}

// The curl line of the screen works as it is, pasted into a shell.
func TestPastedCurlLine(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	s := &screen{shown: make(chan struct{})}
	ended := make(chan error, 1)
	go func() { ended <- demo.Run(ctx, demo.Config{Out: s, Logger: testkit.Logger(t)}) }()
	<-s.shown
	_, after, _ := strings.Cut(s.text.String(), "terminal:\n\n")
	line, _, _ := strings.Cut(after, "\n\n")
	if !strings.Contains(line, "curl") {
		t.Fatalf("no curl line on the screen:\n%s", s.text.String())
	}
	answer, err := exec.CommandContext(ctx, "sh", "-c", line).Output()
	if err != nil || string(answer) != testAccount {
		t.Errorf("%s\nanswers %q, %v", line, answer, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run = %v after it was told to stop", err)
	}
}
