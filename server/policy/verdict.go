package policy

import (
	"net/http"

	"github.com/postern-dev/postern"
)

// Verdict is what is to become of a connection or exchange. The zero value lets it go on.
type Verdict struct {
	Decision Decision
	Answer   *Answer // with Respond
	Forward  string  // the internal URL, with Forward
	// Continues says, with Forward, that the rules behind go on where nobody serves the
	// URL.
	Continues bool
}

// Decision is the kind of a Verdict.
type Decision uint8

// The decisions.
const (
	Continue Decision = iota
	Respond           // with Answer, instead of the service
	Close             // the connection, without an answer
	Forward           // to an internal endpoint
)

// String is the decision's name, as tests and trials write it.
func (d Decision) String() string {
	return [...]string{"continue", "respond", "close", "forward"}[d]
}

// Answer is given to a visitor instead of the service's.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// Failure has a page with its code sent, with Header: Body does not matter.
	Failure *postern.Error
}
