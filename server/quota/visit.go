package quota

import (
	"time"

	"github.com/postern-dev/postern"
)

// Visit is one HTTP request, or one relayed connection, while it is under way: it has a
// place at an account and at one of its credentials. The zero value has none. It belongs
// to one goroutine at a time.
type Visit struct {
	account, credential *Meter
	request             bool
}

// Kind says what a Visit is.
type Kind bool

// The kinds of visits.
const (
	Connection Kind = false // to a tcp or tls endpoint
	Request    Kind = true
)

// Enter takes a place at m, in place of one that the visit has at another meter of the
// same kind (account or credential). Refused, it has none there: the error is
// CodeConnectionLimit or CodeRequestLimit, and retry is after how long another attempt
// may succeed; 0 is not known.
func (v *Visit) Enter(m *Meter, kind Kind) (retry time.Duration, refusal *postern.Error) {
	if m == nil {
		return 0, nil
	}
	at := &v.account
	if m.account != nil {
		at = &v.credential
	}
	if *at == m {
		return 0, nil
	}
	if *at != nil {
		(*at).undo(v.request)
		*at = nil
	}
	v.request = bool(kind)
	if retry, refusal = m.enter(v.request); refusal == nil {
		*at = m
	}
	return retry, refusal
}

// Leave gives the places back, when the visit is over. It may be called again.
func (v *Visit) Leave() {
	for _, m := range [...]*Meter{v.account, v.credential} {
		if m != nil {
			m.underWay.Add(-1)
		}
	}
	*v = Visit{}
}

// Undo is Leave for a visit that did not take place: it counts nowhere.
func (v *Visit) Undo() {
	for _, m := range [...]*Meter{v.account, v.credential} {
		if m != nil {
			m.undo(v.request)
		}
	}
	*v = Visit{}
}

func (m *Meter) enter(request bool) (retry time.Duration, refusal *postern.Error) {
	count, l := m.underWay.Add(1), m.limits.Load()
	if l != nil && l.Connections > 0 && count > l.Connections {
		m.underWay.Add(-1)
		m.refused[connections].Add(1)
		return 0, postern.Errorf(postern.CodeConnectionLimit, "%d connections and requests are under way to the endpoint's %s, as many as its limit allows",
			l.Connections, m.kind())
	}
	if !request {
		m.connections.Add(1)
		return 0, nil
	}
	if l != nil && l.RequestsPerMinute > 0 {
		if retry, ok := m.requestRate.take(m.now(), requestCost(l), requestDepth); !ok {
			m.underWay.Add(-1)
			m.refused[requests].Add(1)
			return retry, postern.Errorf(postern.CodeRequestLimit, "the endpoint's %s may have %d requests a minute, and has had them",
				m.kind(), l.RequestsPerMinute)
		}
	}
	m.requests.Add(1)
	return 0, nil
}

func (m *Meter) undo(request bool) {
	m.underWay.Add(-1)
	if !request {
		m.connections.Add(-1)
		return
	}
	m.requests.Add(-1)
	if l := m.limits.Load(); l != nil && l.RequestsPerMinute > 0 {
		m.requestRate.giveBack(requestCost(l))
	}
}

// requestCost is how long a request takes to leak out.
func requestCost(l *postern.Limits) int64 { return int64(time.Minute) / l.RequestsPerMinute }
