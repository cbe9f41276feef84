package obs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/postern-dev/postern/internal/obs"
	"github.com/postern-dev/postern/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

func TestContextAttributes(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(obs.NewHandler(&out, obs.JSON, slog.LevelInfo))
	outer := obs.With(t.Context(), slog.String("request_id", "req_1"))
	inner := obs.With(outer, slog.String("endpoint", "ep_1"))
	log.InfoContext(inner, "hello", "n", 1)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%q: %v", out.String(), err)
	}
	for key, want := range map[string]any{"msg": "hello", "n": 1.0, "request_id": "req_1", "endpoint": "ep_1"} {
		if line[key] != want {
			t.Errorf("%s = %v, want %v", key, line[key], want)
		}
	}
	out.Reset()
	log.InfoContext(outer, "again")
	if strings.Contains(out.String(), "ep_1") {
		t.Errorf("the outer context learned of the inner one's attributes: %s", out.String())
	}
}

func TestFormats(t *testing.T) {
	for format, want := range map[string]string{
		obs.Logfmt:  `level=INFO msg="service is up" port=80 g.a=b`,
		obs.Console: "INFO  service is up port=80 g.a=b\n",
		"other":     "INFO  service is up port=80 g.a=b\n",
	} {
		var out bytes.Buffer
		log := slog.New(obs.NewHandler(&out, format, slog.LevelInfo))
		log.With("port", 80).WithGroup("g").Info("service is up", "a", "b")
		log.Debug("not shown")
		if !strings.Contains(out.String(), want) || strings.Count(out.String(), "\n") != 1 {
			t.Errorf("%s wrote %q, want one line with %q", format, out.String(), want)
		}
	}
}

// B2, log injection: whatever a stranger sends stays on its line and cannot drive
// a terminal.
func FuzzNoForgedLines(f *testing.F) {
	f.Add("a\nlevel=ERROR msg=forged")
	f.Add("\x1b[2J\x00\r")
	f.Add("\u2028\u0085\x7f")
	f.Fuzz(func(t *testing.T, value string) {
		for _, format := range []string{obs.JSON, obs.Logfmt, obs.Console} {
			var out bytes.Buffer
			slog.New(obs.NewHandler(&out, format, slog.LevelInfo)).Info("seen", "value", value)
			line := strings.TrimSuffix(out.String(), "\n")
			for _, r := range line {
				if r < ' ' || format != obs.JSON && (r == 0x7f || r == '\u0085' || r == '\u2028') {
					t.Fatalf("%s let %q through in %q", format, r, line)
				}
			}
		}
	})
}

// stuck blocks every Write until released.
type stuck struct {
	release chan struct{}
	out     bytes.Buffer
}

func (s *stuck) Write(p []byte) (int, error) {
	<-s.release
	return s.out.Write(p)
}

func TestFullPipeDropsAndCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &stuck{release: make(chan struct{})}
		handler := obs.NewHandler(w, obs.Logfmt, slog.LevelInfo)
		log := slog.New(handler)
		text := strings.Repeat("x", 1000)
		for range 3000 { // three times what is queued, and nobody reads
			log.Info("busy", "text", text)
		}
		lost := handler.Dropped()
		if lost < 1000 || lost > 2500 {
			t.Errorf("%d of 3000 lines were dropped", lost)
		}
		close(w.release)
		synctest.Wait()
		if !strings.Contains(w.out.String(), "log lines were dropped") {
			t.Error("nothing was logged about the dropped lines")
		}
		if got := strings.Count(w.out.String(), "msg=busy"); got != 3000-int(lost) {
			t.Errorf("%d lines arrived and %d were dropped, of 3000", got, lost)
		}
	})
}

func TestRequestIDs(t *testing.T) {
	a, b := obs.NewRequestID(), obs.NewRequestID()
	if a == b || !strings.HasPrefix(string(a), "req_") || len(a) != len("req_")+27 {
		t.Errorf("request ids %q and %q", a, b)
	}
}

func BenchmarkHandler(b *testing.B) {
	ctx := obs.With(context.Background(), slog.String("request_id", "req_1"))
	for _, format := range []string{obs.JSON, obs.Console} {
		b.Run(format, func(b *testing.B) {
			log := slog.New(obs.NewHandler(io.Discard, format, slog.LevelInfo))
			b.ReportAllocs()
			for b.Loop() {
				log.InfoContext(ctx, "request", "status", 200)
			}
		})
	}
}
