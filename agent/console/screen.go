package console

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	tea "charm.land/bubbletea/v2"
)

const (
	lookEvery = 250 * time.Millisecond // between two looks at the source
	frameRate = 10                     // most frames a second
	// patience bounds how long the end waits for a terminal that takes nothing any more.
	patience = time.Second
)

// Screen covers a terminal with the state of an agent. It only looks: whatever the
// terminal does, the agent goes on. Source and Out are required.
type Screen struct {
	Source Source
	// In gives the keys; nil where keys are not to be had, and Ctrl+C is a signal then.
	In *os.File
	// Out is the terminal.
	Out *os.File
	// Environ tells what the terminal can do: TERM, COLORTERM, NO_COLOR.
	Environ []string
	// Color is the ground, of console_ui_color: "black" or "transparent".
	Color string
	// Quit is called when somebody asks for the end; the Screen goes on to show how the
	// agent leaves. nil: nobody can.
	Quit func()
	// Abort is called when somebody has asked twice; the terminal is as it was before
	// then. nil: the second time is as good as the first.
	Abort func()
}

// Run draws until ctx ends and then leaves the terminal as it was, within a second of
// a terminal that takes nothing any more. It returns an error where the terminal
// cannot be used; a ctx that ends is none.
func (s *Screen) Run(ctx context.Context) error {
	m := newModel(s)
	options := []tea.ProgramOption{
		tea.WithOutput(s.Out), tea.WithEnvironment(s.Environ), tea.WithFPS(frameRate), tea.WithoutSignalHandler(),
	}
	if s.In == nil {
		options = append(options, tea.WithInput(nil))
	} else {
		options = append(options, tea.WithInput(io.Reader(s.In)))
	}
	program := tea.NewProgram(m, options...)
	restore := s.remember()
	ended := make(chan error, 1)
	go func() {
		_, err := program.Run()
		ended <- err
	}()
	select {
	case err := <-ended:
		return s.ended(m, err)
	case <-ctx.Done():
	}
	go program.Quit() // which waits while the terminal holds a frame up
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case err := <-ended:
		return s.ended(m, err)
	case <-timer.C:
		restore()
		return nil
	}
}

// remember gives what has the terminal take keys as it did before.
func (s *Screen) remember() (restore func()) {
	if s.In == nil {
		return func() {}
	}
	state, err := term.GetState(int(s.In.Fd()))
	if err != nil {
		return func() {}
	}
	return func() { _ = term.Restore(int(s.In.Fd()), state) } // nothing is left to be done about a terminal that is gone
}

// ended is after the terminal was given back.
func (s *Screen) ended(m *model, err error) error {
	if m.aborted && s.Abort != nil {
		s.Abort()
	}
	if errors.Is(err, tea.ErrProgramKilled) && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
