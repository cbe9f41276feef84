package cluster

import (
	"slices"

	"github.com/postern-dev/postern/link"
)

// attendance is a session and what it has online.
type attendance struct {
	members []*member
	unwatch func() bool
}

// attend makes sure that m leaves with its session. A session is watched
// once, however much it has online. l.mu is held.
func (l *Local) attend(m *member) {
	session := m.live.Session
	a := l.sessions[session]
	if a == nil {
		a = &attendance{}
		l.sessions[session] = a
		a.unwatch = link.AfterDone(session, func() { l.sessionEnded(a) })
	}
	m.place = len(a.members)
	a.members = append(a.members, m)
}

// leave forgets m, and stops watching a session that has nothing online. l.mu is
// held.
func (l *Local) leave(m *member) {
	a := l.sessions[m.live.Session]
	if a == nil || m.place >= len(a.members) || a.members[m.place] != m {
		return // left before
	}
	last := len(a.members) - 1
	a.members[m.place] = a.members[last]
	a.members[m.place].place = m.place
	a.members[last] = nil
	a.members = a.members[:last]
	if last == 0 {
		delete(l.sessions, m.live.Session)
		a.unwatch()
	}
}

// sessionEnded takes everything of a session offline.
func (l *Local) sessionEnded(a *attendance) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range slices.Clone(a.members) {
		l.drop(m)
		l.leave(m)
	}
}
