package console

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"

	"github.com/postern-dev/postern"
)

var update = flag.Bool("update", false, "write the golden files")

var noon = time.Date(2026, 1, 2, 12, 0, 5, 42e6, time.UTC)

func online() View {
	return View{
		State: "online", Account: "Ada Lovelace", Version: "1.2.3", Region: "Japan (jp)", Latency: 38 * time.Millisecond,
		WebInterface: "http://127.0.0.1:4040",
		Forwarding: []Forwarding{
			{Name: "web", URL: "https://app.example.com", Upstream: "http://localhost:8080"},
			{Name: "web (http)", URL: "http://app.example.com", Upstream: "http://localhost:8080"},
		},
		Connections: Numbers{Total: 1207, Open: 3, Rate1: 0.256, Rate5: 12.5, P50: 12 * time.Millisecond, P90: 5320 * time.Millisecond},
		Requests: []Request{
			{At: noon, Method: "POST", Path: "/searchContactsByName", Status: "200 OK"},
			{At: noon.Add(-time.Second), Method: "GET", Path: "/", Status: "304 Not Modified"},
			{At: noon.Add(-2 * time.Second), Method: "DELETE", Path: "/items/" + strings.Repeat("0123456789", 9), Status: "404 Not Found"},
			{At: noon.Add(-3 * time.Second), Method: "GET", Path: "/slow", Status: ""},
			{At: noon.Add(-4 * time.Second), Method: "GET", Path: "/日本語/🙂", Status: "502 Bad Gateway"},
		},
	}
}

func troubled() View {
	v := online()
	v.State, v.Latency = "reconnecting", 0
	v.Why = postern.Errorf(postern.CodeServerUnreachable, "the server connect.example.com:443 cannot be reached").
		Because(errors.New("dial tcp 192.0.2.1:443: connect: connection refused"))
	v.Update = "version 1.3.0 is there: postern update"
	v.Banner = "Maintenance on Sunday"
	v.Forwarding = append(v.Forwarding,
		Forwarding{Name: "db", Upstream: "localhost:5432", Refusal: postern.Errorf(postern.CodeAlreadyOnline, "tcp.example.com:20001 is online already")},
		Forwarding{Name: "late", Upstream: "http://localhost:9000"})
	v.Failure = &Failure{At: noon, Text: "failed to open private leg: dial tcp 127.0.0.1:8080: connect: connection refused", Code: postern.CodeUpstreamUnreachable}
	return v
}

func crowded() View {
	v := online()
	v.Forwarding = nil
	for i := range 40 {
		v.Forwarding = append(v.Forwarding, Forwarding{URL: fmt.Sprintf("https://site%02d.example.com", i), Upstream: fmt.Sprintf("http://localhost:%d", 8000+i)})
	}
	for i := range 200 {
		v.Requests = append(v.Requests, Request{At: noon.Add(-time.Duration(i) * time.Minute), Method: "GET", Path: fmt.Sprintf("/%d", i), Status: "200 OK"})
	}
	return v
}

// shown is a frame as a terminal without colours shows it.
func shown(f frame) string {
	var text strings.Builder
	for _, l := range f.lines() {
		text.WriteString(strings.TrimRight(ansi.Strip(l.render(f.width, plain)), " ") + "\n")
	}
	return text.String()
}

// S0-26: the rows that people know, at the sizes that terminals have.
func TestFrames(t *testing.T) {
	views := map[string]View{
		"starting": {State: "connecting", Version: "1.2.3", Forwarding: []Forwarding{{Name: "web", Upstream: "http://localhost:80"}}},
		"online":   online(), "troubled": troubled(), "crowded": crowded(),
	}
	for name, view := range views {
		for _, size := range [][2]int{{80, 24}, {120, 40}, {40, 10}} {
			file := fmt.Sprintf("%s_%dx%d", name, size[0], size[1])
			t.Run(file, func(t *testing.T) {
				golden(t, file+".txt", shown(frame{view: view, width: size[0], height: size[1], held: name == "troubled"}))
			})
		}
	}
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	path := filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s is not what it was; -update if it is better now:\n%s", path, got)
	}
}

// Whatever the size, a frame is neither wider nor higher than the screen, and keeps
// the state of the session while there is a row for it.
func TestFramesFit(t *testing.T) {
	for _, view := range []View{{}, online(), troubled(), crowded()} {
		for width := range 140 {
			for _, height := range []int{0, 1, 2, 5, 10, 24, 300} {
				f := frame{view: view, width: width, height: height}
				lines := f.lines()
				if len(lines) > height {
					t.Fatalf("%dx%d: %d rows", width, height, len(lines))
				}
				for _, l := range lines {
					if got := columns(ansi.Strip(l.render(width, "37;40"))); got > width {
						t.Fatalf("%dx%d: %d columns: %q", width, height, got, l.render(width, plain))
					}
				}
				if text := shown(f); height > 0 && width >= 36 && view.State != "" && !strings.Contains(text, view.State) {
					t.Fatalf("%dx%d does not show the state:\n%s", width, height, text)
				}
			}
		}
	}
}

func TestColours(t *testing.T) {
	l := row(0, piece{"a", plain}, piece{"b", red})
	if got, want := l.render(4, plain), "a\x1b[31mb\x1b[m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := l.render(4, "37;40"), "\x1b[37;40ma\x1b[m\x1b[37;40;31mb\x1b[m\x1b[37;40m  \x1b[m"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	for status, want := range map[string]style{"200 OK": green, "302 Found": cyan, "404 Not Found": yellow, "502 Bad Gateway": red, "": plain} {
		if got := statusStyle(status); got != want {
			t.Errorf("%q is %q, want %q", status, got, want)
		}
	}
}
