package console_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/postern-dev/postern/agent/console"
	"github.com/postern-dev/postern/internal/testkit"
)

// terminal is a pseudo-terminal that a Screen writes to.
type terminal struct{ *testkit.Terminal }

func openTerminal(t *testing.T, width, height uint16) terminal {
	t.Helper()
	term := terminal{testkit.OpenTerminal(t, width, height)}
	term.Record()
	return term
}

// await waits until what was written since the mark satisfies want, and gives it.
func (p terminal) await(t *testing.T, since int, what string, want func(string) bool) string {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		text := p.Output()[since:]
		if want(text) {
			return text
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no %s in %q", what, text)
		}
	}
}

func (p terminal) mark() int { return len(p.Output()) }

func containing(part string) func(string) bool {
	return func(text string) bool { return strings.Contains(text, part) }
}

// source is a Source whose View a test changes.
type source struct {
	mu   sync.Mutex
	view console.View
}

func (s *source) View() console.View {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.view
}

func (s *source) change(change func(*console.View)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.view)
}

func run(t *testing.T, s *console.Screen) (cancel func(), ended <-chan error) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return stop, done
}

func awaitEnd(t *testing.T, ended <-chan error) {
	t.Helper()
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the screen does not end")
	}
}

// S0-26: the screen follows its source and the size of its terminal, sends only what
// changes, and leaves the terminal as it was.
func TestScreenOnATerminal(t *testing.T) {
	term := openTerminal(t, 80, 24)
	before, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	from := &source{view: console.View{State: "connecting", Version: "1.2.3"}}
	quit := make(chan struct{}, 1)
	screen := &console.Screen{Source: from, In: term.Program, Out: term.Program, Environ: []string{"TERM=xterm-256color"},
		Color: "transparent", Quit: func() { quit <- struct{}{} }}
	stop, ended := run(t, screen)
	defer stop()
	term.await(t, 0, "first frame", containing("connecting"))
	from.change(func(v *console.View) {
		v.State = "online"
		v.Forwarding = []console.Forwarding{{Name: "web", URL: "https://a.example.com", Upstream: "http://localhost:80"}}
		v.Requests = []console.Request{{At: time.Now(), Method: "GET", Path: "/\x1b[2J\x1b]0;owned\x07", Status: "200 OK"}}
	})
	text := term.await(t, 0, "request", containing("200 OK"))
	if !strings.Contains(text, "https://a.example.com") || strings.Contains(text, "\x1b]0;") || strings.Contains(text, "\x07") {
		t.Errorf("got %q", text)
	}
	if !strings.Contains(text, "\x1b[?1049h") || !strings.Contains(text, "\x1b[32m") {
		t.Errorf("no second screen, or no colours: %q", text)
	}

	mark := term.mark()
	from.change(func(v *console.View) { v.Connections.Total = 4711 })
	text = term.await(t, mark, "count", containing("4711"))
	if strings.Contains(text, "a.example.com") || len(text) > 200 {
		t.Errorf("one number changed, and that was sent: %q", text)
	}

	mark = term.mark()
	term.Resize(40, 10)
	if err := unix.Kill(os.Getpid(), unix.SIGWINCH); err != nil { // the terminal is not this process's own
		t.Fatal(err)
	}
	term.await(t, mark, "frame of another size", containing("GET  /"))

	term.Press("\x03")
	select {
	case <-quit:
	case <-time.After(10 * time.Second):
		t.Fatal("Ctrl+C has no effect")
	}
	term.await(t, mark, "word of the end", containing("closing"))
	stop()
	awaitEnd(t, ended)
	term.await(t, mark, "first screen", containing("\x1b[?1049l"))
	after, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("the terminal works differently now: %+v, before %+v", after, before)
	}
}

