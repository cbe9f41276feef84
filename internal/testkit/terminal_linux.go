package testkit

import (
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo-terminal. Its methods may be called from anywhere at once.
type Terminal struct {
	t *testing.T

	Person  *os.File // where keys are pressed, and what programs write is read
	Program *os.File // what a program has as its standard input and output

	mu       sync.Mutex
	wrote    []byte
	recorded chan struct{} // closed when nothing more will come; nil without Record
}

// OpenTerminal opens a terminal of so many columns and rows. Both its files are closed
// when the test ends; either may be before.
func OpenTerminal(t *testing.T, width, height uint16) *Terminal {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &Terminal{t: t, Person: person}
	t.Cleanup(p.close)
	number, err := unix.IoctlGetInt(int(person.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetPointerInt(int(person.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	if p.Program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	p.Resize(width, height)
	return p
}

func (p *Terminal) close() {
	_ = p.Program.Close() // may be closed, or nil
	if p.recorded != nil {
		select {
		case <-p.recorded:
		case <-time.After(10 * time.Second):
			p.t.Error("some program still has the terminal")
		}
	}
	_ = p.Person.Close()
}

// Resize gives the terminal another size, as somebody does who pulls at its window.
func (p *Terminal) Resize(width, height uint16) {
	p.t.Helper()
	if err := unix.IoctlSetWinsize(int(p.Person.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: width, Row: height}); err != nil {
		p.t.Fatal(err)
	}
}

// Press sends keys to the program.
func (p *Terminal) Press(keys string) {
	p.t.Helper()
	if _, err := p.Person.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// Record begins to read what programs write, for Output. It is called once at most.
func (p *Terminal) Record() {
	p.recorded = make(chan struct{})
	go p.record()
}

func (p *Terminal) record() {
	defer close(p.recorded)
	part := make([]byte, 4096)
	for {
		n, err := p.Person.Read(part)
		p.mu.Lock()
		p.wrote = append(p.wrote, part[:n]...)
		p.mu.Unlock()
		if err != nil { // EIO: no program has it any more
			return
		}
	}
}

// Output is all that was recorded.
func (p *Terminal) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return string(p.wrote)
}
