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

	// lookEvery is how many bytes a stream may write before its rate is looked at.
	lookEvery = 64 << 10
)

// meter is a leaky bucket of what one direction of a stream moves.
type meter struct {
	level  int64
	unseen int
	at     time.Time
}

// add counts n bytes and tells whether it is time to look at the level.
func (m *meter) add(n int) bool {
	m.unseen += n
	return m.unseen >= lookEvery
}

// look brings the level up to date.
func (m *meter) look(now time.Time) {
	if !m.at.IsZero() {
		m.level = max(m.level-int64(now.Sub(m.at))*leak/int64(time.Second), 0)
	}
	m.level = min(m.level+int64(m.unseen), fullest)
	m.unseen, m.at = 0, now
}

// calm tells whether the stream has been quiet for a while; the level is not
// touched.
func (m *meter) calm(now time.Time) bool {
	return m.level+int64(m.unseen)-int64(now.Sub(m.at))*leak/int64(time.Second) < calmBelow
}
