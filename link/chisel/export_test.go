package chisel

import (
	"io"
	"net"
	"net/netip"
)

// NewConn makes one end of a WebSocket whose upgrade is done; own tells that the other
// end is Postern's.
func NewConn(below net.Conn, server, own bool) *Conn {
	c := newConn(below, nil, server, netip.Addr{})
	c.own = own
	return c
}

// ParseRequest and EncodeRequest are those of the config request.
func ParseRequest(payload []byte) (version string, remotes []Remote, err error) {
	r, err := parseRequest(payload)
	return r.Version, r.Remotes, err
}

func EncodeRequest(version string, remotes []Remote) []byte {
	return request{Version: version, Remotes: remotes}.encode()
}

// Packets reads datagrams from a stream.
func Packets(from io.Reader) func() (source, payload []byte, err error) {
	return newPackets(from).next
}

// AppendPacket writes one; PacketType goes before the first.
func AppendPacket(b []byte, source string, payload []byte) []byte {
	return appendPacket(b, source, payload)
}

const PacketType = packetType

// HalfCloses is what is believed of a client's version.
func HalfCloses(version string) bool { return halfCloses(version) }
