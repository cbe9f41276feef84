package console

import (
	"time"

	"github.com/postern-dev/postern"
)

// Source is what a Screen looks at, some times a second, from a goroutine of its own.
// It must not wait for anything but short locks.
type Source interface {
	View() View
}

// SourceFunc makes a function a Source.
type SourceFunc func() View

// View calls f.
func (f SourceFunc) View() View { return f() }

// View is what there is to show now. Texts may come from strangers: the Screen
// makes them harmless.
type View struct {
	State   string         // of the session: "connecting", "online", "reconnecting", …
	Why     *postern.Error // what keeps the session from being online; nil: nothing
	Banner  string         // the server's message to its users
	Account string
	Version string
	Region  string
	Latency time.Duration // 0: not known yet
	Update  string        // what there is to know about newer versions; "" for nothing

	WebInterface string // URL of the local API; "" where it is off
	Forwarding   []Forwarding
	Connections  Numbers
	Requests     []Request // newest first
	Failure      *Failure  // the latest; nil: none
}

// Forwarding is a public URL and where its traffic goes.
type Forwarding struct {
	Name     string
	URL      string         // "" before it is known
	Upstream string         // "" where the program itself answers
	Refusal  *postern.Error // why it is not online; nil where nothing is wrong
}

// Numbers are those of the connections of all endpoints together. Rates are a second.
type Numbers struct {
	Total, Open  int64
	Rate1, Rate5 float64
	P50, P90     time.Duration
}

// Request is a visitor's HTTP request.
type Request struct {
	At     time.Time
	Method string
	Path   string
	Status string // "200 OK"; "" before there is an answer
}

// Failure is something that went wrong.
type Failure struct {
	At   time.Time
	Text string
	Code postern.Code // its entry in the catalogue is the next step; "" for none
}
