package console

import (
	"fmt"
	"io"
	"sync"

	"github.com/postern-dev/postern"
)

// Rows writes the few lines that a person at a terminal wants, each when it
// changes, without moving the cursor: it reads the same in a scroll-back. Its
// methods may be called from anywhere.
//
//	Session Status                online
//	Forwarding                    https://app.example.com -> http://localhost:8080
type Rows struct {
	mu   sync.Mutex
	w    io.Writer
	last map[string]string // latest meaning of each row
}

// NewRows writes to w. Errors of w are ignored: a closed terminal is no reason to
// stop serving.
func NewRows(w io.Writer) *Rows {
	return &Rows{w: w, last: map[string]string{}}
}

// Status shows the state of the session; why, where it is not nil, is what keeps it
// from being online. The same trouble is shown once, however many attempts it
// takes.
func (r *Rows) Status(state string, why *postern.Error) {
	if why == nil {
		r.row("Session Status", "", state, state)
		return
	}
	text := state + " (" + why.Error()
	if why.Cause != nil {
		text += ": " + why.Cause.Error()
	}
	r.row("Session Status", "", state+" "+string(why.Code), text+")")
}

// Forwarding shows a public URL and where its traffic goes.
func (r *Rows) Forwarding(name, url, upstream string) {
	text := url + " -> " + upstream
	r.row("Forwarding", name+" "+url, text, text)
}

// Offline shows that an endpoint is not online, and why.
func (r *Rows) Offline(name string, why *postern.Error) {
	text := name + ": " + why.Error()
	r.row("Offline", name, text, text)
}

// row writes a row unless it means what it meant last time. key tells rows with the
// same label apart.
func (r *Rows) row(label, key, meaning, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last[label+key] == meaning {
		return
	}
	r.last[label+key] = meaning
	_, _ = fmt.Fprintf(r.w, "%-30s%s\n", label, printable(text))
}
