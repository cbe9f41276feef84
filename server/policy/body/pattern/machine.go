package pattern

import (
	"regexp/syntax"
)

// machine follows all ways at once in which a pattern can match, preferred ones first, as
// Thompson and Pike have described it: its work for one rune is bounded by the pattern's
// length. Of all matches the one that begins first counts, and of those the preferred one.
type machine struct {
	pattern *Pattern
	slots   int      // how many positions a thread remembers: two for each group
	now     []thread // at instructions that want a rune
	next    []thread // behind them, not yet followed to the next that do
	visited []uint32 // by instruction, the round in which it was reached
	round   uint32
	found   []int64 // the best match so far
	matched bool
	spare   [][]int64
	work    int64 // instructions followed
}

// thread is one way: where it is in the pattern, and where its groups begin and end.
type thread struct {
	pc    uint32
	marks []int64
}

func newMachine(p *Pattern, groups bool) *machine {
	m := &machine{pattern: p, slots: 2, visited: make([]uint32, len(p.program.Inst))}
	if groups {
		m.slots = 2 * (p.expression.NumSubexp() + 1)
	}
	m.found = make([]int64, m.slots)
	return m
}

// idle tells that nothing has begun that might become a match.
func (m *machine) idle() bool { return len(m.now) == 0 && len(m.next) == 0 && !m.matched }

// follow takes all threads to the instructions that want a rune or end a match. The
// text's position is at, about belongs to the runes on both sides of it; begin tells
// whether a match may begin there.
func (m *machine) follow(at int64, about syntax.EmptyOp, begin bool) {
	if m.round++; m.round == 0 { // four thousand million runes later
		clear(m.visited)
		m.round = 1
	}
	for _, t := range m.next {
		m.reach(t.pc, at, about, t.marks)
		m.release(t.marks)
	}
	m.next = m.next[:0]
	if begin && !m.matched {
		marks := m.blank()
		marks[0] = at
		m.reach(uint32(m.pattern.program.Start), at, about, marks)
		m.release(marks)
	}
	for i, t := range m.now {
		if m.pattern.program.Inst[t.pc].Op == syntax.InstMatch {
			copy(m.found, t.marks)
			m.found[1], m.matched = at, true
			m.truncate(i) // what follows is worse
			return
		}
	}
}

// conclude ends all threads at the end of the text, and tells whether there is a match.
func (m *machine) conclude() bool {
	m.truncate(0)
	return m.matched
}

// reach adds the threads that pc leads to without a rune.
func (m *machine) reach(pc uint32, at int64, about syntax.EmptyOp, marks []int64) {
	for m.visited[pc] != m.round {
		m.visited[pc] = m.round
		m.work++
		i := &m.pattern.program.Inst[pc]
		switch i.Op {
		case syntax.InstFail:
			return
		case syntax.InstAlt, syntax.InstAltMatch:
			m.reach(i.Out, at, about, marks)
			pc = i.Arg
		case syntax.InstEmptyWidth:
			if syntax.EmptyOp(i.Arg)&^about != 0 {
				return
			}
			pc = i.Out
		case syntax.InstNop:
			pc = i.Out
		case syntax.InstCapture:
			if int(i.Arg) < m.slots {
				before := marks[i.Arg]
				marks[i.Arg] = at
				m.reach(i.Out, at, about, marks)
				marks[i.Arg] = before
				return
			}
			pc = i.Out
		default:
			t := thread{pc, m.blank()}
			copy(t.marks, marks)
			m.now = append(m.now, t)
			return
		}
	}
}

// step has the threads that want the rune r take it; the others end.
func (m *machine) step(r rune) {
	for _, t := range m.now {
		m.work++
		if i := &m.pattern.program.Inst[t.pc]; i.MatchRune(r) {
			m.next = append(m.next, thread{i.Out, t.marks})
		} else {
			m.release(t.marks)
		}
	}
	m.now = m.now[:0]
}

// oldest is where the first of what may become a match begins. It must not be idle.
func (m *machine) oldest() int64 {
	switch {
	case len(m.now) > 0:
		return m.now[0].marks[0]
	case len(m.next) > 0:
		return m.next[0].marks[0]
	}
	return m.found[0]
}

// forget ends the threads in next that have begun before from. Older ones come first.
func (m *machine) forget(from int64) {
	n := 0
	for n < len(m.next) && m.next[n].marks[0] < from {
		m.release(m.next[n].marks)
		n++
	}
	m.next = m.next[:copy(m.next, m.next[n:])]
}

// reset ends all threads.
func (m *machine) reset() {
	m.truncate(0)
	for _, t := range m.next {
		m.release(t.marks)
	}
	m.next, m.matched = m.next[:0], false
}

// truncate ends the threads in now from i on.
func (m *machine) truncate(i int) {
	for _, t := range m.now[i:] {
		m.release(t.marks)
	}
	m.now = m.now[:i]
}

// blank gives marks of no group.
func (m *machine) blank() []int64 {
	var marks []int64
	if n := len(m.spare); n > 0 {
		marks, m.spare = m.spare[n-1], m.spare[:n-1]
	} else {
		marks = make([]int64, m.slots)
	}
	for i := range marks {
		marks[i] = -1
	}
	return marks
}

func (m *machine) release(marks []int64) { m.spare = append(m.spare, marks) }
