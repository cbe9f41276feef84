package quota

import (
	"sync"
	"time"

	"github.com/postern-dev/postern"
)

// What can be refused: indices of Meter.refused.
const (
	sessions = iota
	endpoints
	connections
	requests
	kinds
)

// Counts are what was used in some time.
type Counts struct {
	Requests    int64 `json:"requests"`    // HTTP requests that were let through
	Connections int64 `json:"connections"` // relayed connections of tcp and tls endpoints, the same
	BytesIn     int64 `json:"bytes_in"`    // from visitors to agents
	BytesOut    int64 `json:"bytes_out"`   // from agents to visitors
	Refused     int64 `json:"refused"`     // sessions, endpoints, connections and requests over a limit
}

func (c Counts) minus(other Counts) Counts {
	return Counts{c.Requests - other.Requests, c.Connections - other.Connections,
		c.BytesIn - other.BytesIn, c.BytesOut - other.BytesOut, c.Refused - other.Refused}
}

func (c Counts) plus(other Counts) Counts {
	return Counts{c.Requests + other.Requests, c.Connections + other.Connections,
		c.BytesIn + other.BytesIn, c.BytesOut + other.BytesOut, c.Refused + other.Refused}
}

// Usage is what an account, or one credential, uses and has used.
type Usage struct {
	Account    postern.AccountID    `json:"account_id"`
	Credential postern.CredentialID `json:"credential_id"` // "" for the account as a whole
	Limits     postern.Limits       `json:"limits"`        // in force

	Sessions    int64 `json:"sessions"`    // now
	Endpoints   int64 `json:"endpoints"`   // now
	Connections int64 `json:"connections"` // visitors' connections and requests under way now

	Since   time.Time `json:"since"` // this process's beginning, hence the counters'
	Total   Counts    `json:"total"`
	Minutes []Counts  `json:"minutes"` // of the last whole minutes, the oldest first; at most 60
	Hours   []Counts  `json:"hours"`   // of the last whole hours, the oldest first; at most 24
}

const (
	keptMinutes = 60
	keptHours   = 24
)

// history is what was used in each of the last minutes and hours. It takes memory from
// the first use on.
type history struct {
	mu      sync.Mutex
	at      Counts // when the last minute ended
	hour    Counts // of the hour that is not over
	minute  int    // of that hour
	minutes []Counts
	hours   []Counts
	idle    int // minutes since the last use
}

// roll ends a minute, and tells for how many nothing has been used.
func (h *history) roll(total Counts) (idle int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	used := total.minus(h.at)
	h.at = total
	if used == (Counts{}) {
		h.idle++
	} else {
		h.idle = 0
	}
	if used == (Counts{}) && h.minutes == nil {
		return h.idle
	}
	h.minutes = appended(h.minutes, used, keptMinutes)
	h.hour = h.hour.plus(used)
	if h.minute++; h.minute == 60 {
		h.hours = appended(h.hours, h.hour, keptHours)
		h.hour, h.minute = Counts{}, 0
	}
	return h.idle
}

// appended keeps the last most.
func appended(all []Counts, one Counts, most int) []Counts {
	if len(all) == most {
		copy(all, all[1:])
		all = all[:most-1]
	}
	return append(all, one)
}

func (h *history) fill(u *Usage) {
	h.mu.Lock()
	defer h.mu.Unlock()
	u.Minutes = append([]Counts{}, h.minutes...)
	u.Hours = append([]Counts{}, h.hours...)
}

func (m *Meter) total() Counts {
	c := Counts{Requests: m.requests.Load(), Connections: m.connections.Load(), BytesIn: m.bytesIn.Load(), BytesOut: m.bytesOut.Load()}
	for i := range m.refused {
		c.Refused += m.refused[i].Load()
	}
	return c
}

// Usage is a snapshot. It is not one moment's: counters move while it is taken.
func (m *Meter) Usage() Usage {
	u := Usage{
		Account: postern.AccountID(m.Account().id), Limits: m.Limits(), Since: m.began,
		Sessions: m.sessions.Load(), Endpoints: m.endpoints.Load(), Connections: m.underWay.Load(), Total: m.total(),
	}
	if m.account != nil {
		u.Credential = postern.CredentialID(m.id)
	}
	m.history.fill(&u)
	return u
}
