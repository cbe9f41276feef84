package announce

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/internal/disk"
)

// Announcer tells of one agent.
type Announcer struct {
	URLFile string // gets the public URLs, one a line, https first; "" is none
	// Notify tells the service manager; nil is nobody.
	Notify func(assignments ...string) error
	Logger *slog.Logger

	ready bool
	said  string // the latest STATUS
	wrote string // what the file holds
}

// Run tells of what becomes of a, whose Run the caller calls at the same time, until
// ctx ends. The file appears when every endpoint has its answer, so whoever waits for
// it reads all of them, is replaced at once when URLs change, and is removed at the end.
func (n *Announcer) Run(ctx context.Context, a *agent.Agent) {
	changed := make(chan struct{}, 1)
	tell := func() {
		select {
		case changed <- struct{}{}:
		default: // it will look anyway
		}
	}
	defer a.Listen(agent.Events{
		Status:  func(session.Status) { tell() },
		Online:  func(agent.Online) { tell() },
		Refused: func(string, *postern.Error) { tell() },
		Stopped: func(string, *postern.Error) { tell() },
		Removed: func(string, string) { tell() },
	})()
	for {
		n.look(ctx, a.Status(), a.Endpoints())
		select {
		case <-changed:
		case <-ctx.Done():
			n.end()
			return
		}
	}
}

// look brings what was told up to date.
func (n *Announcer) look(ctx context.Context, status session.Status, endpoints []agent.EndpointStatus) {
	urls, waiting := URLs(endpoints), 0
	for _, e := range endpoints {
		if !e.Online && e.Refusal == nil {
			waiting++
		}
	}
	n.status(ctx, status, urls)
	if status.State != session.Online || waiting > 0 {
		return // what was told stays: the names come back
	}
	if len(urls) > 0 || len(endpoints) == 0 {
		n.file(ctx, urls)
		n.isReady(ctx)
	}
}

// URLs are those that are online, https first, else in their order.
func URLs(endpoints []agent.EndpointStatus) []string {
	var urls []string
	for _, e := range endpoints {
		if e.Online {
			urls = append(urls, e.URL)
		}
	}
	slices.SortStableFunc(urls, func(a, b string) int { return rank(a) - rank(b) })
	return urls
}

func rank(url string) int {
	if strings.HasPrefix(url, "https://") {
		return 0
	}
	return 1
}

func (n *Announcer) file(ctx context.Context, urls []string) {
	if n.URLFile == "" {
		return
	}
	text := strings.Join(append(urls, ""), "\n")
	if text == n.wrote {
		return
	}
	if err := disk.Replace(n.URLFile, []byte(text), 0o600); err != nil {
		n.Logger.ErrorContext(ctx, "the URLs cannot be written", slog.String("path", n.URLFile), slog.Any("err", err))
		return
	}
	n.wrote = text
}

func (n *Announcer) isReady(ctx context.Context) {
	if n.ready {
		return
	}
	n.ready = true
	n.notify(ctx, "READY=1")
}

// status is one line for people who ask the service manager.
func (n *Announcer) status(ctx context.Context, status session.Status, urls []string) {
	text := string(status.State)
	switch {
	case status.Why != nil:
		text += ": " + status.Why.Error()
	case status.State == session.Online && len(urls) > 0:
		text += fmt.Sprintf(": %s", strings.Join(urls, " "))
	}
	if text != n.said {
		n.said = text
		n.notify(ctx, "STATUS="+text)
	}
}

func (n *Announcer) notify(ctx context.Context, assignments ...string) {
	if n.Notify == nil {
		return
	}
	if err := n.Notify(assignments...); err != nil {
		n.Logger.WarnContext(ctx, "the service manager could not be told", slog.Any("err", err))
	}
}

func (n *Announcer) end() {
	ctx := context.Background()
	n.notify(ctx, "STOPPING=1")
	if n.wrote == "" {
		return
	}
	if err := os.Remove(n.URLFile); err != nil && !errors.Is(err, fs.ErrNotExist) {
		n.Logger.WarnContext(ctx, "the file with the URLs cannot be removed", slog.String("path", n.URLFile), slog.Any("err", err))
	}
}
