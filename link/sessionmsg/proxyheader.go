package sessionmsg

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/netip"
	"unicode/utf8"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// maxProxyHeader bounds the JSON of a proxy header. Real ones have some 150 bytes.
const maxProxyHeader = 8 << 10

// proxyHeader precedes a visitor's bytes on a stream of TypeProxy. ngrok-rust
// needs all five keys. EdgeType "0" says that the traffic belongs to an endpoint;
// other values belong to ngrok's edges, which Postern does not have.
type proxyHeader struct {
	ID             string `json:"Id"`
	ClientAddr     string
	Proto          string
	EdgeType       json.RawMessage
	PassthroughTLS bool
}

// AppendProxyHeader appends h as it stands on the wire, behind the stream's type:
// the length of the JSON as a little-endian int64, then the JSON. It is written
// by hand because every visitor's connection needs one.
func AppendProxyHeader(b []byte, h link.Header) []byte {
	start := len(b)
	b = append(b, 0, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, `{"Id":`...)
	b = appendString(b, h.Endpoint)
	b = append(b, `,"ClientAddr":"`...)
	if h.ClientAddr.IsValid() {
		b = h.ClientAddr.AppendTo(b)
	}
	b = append(b, `","Proto":`...)
	b = appendString(b, string(h.Scheme))
	b = append(b, `,"EdgeType":"0","PassthroughTLS":`...)
	if h.PassthroughTLS {
		b = append(b, "true}"...)
	} else {
		b = append(b, "false}"...)
	}
	binary.LittleEndian.PutUint64(b[start:], uint64(len(b)-start-8))
	return b
}

// appendString appends s as a JSON string; ids and schemes are plain ASCII unless
// an agent chose a strange id for itself.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // a string always marshals
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// ReadProxyHeader reads what AppendProxyHeader wrote, and not one byte more. The
// caller sets a deadline on r. Anything malformed is CodeProtocolViolation.
func ReadProxyHeader(r io.Reader) (link.Header, error) {
	var size [8]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return link.Header{}, err
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n == 0 || n > maxProxyHeader {
		return link.Header{}, postern.Errorf(postern.CodeProtocolViolation, "a proxy header of %d bytes is not between 1 and %d", n, maxProxyHeader)
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(r, raw); err != nil {
		return link.Header{}, err
	}
	return decodeProxyHeader(raw)
}

func decodeProxyHeader(raw []byte) (link.Header, error) {
	wire, ok := scanProxyHeader(raw)
	if !ok {
		wire = proxyHeader{}
		if err := Decode(raw, &wire); err != nil {
			return link.Header{}, err
		}
	}
	scheme, err := postern.ParseScheme(wire.Proto)
	if err != nil {
		return link.Header{}, postern.Errorf(postern.CodeProtocolViolation, "a proxy header's Proto is not a scheme").Because(err)
	}
	h := link.Header{Endpoint: wire.ID, Scheme: scheme, PassthroughTLS: wire.PassthroughTLS}
	if wire.ClientAddr == "" {
		return h, nil
	}
	if h.ClientAddr, err = netip.ParseAddrPort(wire.ClientAddr); err != nil {
		return link.Header{}, postern.Errorf(postern.CodeProtocolViolation, "a proxy header's ClientAddr is not an address and a port").Because(err)
	}
	return h, nil
}

// scanProxyHeader reads a header that is just as AppendProxyHeader writes it, of plain
// ASCII; others are for encoding/json, which takes ten times as long.
func scanProxyHeader(raw []byte) (h proxyHeader, ok bool) {
	id, rest, ok1 := scanString(raw, `{"Id":"`)
	addr, rest, ok2 := scanString(rest, `,"ClientAddr":"`)
	proto, rest, ok3 := scanString(rest, `,"Proto":"`)
	edge, rest, ok4 := scanString(rest, `,"EdgeType":"`)
	last := string(rest)
	if !ok1 || !ok2 || !ok3 || !ok4 || edge != "0" || last != `,"PassthroughTLS":true}` && last != `,"PassthroughTLS":false}` {
		return h, false
	}
	return proxyHeader{ID: id, ClientAddr: addr, Proto: proto, PassthroughTLS: last == `,"PassthroughTLS":true}`}, true
}

// scanString reads key and the string that it opens, and gives what is behind that.
func scanString(raw []byte, key string) (value string, rest []byte, ok bool) {
	if !bytes.HasPrefix(raw, []byte(key)) {
		return "", nil, false
	}
	raw = raw[len(key):]
	for i, c := range raw {
		switch {
		case c == '"':
			return string(raw[:i]), raw[i+1:], true
		case c < ' ' || c == '\\' || c >= utf8.RuneSelf:
			return "", nil, false
		}
	}
	return "", nil, false
}
