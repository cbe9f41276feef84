package gateway

import (
	"strconv"

	"github.com/postern-dev/postern"
)

// The networks of a gateway's ports.
const (
	tcp = string(postern.TCP)
	udp = string(postern.UDP)
)

// key is a port of a gateway: TCP and UDP of one number are two.
type key struct {
	network string
	port    uint16
}

// String is the form in messages: "8081/tcp".
func (k key) String() string { return strconv.Itoa(int(k.port)) + "/" + k.network }

func (k key) scheme() postern.Scheme { return postern.Scheme(k.network) }

// keyOf reads a key; ok is false where it is no port of TCP or UDP.
func keyOf(network postern.Scheme, port uint16) (k key, ok bool) {
	k = key{network: string(network), port: port}
	return k, port != 0 && (k.network == tcp || k.network == udp)
}
