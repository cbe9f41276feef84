package console

import (
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// model is what the screen shows now. The renderer compares frames and sends the
// terminal what differs.
type model struct {
	screen  *Screen
	frame   frame
	aborted bool
}

// look is the message that it is time to look at the source.
type look struct{}

func newModel(s *Screen) *model {
	m := &model{screen: s}
	m.frame.view = s.Source.View()
	return m
}

// Init is tea's.
func (m *model) Init() tea.Cmd { return m.lookAgain() }

func (m *model) lookAgain() tea.Cmd {
	return tea.Tick(lookEvery, func(time.Time) tea.Msg { return look{} })
}

// Update is tea's.
func (m *model) Update(message tea.Msg) (tea.Model, tea.Cmd) {
	switch message := message.(type) {
	case look:
		held := m.frame.view.Requests
		m.frame.view = m.screen.Source.View()
		if m.frame.held {
			m.frame.view.Requests = held
		}
		return m, m.lookAgain()
	case tea.WindowSizeMsg:
		m.frame.width, m.frame.height = message.Width, message.Height
	case tea.KeyPressMsg:
		return m, m.key(message.String())
	}
	return m, nil
}

func (m *model) key(name string) tea.Cmd {
	switch name {
	case "space":
		m.frame.held = !m.frame.held
	case "q", "ctrl+c":
		if m.frame.closing && name == "q" || m.screen.Quit == nil {
			return nil
		}
		if m.frame.closing && m.screen.Abort != nil {
			m.aborted = true
			return tea.Quit
		}
		m.frame.closing = true
		m.screen.Quit()
	}
	return nil
}

// View is tea's.
func (m *model) View() tea.View {
	var ground style
	view := tea.View{AltScreen: true}
	if m.screen.Color != "transparent" {
		ground = "37;40"
	}
	lines := m.frame.lines()
	if ground != plain { // the ground is the whole screen
		for len(lines) < m.frame.height {
			lines = append(lines, row(rankSpace))
		}
	}
	text := make([]string, len(lines))
	for i, l := range lines {
		text[i] = l.render(m.frame.width, ground)
	}
	view.Content = strings.Join(text, "\n")
	return view
}
