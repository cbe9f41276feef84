package route

import "github.com/postern-dev/postern"

// Key is what the edge tells routes apart by. Two endpoints with one key cannot both
// be online, unless they share it as a pool: an https and a tls endpoint of the same
// name would answer the same ClientHello.
type Key struct {
	space space
	host  postern.Hostname
	port  uint16
}

// space is where a key must be unique.
type space uint8

const (
	plain     space = iota // http, by Host
	secure                 // https and tls, by SNI
	port                   // tcp, by port
	datagrams              // udp, by port
)

// KeyOf returns the key of an endpoint's URL.
func KeyOf(u postern.URL) Key {
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
