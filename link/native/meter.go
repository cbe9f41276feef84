package native

import "time"

// When a stream is bulk. It is a matter of rate, not of bytes: a connection that
// carries a thousand small answers a second for hours must stay where they are
// quick, and one that was bulk once must come back.
const (
	bulkAfter = 256 << 10 // bytes beyond what leaks
	calmBelow = 64 << 10
	fullest   = 1 << 20 // hence calm a second after the last byte
	leak      = 1 << 20 // bytes a second

	// On a carrier that takes less than a megabyte a second, everybody behind
	// bulkAfter would wait for it.
	bulkAfterSlow = 32 << 10
	lookSlow      = 16 << 10

	// small is what nobody has to wait for.
	small = 4 << 10

	// lookEvery is how many bytes a stream may write before its rate is looked at.
	lookEvery = 64 << 10
)

// meter is a leaky bucket of what one direction of a stream moves. It leaks while
// the stream has nothing to send: one that waits for a narrow path is bulk there at
// any rate.
type meter struct {
	level  int64
	unseen int
	at     time.Time
	held   time.Duration // spent in writes since at
}

// add counts n bytes and tells whether it is time to look at the level.
func (m *meter) add(n int, slow bool) bool {
	m.unseen += n
	return m.unseen >= lookEvery || slow && m.unseen >= lookSlow
}

// waited counts time in which the stream was not calm.
func (m *meter) waited(d time.Duration) { m.held += d }

// look brings the level up to date.
func (m *meter) look(now time.Time) {
	if !m.at.IsZero() {
		m.level = max(m.level-m.leaked(now), 0)
	}
	m.level = min(m.level+int64(m.unseen), fullest)
	m.unseen, m.at, m.held = 0, now, 0
}

// crowd has a stream count as bulk that would wait, with more than a click, on a
// connection where bulk waits.
func (m *meter) crowd() { m.level = max(m.level, 2*bulkAfter) }

// leaked is how much has leaked since the last look.
func (m *meter) leaked(now time.Time) int64 {
	idle := max(now.Sub(m.at)-m.held, 0)
	return int64(min(idle, time.Minute)) * leak / int64(time.Second)
}

// bulk tells whether the stream has moved so much that it should leave carrier 0,
// which may be slow. It then stays away until it is calm.
func (m *meter) bulk(slow bool) bool {
	if slow && m.level >= bulkAfterSlow {
		m.level = max(m.level, bulkAfter)
	}
	return m.level >= bulkAfter
}

// calm tells whether the stream has been quiet for a while; the level is not
// touched.
func (m *meter) calm(now time.Time) bool {
	return m.level+int64(m.unseen)-m.leaked(now) < calmBelow
}
