package console_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/console"
)

var at = time.Date(2026, 1, 2, 15, 4, 5, 678900000, time.FixedZone("", 3600))

func line(t *testing.T, format console.Format, terminal bool, level slog.Level, message string, attrs ...any) string {
	t.Helper()
	var out bytes.Buffer
	h := console.NewHandler(&out, format, slog.LevelDebug, terminal)
	r := slog.NewRecord(at, level, message, 0)
	r.Add(attrs...)
	if err := h.Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	text, found := strings.CutSuffix(out.String(), "\n")
	if !found || strings.Contains(text, "\n") {
		t.Errorf("not one line: %q", out.String())
	}
	return text
}

// The order of fields is an interface: scripts cut by number.
func TestStartedTunnelLine(t *testing.T) {
	attrs := []any{"obj", "tunnels", "name", "command_line", "addr", "http://localhost:8501", "url", "https://x.example.com"}
	got := line(t, console.Logfmt, false, slog.LevelInfo, "started tunnel", attrs...)
	want := `t=2026-01-02T15:04:05+0100 lvl=info msg="started tunnel" obj=tunnels name=command_line addr=http://localhost:8501 url=https://x.example.com`
	if got != want {
		t.Errorf("logfmt:\n%s\nwant\n%s", got, want)
	}
	if fields := strings.Split(got, "="); len(fields) != 8 || fields[7] != "https://x.example.com" {
		t.Errorf("cut -d= -f8 gives %q", fields[len(fields)-1])
	}
	got = line(t, console.JSON, false, slog.LevelInfo, "started tunnel", attrs...)
	want = `{"addr":"http://localhost:8501","lvl":"info","msg":"started tunnel","name":"command_line","obj":"tunnels","t":"2026-01-02T15:04:05.6789+01:00","url":"https://x.example.com"}`
	if got != want {
		t.Errorf("json:\n%s\nwant\n%s", got, want)
	}
	got = line(t, console.Term, true, slog.LevelInfo, "started tunnel", "obj", "tunnels")
	want = "\x1b[32mINFO\x1b[0m[01-02|15:04:05] started tunnel                           obj=tunnels"
	if got != want {
		t.Errorf("term:\n%q\nwant\n%q", got, want)
	}
	if got := line(t, console.Term, false, slog.LevelInfo, "x"); !strings.HasPrefix(got, "t=2026") {
		t.Errorf("term without a terminal: %q", got)
	}
}

func TestLevels(t *testing.T) {
	for word, level := range map[string]slog.Level{"dbug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "eror": slog.LevelError, "crit": console.LevelCrit} {
		if got := line(t, console.Logfmt, false, level, "m"); !strings.Contains(got, " lvl="+word+" ") {
			t.Errorf("%s: %q", word, got)
		}
		if got := line(t, console.Term, true, level, "m"); !strings.Contains(got, strings.ToUpper(word)) {
			t.Errorf("%s: %q", word, got)
		}
	}
	for _, name := range []string{"debug", "info", "warn", "error", "crit", ""} {
		if _, err := console.ParseLevel(name); err != nil {
			t.Errorf("ParseLevel(%q) = %v", name, err)
		}
	}
	if _, err := console.ParseLevel("loud"); !postern.HasCode(err, postern.CodeFlagInvalid) {
		t.Errorf("ParseLevel(loud) = %v", err)
	}
	if _, err := console.ParseFormat("xml"); !postern.HasCode(err, postern.CodeFlagInvalid) {
		t.Errorf("ParseFormat(xml) = %v", err)
	}
}

func TestValues(t *testing.T) {
	got := line(t, console.Logfmt, false, slog.LevelInfo, "m",
		"err", nil, "empty", "", "n", 5, "d", 2*time.Second, "quoted", `a "b"`, "failure", errors.New("x=y"),
		slog.Group("g", "k", true), "two words", 1)
	want := `err=nil empty="" n=5 d=2s quoted="a \"b\"" failure="x=y" g.k=true two_words=1`
	if !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q at its end", got, want)
	}
	got = line(t, console.JSON, false, slog.LevelInfo, "m", "err", nil, "n", 5, "b", true, "t", "mine", "html", "<&>")
	if want := `{"b":true,"err":null,"html":"<&>","lvl":"info","msg":"m","n":5,"t":"2026-01-02T15:04:05.6789+01:00"}`; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestWith(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(console.NewHandler(&out, console.Logfmt, slog.LevelInfo, false))
	log.With("a", 1).WithGroup("g").With("b", 2).Info("m", "c", 3)
	log.Debug("not shown")
	if !strings.HasSuffix(out.String(), "msg=m a=1 g.b=2 g.c=3\n") {
		t.Errorf("got %q", out.String())
	}
}

// Nobody outside can forge a line or drive a terminal: B2.
func FuzzNothingForged(f *testing.F) {
	for _, seed := range []string{"plain", "a\nt=2026 lvl=crit", "\x1b[2J", "\x9b1m", "\xff\xfe", "\u2028", "\x7f", `"`, `\`, "=\r"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		for _, format := range []console.Format{console.Logfmt, console.JSON, console.Term} {
			text := line(t, format, format == console.Term, slog.LevelInfo, value, key, value)
			if format == console.Term {
				text = strings.Replace(strings.Replace(text, "\x1b[32m", "", 1), "\x1b[0m", "", 1)
			}
			if i := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 }); i >= 0 {
				t.Fatalf("%s: a control byte in %q", format, text)
			}
			if format == console.JSON && !json.Valid([]byte(text)) {
				t.Fatalf("not JSON: %q", text)
			}
		}
	})
}

func TestRows(t *testing.T) {
	var out bytes.Buffer
	s := console.NewRows(&out)
	s.Status("connecting", nil)
	s.Status("online", nil)
	s.Status("online", nil)
	s.Forwarding("web", "https://a.example.com", "http://localhost:80")
	s.Forwarding("web", "https://a.example.com", "http://localhost:80")
	s.Status("reconnecting", postern.Errorf(postern.CodeLinkLost, "cut \x1b[2J").Because(errors.New("from port 1")))
	s.Status("reconnecting", postern.Errorf(postern.CodeLinkLost, "cut again").Because(errors.New("from port 2")))
	s.Offline("db", postern.Errorf(postern.CodeAlreadyOnline, "taken"))
	want := `Session Status                connecting
Session Status                online
Forwarding                    https://a.example.com -> http://localhost:80
Session Status                reconnecting (cut \x1b[2J (ERR_POSTERN_103): from port 1)
Offline                       db: taken (ERR_NGROK_334)
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
