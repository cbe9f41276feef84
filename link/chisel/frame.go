package chisel

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Opcodes of RFC 6455 §5.2.
const (
	opContinue = 0x0
	opText     = 0x1
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xA
)

// Status codes of RFC 6455 §7.4 and of the registry that it founded.
const (
	statusNormal      = 1000
	statusGoingAway   = 1001
	statusProtocol    = 1002
	statusUnsupported = 1003
	statusNone        = 1005 // never on the wire
	statusPolicy      = 1008
	statusTooBig      = 1009
	statusRestart     = 1012
)

const (
	mostFrameHeader = 14
	mostControl     = 125
	// mostCloseText is what a close frame has room for behind its status.
	mostCloseText = mostControl - 2
)

// CloseError is a WebSocket that the peer has closed with a status. Its text is what
// chisel's clients print of it.
type CloseError struct {
	Status int
	Text   string
}

// Error gives the words that chisel's users know.
func (e *CloseError) Error() string {
	text := "websocket: close " + strconv.Itoa(e.Status)
	switch e.Status {
	case statusNormal:
		text += " (normal)"
	case statusGoingAway:
		text += " (going away)"
	case statusProtocol:
		text += " (protocol error)"
	case statusUnsupported:
		text += " (unsupported data)"
	case statusNone:
		text += " (no status)"
	case statusPolicy:
		text += " (policy violation)"
	case statusTooBig:
		text += " (message too big)"
	}
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// protocolError is a frame that must not be. It is answered with a close frame.
type protocolError struct {
	status int
	text   string
}

func (e *protocolError) Error() string { return "websocket: " + e.text }

func badFrame(format string, args ...any) error {
	return &protocolError{status: statusProtocol, text: fmt.Sprintf(format, args...)}
}

// header is the head of one frame.
type header struct {
	final  bool
	opcode byte
	masked bool
	key    uint32 // the mask, its first byte lowest
	length uint64
}

// parseHeader reads a head from the beginning of b and gives its size; 0 while b is
// too short for it.
func parseHeader(b []byte) (h header, size int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h = header{final: b[0]&0x80 != 0, opcode: b[0] & 0x0f, masked: b[1]&0x80 != 0, length: uint64(b[1] & 0x7f)}
	if b[0]&0x70 != 0 {
		return h, 0, badFrame("a frame with reserved bits: no extension was agreed on")
	}
	size = 2
	switch h.length {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	at := size
	if h.masked {
		size += 4
	}
	if len(b) < size {
		return h, 0, nil
	}
	switch h.length {
	case 126:
		h.length = uint64(binary.BigEndian.Uint16(b[2:]))
	case 127:
		h.length = binary.BigEndian.Uint64(b[2:])
	}
	if h.masked {
		h.key = binary.LittleEndian.Uint32(b[at:])
	}
	return h, size, h.check()
}

// check refuses what RFC 6455 §5.2 and §5.5 forbid of a frame by itself.
func (h header) check() error {
	switch h.opcode {
	case opContinue, opText, opBinary:
		if h.length > 1<<62 {
			return badFrame("a frame of %d bytes", h.length)
		}
	case opClose, opPing, opPong:
		if !h.final || h.length > mostControl {
			return badFrame("a control frame in pieces or of %d bytes", h.length)
		}
	default:
		return badFrame("a frame of the unknown opcode %d", h.opcode)
	}
	return nil
}

// unmask moves src to dst, which may be the same, through the mask, and gives the mask
// as it is for the byte that follows (RFC 6455 §5.3).
func unmask(dst, src []byte, key uint32) uint32 {
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

// closePayload is what a close frame carries. A text that has no room is cut.
func closePayload(status int, text string) []byte {
	text = text[:min(len(text), mostCloseText)]
	return append(binary.BigEndian.AppendUint16(nil, uint16(status)), text...)
}

// parseClose reads a close frame's payload.
func parseClose(b []byte) *CloseError {
	if len(b) < 2 {
		return &CloseError{Status: statusNone}
	}
	return &CloseError{Status: int(binary.BigEndian.Uint16(b)), Text: printable(string(b[2:]))}
}

// printable keeps a peer's text from moving the cursor of whoever looks at it.
func printable(text string) string {
	out := make([]rune, 0, len(text))
	for _, r := range text {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			r = ' '
		}
		out = append(out, r)
	}
	return string(out)
}
