package announce

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

func endpoint(url string, online bool, refusal *postern.Error) agent.EndpointStatus {
	return agent.EndpointStatus{EndpointStatus: session.EndpointStatus{URL: url, Online: online, Refusal: refusal}}
}

// What waits for the file must read all URLs, https first, or none.
func TestFileAndNotices(t *testing.T) {
	var told []string
	path := filepath.Join(t.TempDir(), "url")
	n := &Announcer{URLFile: path, Logger: slog.New(slog.DiscardHandler), Notify: func(lines ...string) error {
		told = append(told, lines...)
		return nil
	}}
	online, refused := session.Status{State: session.Online}, &postern.Error{Code: postern.CodeConflict}
	content := func() string {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return string(text)
	}
	for i, step := range []struct {
		status    session.Status
		endpoints []agent.EndpointStatus
		want      string
	}{
		{session.Status{State: session.Connecting}, []agent.EndpointStatus{endpoint("", false, nil)}, ""},
		{online, []agent.EndpointStatus{endpoint("http://a", true, nil), endpoint("", false, nil)}, ""},
		{online, []agent.EndpointStatus{endpoint("http://a", true, nil), endpoint("https://a", true, nil), endpoint("", false, refused)}, "https://a\nhttp://a\n"},
		{session.Status{State: session.Reconnecting, Why: refused}, []agent.EndpointStatus{endpoint("http://a", false, nil)}, "https://a\nhttp://a\n"},
		{online, []agent.EndpointStatus{endpoint("tcp://b:1", true, nil)}, "tcp://b:1\n"},
	} {
		n.look(t.Context(), step.status, step.endpoints)
		if got := content(); got != step.want {
			t.Errorf("step %d: %q, want %q", i, got, step.want)
		}
	}
	n.end()
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("at the end the file is there: %v", err)
	}
	if i := slices.Index(told, "READY=1"); i < 0 || slices.Index(told, "STATUS=connecting") > i || told[len(told)-1] != "STOPPING=1" {
		t.Errorf("%q", told)
	}
	if count := strings.Count(strings.Join(told, "|"), "READY=1"); count != 1 {
		t.Errorf("ready %d times: %q", count, told)
	}
}

// An agent without endpoints is ready once it is connected.
func TestReadyWithoutEndpoints(t *testing.T) {
	var told []string
	n := &Announcer{Logger: slog.New(slog.DiscardHandler), Notify: func(lines ...string) error {
		told = append(told, lines...)
		return nil
	}}
	n.look(t.Context(), session.Status{State: session.Connecting}, nil)
	if slices.Contains(told, "READY=1") {
		t.Errorf("before the session: %q", told)
	}
	n.look(t.Context(), session.Status{State: session.Online}, nil)
	if !slices.Contains(told, "READY=1") {
		t.Errorf("%q", told)
	}
}
