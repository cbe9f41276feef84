package route

import "github.com/postern-dev/postern"

// Key is what the edge tells routes apart by. Two endpoints with one key cannot both
// be online, unless they share it as a pool: an https and a tls endpoint of the same
// name would answer the same ClientHello. That of an internal endpoint is its whole URL.
type Key struct {
	space   space
	host    postern.Hostname
	port    uint16
	account postern.AccountID // "" for public endpoints
}

// space is where a key must be unique.
type space uint8

const (
	plain        space = iota // http, by Host
	secure                    // https and tls, by SNI
	port                      // tcp, by port
	datagrams                 // udp, by port
	insidePlain               // internal endpoints, by account, name and port: http
	insideSecure              // https
	insideStream              // tcp
	insideTLS                 // tls
	spaces                    // how many there are
)

// KeyOf returns the key of an endpoint's URL.
func KeyOf(u postern.URL) Key {
	if u.Internal() {
		return Key{space: inside(u.Scheme), host: u.Host, port: u.Within(u.Account).Port, account: u.Account}
	}
	switch u.Scheme {
	case postern.TCP:
		return Key{space: port, port: u.Port}
	case postern.UDP:
		return Key{space: datagrams, port: u.Port}
	case postern.HTTP:
		return Key{space: plain, host: u.Host}
	default:
		return Key{space: secure, host: u.Host}
	}
}

func inside(scheme postern.Scheme) space {
	switch scheme {
	case postern.HTTP:
		return insidePlain
	case postern.HTTPS:
		return insideSecure
	case postern.TCP:
		return insideStream
	}
	return insideTLS
}
