package quota

import (
	"sync/atomic"
	"time"

	"github.com/postern-dev/postern"
)

const (
	// requestDepth is for how long requests may come at once before their rate counts:
	// a page is a hundred requests and then none.
	requestDepth = int64(time.Minute)
	// byteDepth is the same for bytes.
	byteDepth = int64(time.Second)
	// pieces is how many pieces a second's bytes are moved in where a rate holds, so
	// that a slow flow is even.
	pieces = 8
	// leastPiece is the least that is worth a system call.
	leastPiece = 1 << 10
)

// Meter counts for one account, or for one credential, which counts for its account
// too where that is said. All methods may be called from anywhere at once, none blocks,
// and a nil Meter has no limits and counts nothing.
type Meter struct {
	id      string // of the account or credential
	account *Meter // of a credential; nil for an account's own
	began   time.Time
	limits  atomic.Pointer[postern.Limits] // nil: none at all

	held      atomic.Int64 // by those who keep a pointer, see Hold
	sessions  atomic.Int64
	endpoints atomic.Int64
	underWay  atomic.Int64 // connections and requests

	requests    atomic.Int64
	connections atomic.Int64
	bytesIn     atomic.Int64
	bytesOut    atomic.Int64
	refused     [kinds]atomic.Int64

	requestRate bucket
	byteRate    bucket

	history history
}

// Account is the meter of a credential's account; that of an account is itself.
func (m *Meter) Account() *Meter {
	if m != nil && m.account != nil {
		return m.account
	}
	return m
}

// Limits gives the limits that are in force for this meter alone.
func (m *Meter) Limits() postern.Limits {
	if m == nil {
		return postern.Limits{}
	}
	if l := m.limits.Load(); l != nil {
		return *l
	}
	return postern.Limits{}
}

// set puts l in force. What was used under other rates is forgotten: whoever is given
// more does not wait for what it owed.
func (m *Meter) set(l postern.Limits) {
	if m.Limits() == l {
		return
	}
	m.requestRate.empty()
	m.byteRate.empty()
	if l == (postern.Limits{}) {
		m.limits.Store(nil)
		return
	}
	m.limits.Store(&l)
}

// now is the meter's time.
func (m *Meter) now() int64 { return int64(time.Since(m.began)) }

// Hold keeps the meter in its Meters until Release, though nothing uses it.
func (m *Meter) Hold() {
	if m != nil {
		m.held.Add(1)
	}
}

// Release undoes one Hold.
func (m *Meter) Release() {
	if m != nil {
		m.held.Add(-1)
	}
}

// AddSession counts an agent in, of the credential and its account; an error counts it
// nowhere. Sessions of accounts are counted here but limited by whoever knows which of
// them is about to be replaced; see SessionsOver.
func (m *Meter) AddSession() {
	for ; m != nil; m = m.account {
		m.sessions.Add(1)
	}
}

// RemoveSession undoes AddSession.
func (m *Meter) RemoveSession() {
	for ; m != nil; m = m.account {
		m.sessions.Add(-1)
	}
}

// SessionsOver refuses another agent with CodeSessionLimit where the credential or its
// account has as many as it may. One that is about to go, because the new one replaces
// it, does not count: leaving is 1 then, else 0.
func (m *Meter) SessionsOver(leaving int64) *postern.Error {
	for ; m != nil; m = m.account {
		count, l := m.sessions.Load()-leaving, m.limits.Load()
		if l != nil && l.Sessions > 0 && count >= l.Sessions {
			m.refused[sessions].Add(1)
			return postern.Errorf(postern.CodeSessionLimit, "the %s has %d agents connected, as many as its limit allows", m.kind(), count)
		}
	}
	return nil
}

// AddEndpoint counts an endpoint in, of the credential and its account. CodeEndpointLimit
// says that one of them has as many as it may; nothing is counted then.
func (m *Meter) AddEndpoint() *postern.Error {
	for at := m; at != nil; at = at.account {
		count, l := at.endpoints.Add(1), at.limits.Load()
		if l == nil || l.Endpoints == 0 || count <= l.Endpoints {
			continue
		}
		at.refused[endpoints].Add(1)
		for undo := m; undo != at.account; undo = undo.account {
			undo.endpoints.Add(-1)
		}
		return postern.Errorf(postern.CodeEndpointLimit, "the %s has %d endpoints online, as many as its limit allows", at.kind(), l.Endpoints)
	}
	return nil
}

// RemoveEndpoint undoes an AddEndpoint that succeeded.
func (m *Meter) RemoveEndpoint() {
	for ; m != nil; m = m.account {
		m.endpoints.Add(-1)
	}
}

// In counts n bytes from a visitor to an agent, of the credential and its account, and
// takes them from what they may move.
func (m *Meter) In(n int) {
	for ; m != nil; m = m.account {
		m.bytesIn.Add(int64(n))
		m.charge(n)
	}
}

// Out is In for bytes from an agent to a visitor.
func (m *Meter) Out(n int) {
	for ; m != nil; m = m.account {
		m.bytesOut.Add(int64(n))
		m.charge(n)
	}
}

func (m *Meter) charge(n int) {
	if l := m.limits.Load(); l != nil && l.BytesPerSecond > 0 {
		m.byteRate.charge(m.now(), int64(n)*int64(time.Second)/l.BytesPerSecond)
	}
}

// Debt says how long to wait before more bytes are moved, of the credential and its
// account, and how many of them then at once; 0 and 0 where no rate holds.
func (m *Meter) Debt() (wait time.Duration, piece int) {
	for ; m != nil; m = m.account {
		l := m.limits.Load()
		if l == nil || l.BytesPerSecond == 0 {
			continue
		}
		wait = max(wait, m.byteRate.debt(m.now(), byteDepth))
		own := int(max(leastPiece, l.BytesPerSecond/pieces))
		if piece == 0 || own < piece {
			piece = own
		}
	}
	return wait, piece
}

// Takes says how long n more bytes take, behind all that was moved before; 0 where no rate
// holds.
func (m *Meter) Takes(n int) (longest time.Duration) {
	for ; m != nil; m = m.account {
		if l := m.limits.Load(); l != nil && l.BytesPerSecond > 0 {
			longest = max(longest, m.byteRate.debt(m.now(), 0)+time.Duration(int64(n)*int64(time.Second)/l.BytesPerSecond))
		}
	}
	return longest
}

func (m *Meter) kind() string {
	if m.account == nil {
		return "account"
	}
	return "credential"
}
