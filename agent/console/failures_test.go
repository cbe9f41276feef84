package console_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
)

func TestFailures(t *testing.T) {
	var out bytes.Buffer
	failures := console.NewFailures(console.NewHandler(&out, console.Logfmt, console.LevelCrit, false))
	log := slog.New(failures)
	log.Info("fine")
	if got := failures.Latest(); got != nil {
		t.Errorf("a failure without one: %+v", got)
	}
	for _, c := range []struct {
		tell func()
		text string
		code postern.Code
	}{
		{func() { log.Warn("failed to open private leg", "privaddr", "x", "err", "dial tcp: refused") },
			"failed to open private leg: dial tcp: refused", postern.CodeUpstreamUnreachable},
		{func() {
			log.With("name", "db").Error("failed to start tunnel", "err", &postern.Error{Code: postern.CodeAlreadyOnline, Message: "taken"})
		},
			"db: failed to start tunnel: taken (ERR_NGROK_334)", postern.CodeAlreadyOnline},
		{func() { log.WithGroup("g").Warn("configuration", "warning", "line 3: huh") }, "configuration: line 3: huh", ""},
	} {
		c.tell()
		if got := failures.Latest(); got == nil || got.Text != c.text || got.Code != c.code || got.At.IsZero() {
			t.Errorf("got %+v, want %q with %q", got, c.text, c.code)
		}
	}
	if out.Len() > 0 {
		t.Errorf("levels that the log does not want came through: %q", out.String())
	}
	log.Log(t.Context(), console.LevelCrit, "command failed")
	if !strings.Contains(out.String(), "command failed") {
		t.Errorf("the log has %q", out.String())
	}
}

// S3-5: programs of the first generation wait for obj=csess, after the tunnel's line.
func TestFirstGeneration(t *testing.T) {
	var out bytes.Buffer
	h := console.NewHandler(&out, console.Logfmt, slog.LevelInfo, true)
	log := slog.New(h.FirstGeneration().In(console.Logfmt))
	log.Info("client session established", "obj", "tunnels.session")
	log.Info("tunnel session started", "obj", "tunnels.session")
	log.Info("started tunnel", "obj", "tunnels")
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	for i, want := range []string{
		` msg="tunnel session started" obj=tunnels.session`, ` msg="client session established" obj=csess id=`, ` msg="started tunnel" obj=tunnels`,
	} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %q, want %q in it", i, lines[i], want)
		}
	}
	if id := lines[1][strings.LastIndexByte(lines[1], '=')+1:]; len(id) != 12 {
		t.Errorf("the id is %q", id)
	}
}
