package gateway

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// A bug that one connection finds ends that connection.
func TestPanicsEndWhatFoundThem(t *testing.T) {
	var log bytes.Buffer
	r := &Runtime{log: slog.New(slog.NewTextHandler(&log, nil))}
	if !r.start(func() { panic("a bug") }) {
		t.Fatal("nothing was started")
	}
	r.all.Wait()
	if text := log.String(); !strings.Contains(text, "a bug") || !strings.Contains(text, "survive_internal_test.go") {
		t.Errorf("the log has %s", text)
	}
}
