// Package frames is the syntax of WebSocket frames (RFC 6455 §5): heads, masks, and what
// close frames say. It knows no connection.
package frames

import (
	"crypto/sha1" // RFC 6455 wants it; nothing rests on it
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
)

// Opcodes of RFC 6455 §5.2.
const (
	Continue = 0x0
	Text     = 0x1
	Binary   = 0x2
	Close    = 0x8
	Ping     = 0x9
	Pong     = 0xA
)

// Status codes of RFC 6455 §7.4 and of the registry that it founded.
const (
	StatusNormal      = 1000
	StatusGoingAway   = 1001
	StatusProtocol    = 1002
	StatusUnsupported = 1003
	StatusNone        = 1005 // never on the wire
	StatusPolicy      = 1008
	StatusTooBig      = 1009
	StatusInternal    = 1011
	StatusRestart     = 1012
	StatusBadGateway  = 1014
)

// Accept is what answers a Sec-WebSocket-Key (RFC 6455 §4.2.2).
func Accept(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Sizes in bytes.
const (
	MostHeader  = 14
	MostControl = 125
	// MostCloseText is what a close frame has room for behind its status.
	MostCloseText = MostControl - 2
)

// CloseError is a WebSocket that the peer has closed with a status. Its text is what Go's
// oldest library makes of it, which users of chisel know.
type CloseError struct {
	Status int
	Text   string
}

// Error implements error.
func (e *CloseError) Error() string {
	text := "websocket: close " + strconv.Itoa(e.Status)
	switch e.Status {
	case StatusNormal:
		text += " (normal)"
	case StatusGoingAway:
		text += " (going away)"
	case StatusProtocol:
		text += " (protocol error)"
	case StatusUnsupported:
		text += " (unsupported data)"
	case StatusNone:
		text += " (no status)"
	case StatusPolicy:
		text += " (policy violation)"
	case StatusTooBig:
		text += " (message too big)"
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// ProtocolError is a frame that must not be. It is answered with a close frame.
type ProtocolError struct {
	Status int
	Text   string
}

// Error implements error.
func (e *ProtocolError) Error() string { return "websocket: " + e.Text }

// Bad is a ProtocolError with StatusProtocol.
func Bad(format string, args ...any) error {
	return &ProtocolError{Status: StatusProtocol, Text: fmt.Sprintf(format, args...)}
}

// Header is the head of one frame.
type Header struct {
	Final  bool
	Opcode byte
	Masked bool
	Key    uint32 // the mask, its first byte lowest
	Length uint64
}

// ParseHeader reads a head from the beginning of b and gives its size; 0 while b is
// too short for it.
func ParseHeader(b []byte) (h Header, size int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h = Header{Final: b[0]&0x80 != 0, Opcode: b[0] & 0x0f, Masked: b[1]&0x80 != 0, Length: uint64(b[1] & 0x7f)}
	if b[0]&0x70 != 0 {
		return h, 0, Bad("a frame with reserved bits: no extension was agreed on")
	}
	size = 2
	switch h.Length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	at := size
	if h.Masked {
		size += 4
	}
	if len(b) < size {
		return h, 0, nil
	}
	switch h.Length {
	case 126:
		h.Length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.Length = binary.BigEndian.Uint64(b[2:])
	}
	if h.Masked {
		h.Key = binary.LittleEndian.Uint32(b[at:])
	}
	return h, size, h.check()
}

// AppendHeader writes the head of a server's frame that is a message, or a control frame,
// by itself.
func AppendHeader(b []byte, opcode byte, length int) []byte {
	b = append(b, 0x80|opcode)
	switch {
	case length < 126:
		return append(b, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(b, 127), uint64(length))
}

// check refuses what RFC 6455 §5.2 and §5.5 forbid of a frame by itself.
func (h Header) check() error {
	switch h.Opcode {
	case Continue, Text, Binary:
		if h.Length > 1<<62 {
			return Bad("a frame of %d bytes", h.Length)
		}
	case Close, Ping, Pong:
		if !h.Final || h.Length > MostControl {
			return Bad("a control frame in pieces or of %d bytes", h.Length)
		}
	default:
		return Bad("a frame of the unknown opcode %d", h.Opcode)
	}
	return nil
}

// Unmask moves src to dst, which may be the same, through the mask, and gives the mask
// as it is for the byte that follows (RFC 6455 §5.3).
func Unmask(dst, src []byte, key uint32) uint32 {
	wide := uint64(key)<<32 | uint64(key)
	for len(src) >= 32 && len(dst) >= 32 {
		d, s := dst[:32], src[:32]
		binary.LittleEndian.PutUint64(d[0:], binary.LittleEndian.Uint64(s[0:])^wide)
		binary.LittleEndian.PutUint64(d[8:], binary.LittleEndian.Uint64(s[8:])^wide)
		binary.LittleEndian.PutUint64(d[16:], binary.LittleEndian.Uint64(s[16:])^wide)
		binary.LittleEndian.PutUint64(d[24:], binary.LittleEndian.Uint64(s[24:])^wide)
		dst, src = dst[32:], src[32:]
	}
	for i, b := range src {
		dst[i] = b ^ byte(key)
		key = key>>8 | key<<24
	}
	return key
}

// ClosePayload is what a close frame carries. A text that has no room is cut.
func ClosePayload(status int, text string) []byte {
	text = text[:min(len(text), MostCloseText)]
	return append(binary.BigEndian.AppendUint16(nil, uint16(status)), text...)
}

// ParseClose reads a close frame's payload.
func ParseClose(b []byte) *CloseError {
	if len(b) < 2 {
		return &CloseError{Status: StatusNone}
	}
	return &CloseError{Status: int(binary.BigEndian.Uint16(b)), Text: Printable(string(b[2:]))}
}

// Printable keeps a peer's text from moving the cursor of whoever looks at it.
func Printable(text string) string {
	out := make([]rune, 0, len(text))
	for _, r := range text {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
