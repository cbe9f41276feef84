package store

import (
	"slices"
	"strings"
	"time"

	"github.com/postern-dev/postern"
)

// ReservedDomain is a domain, and all names below it, that an account holds until it
// gives it up.
type ReservedDomain struct {
	Meta
	Domain      postern.Hostname // its first label may be "*"
	Certificate string           // id of a certificate that the account put there, "" for none
	Policy      CertificatePolicy
	// PolicySince is when the policy came into force; zero without one.
	PolicySince time.Time

	// CNAMETarget and ACMETarget are where records of other people's zones point; "" for
	// names below the server's own domain, and the second for all but wildcards.
	CNAMETarget postern.Hostname
	ACMETarget  postern.Hostname

	ResolvesTo []string // points of presence

	Pages postern.ErrorPages
}

// CertificatePolicy says that the server gets certificates itself. The zero value says
// that it does not.
type CertificatePolicy struct{ Authority, KeyType string }

// TreeKey is the value of the field "tree_key" of what holds host: its labels from right
// to left, each with a dot behind it, so that the names at and below one are those whose
// keys begin with its own. A wildcard has the key of the name below which it reaches.
func TreeKey(host postern.Hostname) string {
	if host.Wildcard() {
		host = host.Parent()
	}
	labels := strings.Split(string(host), ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".") + "."
}

// Holds tells whether who holds a domain holds host with it: the same name, or one below
// it; a wildcard holds the name below which it reaches, too.
func Holds(domain, host postern.Hostname) bool {
	return strings.HasPrefix(TreeKey(host), TreeKey(domain))
}

// AtOrAbove selects rows that hold host or a name above it: of those, all names below
// are the account's.
func AtOrAbove(host postern.Hostname) Filter {
	var keys []string
	key := TreeKey(host)
	for i := range len(key) {
		if key[i] == '.' {
			keys = append(keys, key[:i+1])
		}
	}
	return OneOf("tree_key", keys...)
}

// AtOrBelow selects rows that hold host or a name below it.
func AtOrBelow(host postern.Hostname) Filter {
	key := TreeKey(host)
	end := key[:len(key)-1] + "/" // '/' follows '.'
	return And{Compare{"tree_key", AtLeast, key}, Compare{"tree_key", Less, end}}
}
