package sshr

import (
	"bytes"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
)

const (
	// mostScreens is how many session channels a connection may have.
	mostScreens = 8
	// mostLines is how many lines wait for a client that reads slowly; it is not shown
	// what comes then.
	mostLines = 256
	// typedBuffer is how much of what is typed is looked at at once.
	typedBuffer = 256
)

// Exit statuses of session channels.
const (
	statusLeft    = 0 // the client's own wish
	statusRefused = 1 // nothing of what it asked for is online
	statusUsage   = 2 // its command cannot be read
	statusEnded   = 3 // the server ended the session
)

// The keys that end a session.
const (
	controlC = 0x03
	controlD = 0x04
)

// screen is a session channel: it shows what is online.
type screen struct {
	session *session
	channel ssh.Channel

	mu       sync.Mutex
	terminal bool // lines end as terminals want it
	shown    bool // shell or exec was asked for
	lines    []string
	ending   bool
	status   uint32
	wake     chan struct{}
	gone     chan struct{} // closed when the client has closed it
}

func newScreen(s *session, channel ssh.Channel) *screen {
	return &screen{session: s, channel: channel, wake: make(chan struct{}, 1), gone: make(chan struct{})}
}

// mayShow takes a place for a screen.
func (s *session) mayShow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause != nil || s.screenPlaces >= mostScreens {
		return false
	}
	s.screenPlaces++
	return true
}

// unshow gives it back.
func (s *session) unshow(one *screen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.screenPlaces--
	delete(s.screens, one)
}

// show prints lines on every screen.
func (s *session) show(lines ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for one := range s.screens {
		one.print(lines...)
	}
}

// part ends the session with a last word of its own.
func (s *session) part(status uint32, why *postern.Error) {
	s.mu.Lock()
	screens := make([]*screen, 0, len(s.screens))
	for one := range s.screens {
		screens = append(screens, one)
	}
	s.mu.Unlock()
	for _, one := range screens {
		one.end(status)
	}
	s.Close(why)
}

// serve runs the screen until its channel has ended.
func (c *screen) serve(requests <-chan *ssh.Request) {
	defer c.session.unshow(c)
	var work sync.WaitGroup
	work.Go(c.watchKeys)
	work.Go(c.write)
	for request := range requests {
		ok := c.hear(request)
		if request.WantReply {
			_ = request.Reply(ok, nil)
		}
	}
	close(c.gone)
	work.Wait()
}

// hear takes one request of the client.
func (c *screen) hear(request *ssh.Request) (ok bool) {
	switch request.Type {
	case "pty-req":
		c.mu.Lock()
		defer c.mu.Unlock()
		c.terminal = true
		return true
	case "env", "window-change":
		return true
	case "shell":
		return c.begin("")
	case "exec":
		var command struct{ Line string }
		return ssh.Unmarshal(request.Payload, &command) == nil && c.begin(command.Line)
	case "signal":
		c.session.part(statusLeft, left())
		return true
	}
	return false // subsystems, agent and X11 forwarding
}

// begin shows the session, as the client's command wants it.
func (c *screen) begin(command string) bool {
	c.mu.Lock()
	again := c.shown
	c.shown = true
	c.mu.Unlock()
	if again {
		return false
	}
	options, err := ParseCommand(command)
	s := c.session
	s.mu.Lock()
	s.screens[c] = struct{}{}
	if s.refused == nil && err == nil {
		c.print(s.greeting()...)
	}
	s.mu.Unlock()
	switch {
	case s.refused != nil:
		c.end(statusRefused, problemLines(s.refused)...)
		s.Close(s.refused)
	case err != nil:
		c.end(statusUsage, problemLines(postern.AsError(err))...)
		s.Close(postern.AsError(err))
	default:
		s.choose(options)
	}
	return true
}

// greeting is what a screen begins with. mu is held.
func (s *session) greeting() []string {
	lines := []string{"Account     " + oneLine(s.account)}
	online := make([]string, 0, len(s.places))
	for _, f := range s.places {
		online = append(online, f.line())
	}
	slices.Sort(online)
	lines = append(lines, online...)
	if s.asked == 0 {
		lines = append(lines, "Nothing is forwarded: give ssh a remote forward, such as -R 80:localhost:8080")
	}
	return lines
}

// line shows a forward.
func (f *forward) line() string {
	return "Forwarding  " + f.bound.PublicURL + "  (-R " + f.asked.String() + ")"
}

// String is the forward as the user gave it.
func (p place) String() string {
	port := strconv.FormatUint(uint64(p.port), 10)
	if p.address == "" || p.address == "localhost" {
		return port
	}
	return oneLine(p.address) + ":" + port
}

// problemLines show a failure with its code and the next step.
func problemLines(e *postern.Error) []string {
	entry := e.Code.Entry()
	lines := []string{string(e.Code) + "  " + oneLine(e.Text())}
	if entry.Fix != "" {
		lines = append(lines, "            "+entry.Fix)
	}
	return lines
}

// oneLine keeps a message, which may name what a client sent, from moving a cursor.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// print queues lines.
func (c *screen) print(lines ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending && len(c.lines) < mostLines {
		c.lines = append(c.lines, lines...)
		c.rouse()
	}
}

// end shows last lines and ends the screen; only the first end counts.
func (c *screen) end(status uint32, lines ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ending {
		c.lines = append(c.lines, lines...)
		c.ending, c.status = true, status
		c.rouse()
	}
}

// rouse has the writer look. mu is held.
func (c *screen) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// write shows what is queued, until the channel has ended.
func (c *screen) write() {
	for {
		select {
		case <-c.wake:
		case <-c.gone:
			return
		}
		c.mu.Lock()
		lines, ending, status, terminal := c.lines, c.ending, c.status, c.terminal
		c.lines = nil
		c.mu.Unlock()
		lineEnd := "\n"
		if terminal {
			lineEnd = "\r\n"
		}
		var text bytes.Buffer
		for _, line := range lines {
			text.WriteString(line)
			text.WriteString(lineEnd)
		}
		if _, err := c.channel.Write(text.Bytes()); err != nil {
			return
		}
		if ending {
			_, _ = c.channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			_ = c.channel.CloseWrite()
			_ = c.channel.Close()
			return
		}
	}
}

// watchKeys ends the session when its user wants that. The end of the input means
// nothing: services run ssh without any.
func (c *screen) watchKeys() {
	buffer := make([]byte, typedBuffer)
	for {
		n, err := c.channel.Read(buffer)
		if err != nil {
			return
		}
		c.mu.Lock()
		terminal := c.terminal
		c.mu.Unlock()
		if terminal && (bytes.IndexByte(buffer[:n], controlC) >= 0 || bytes.IndexByte(buffer[:n], controlD) >= 0) {
			c.session.part(statusLeft, left())
		}
	}
}

// left is why a session ended whose user wanted that.
func left() *postern.Error {
	return postern.Errorf(postern.CodeLinkLost, "the SSH client's user ended the session")
}
