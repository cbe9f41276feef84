package dnscheck

import (
	"context"
	"strings"

	miekg "github.com/miekg/dns"
)

// Lookup is what verdicts ask. Names have their dot at the end.
type Lookup interface {
	// Records asks for a name's records of a kind. A CNAME record in their place is
	// among the answer's; it is not followed.
	Records(ctx context.Context, name string, kind uint16) (Answer, error)

	// Delegation asks the zone above a name for the name's NS records.
	Delegation(ctx context.Context, name string) (Answer, error)

	// Addresses asks for the addresses of a name, wherever its CNAME records lead.
	Addresses(ctx context.Context, name string) (Answer, error)

	// At asks one server, by its name, without recursion; authoritative says whether the
	// zone is that server's own.
	At(ctx context.Context, server, name string, kind uint16) (answer Answer, authoritative bool, err error)
}

// Answer is what was found. No records and no error: there are none.
type Answer struct {
	Records []miekg.RR
	Missing bool // the name does not exist at all
}

// of gives those records of an answer that are a name's own.
func of[R miekg.RR](a Answer, name string) []R {
	var found []R
	for _, record := range a.Records {
		if r, is := record.(R); is && strings.EqualFold(record.Header().Name, name) {
			found = append(found, r)
		}
	}
	return found
}

// Failure is a look-up that came to nothing.
type Failure struct {
	Name   string
	Reason string // a response code's name, or what happened
}

// Error implements error.
func (f *Failure) Error() string { return "look up " + f.Name + ": " + f.Reason }