// A second Ctrl+C gets the terminal back before the end.
func TestScreenAborts(t *testing.T) {
	term := openTerminal(t, 80, 24)
	aborted := make(chan string, 1)
	screen := &console.Screen{Source: &source{}, In: term.Program, Out: term.Program, Environ: []string{"TERM=xterm"}, Quit: func() {},
		Abort: func() {
			aborted <- term.await(t, 0, "first screen", containing("\x1b[?1049l"))
		}}
	_, ended := run(t, screen)
	term.await(t, 0, "first frame", containing("Ctrl+C to quit"))
	term.Press("\x03\x03")
	awaitEnd(t, ended)
	if len(aborted) != 1 {
		t.Error("no abort")
	}
}

// Where colours are not wanted none are sent, whatever the ground.
func TestScreenWithoutColours(t *testing.T) {
	term := openTerminal(t, 80, 24)
	screen := &console.Screen{Source: &source{view: console.View{State: "online"}}, Out: term.Program, Color: "black",
		Environ: []string{"TERM=xterm-256color", "NO_COLOR=1"}}
	stop, ended := run(t, screen)
	text := term.await(t, 0, "frame", containing("online"))
	for _, colour := range []string{"\x1b[32m", "\x1b[37", "40m"} {
		if strings.Contains(text, colour) {
			t.Errorf("%q holds %q", text, colour)
		}
	}
	stop()
	awaitEnd(t, ended)
}

// A terminal that takes nothing any more holds nobody up.
func TestScreenOnAStuckTerminal(t *testing.T) {
	term := testkit.OpenTerminal(t, 400, 400)
	screen := &console.Screen{Source: &source{}, In: term.Program, Out: term.Program, Environ: []string{"TERM=xterm"}, Color: "black"}
	before, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	stop, ended := run(t, screen)
	await := func(what string, full func(held int) bool) {
		deadline := time.After(10 * time.Second)
		for {
			held, err := unix.IoctlGetInt(int(term.Person.Fd()), unix.TIOCINQ)
			if err != nil {
				t.Fatal(err)
			}
			if full(held) {
				return
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-deadline:
				t.Fatalf("the terminal is not %s: %d bytes", what, held)
			}
		}
	}
	last := 0
	await("full", func(held int) bool { // it holds less than a frame
		full := held > 1000 && held == last
		last = held
		return full
	})
	stop()
	awaitEnd(t, ended)
	after, err := unix.IoctlGetTermios(int(term.Program.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	if *after != *before {
		t.Errorf("the terminal works differently now: %+v, before %+v", after, before)
	}
	_ = term.Person.Close() // and what still writes fails
}

func TestChooseUI(t *testing.T) {
	term := openTerminal(t, 80, 24)
	file, err := os.Create(t.TempDir() + "/out")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		setting string
		out     *os.File
		kind    string
		want    console.UI
	}{
		{"", term.Program, "xterm", console.ScreenUI}, {"iftty", term.Program, "xterm", console.ScreenUI}, {"true", term.Program, "", console.ScreenUI},
		{"", term.Program, "dumb", console.RowsUI}, {"false", term.Program, "xterm", console.NoUI},
		{"", file, "xterm", console.NoUI}, {"true", file, "xterm", console.RowsUI}, {"", nil, "xterm", console.NoUI},
	} {
		got, err := console.ChooseUI(c.setting, c.out, func(string) string { return c.kind })
		if got != c.want || err != nil {
			t.Errorf("%q, TERM=%s: %v, %v", c.setting, c.kind, got, err)
		}
	}
	if _, err := console.ChooseUI("yes", file, os.Getenv); err == nil {
		t.Error("console_ui: yes is nothing")
	}
	for setting, want := range map[string]string{"": "black", "black": "black", "transparent": "transparent"} {
		if got, err := console.ChooseColor(setting); got != want || err != nil {
			t.Errorf("%q is %q, %v", setting, got, err)
		}
	}
	if _, err := console.ChooseColor("pink"); err == nil {
		t.Error("console_ui_color: pink is nothing")
	}
}
