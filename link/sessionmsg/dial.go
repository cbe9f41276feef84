package sessionmsg

import (
	"encoding/binary"
	"io"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Dial asks for a port of a private gateway. It stands behind the type of a stream of
// TypeDial, then come the consumer's bytes, without waiting for the answer. Refusals are
// resets with their reason.
type Dial struct {
	Gateway string
	Network string // "tcp" or "udp"
	Port    uint16
	Check   bool `json:",omitempty"` // only whether it would be refused: no bytes follow
}

// DialResp answers Dial where it was not refused: a connector has taken the connection.
// Behind it come the service's bytes.
type DialResp struct{}

// maxGatewayName bounds how a gateway is named.
const maxGatewayName = 256

// NewDial makes the message that asks for p.
func NewDial(p link.GatewayPort, check bool) Dial {
	return Dial{Gateway: p.Gateway, Network: string(p.Network), Port: p.Port, Check: check}
}

// GatewayPort gives what the message asks for. Errors are CodeProtocolViolation.
func (d *Dial) GatewayPort() (link.GatewayPort, error) {
	p := link.GatewayPort{Gateway: d.Gateway, Network: postern.Scheme(d.Network), Port: d.Port}
	switch {
	case d.Gateway == "" || len(d.Gateway) > maxGatewayName:
		return p, postern.Errorf(postern.CodeProtocolViolation, "a gateway is named with 1 to %d bytes, not %d", maxGatewayName, len(d.Gateway))
	case d.Network != "tcp" && d.Network != "udp":
		return p, postern.Errorf(postern.CodeProtocolViolation, "Network %.20q is not tcp or udp", d.Network)
	case d.Port == 0:
		return p, postern.Errorf(postern.CodeProtocolViolation, "Port is not 1 to 65535")
	}
	return p, nil
}

// EncodeHead gives v as it stands before a stream's bytes: the length of the JSON as a
// little-endian int64, as with a proxy header, then the JSON.
func EncodeHead(v any) ([]byte, error) {
	raw, err := Encode(v)
	if err != nil {
		return nil, err
	}
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(raw)), uint64(len(raw)))
	return append(b, raw...), nil
}

// ReadDial reads a Dial and not one byte more. The caller sets a deadline on r. Anything
// malformed is CodeProtocolViolation.
func ReadDial(r io.Reader) (Dial, error) {
	var head Head
	var d Dial
	err := head.Read(r, &d)
	return d, err
}

// Head reads one message that EncodeHead made, and not one byte more. A Read that met a
// deadline may be called again.
type Head struct {
	size [8]byte
	raw  []byte
	got  int
}

// Read reads the message into v. Anything malformed is CodeProtocolViolation.
func (h *Head) Read(r io.Reader, v any) error {
	if h.raw == nil {
		if err := h.fill(r, h.size[:]); err != nil {
			return err
		}
		n := binary.LittleEndian.Uint64(h.size[:])
		if n == 0 || n > maxProxyHeader {
			return postern.Errorf(postern.CodeProtocolViolation, "a message of %d bytes is not between 1 and %d", n, maxProxyHeader)
		}
		h.raw, h.got = make([]byte, n), 0
	}
	if err := h.fill(r, h.raw); err != nil {
		return err
	}
	return Decode(h.raw, v)
}

func (h *Head) fill(r io.Reader, b []byte) error {
	n, err := io.ReadFull(r, b[h.got:])
	h.got += n
	return err
}
