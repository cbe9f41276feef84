package mux

import "encoding/binary"

// A frame is an 8-byte header, big endian, and a body:
//
//	u24 length | u4 kind | u4 flags | u32 stream (31 bits)
const headerSize = 8

// maxPayload bounds the DATA frames that we send: with its header such a frame
// is one TLS record, so the peer never waits for a second record to use it.
const maxPayload = 16<<10 - headerSize

// maxStream is the highest stream id; the 32nd bit is reserved.
const maxStream = 1<<31 - 1

// maxLength is the longest body that a header can announce.
const maxLength = 1<<24 - 1

// frameKind says what a frame's body is.
type frameKind uint8

const (
	kindReset  frameKind = 0 // u32 code; with RichResets, text after it
	kindData   frameKind = 1 // the stream's bytes
	kindWindow frameKind = 2 // u32 increment of the stream's window
	kindGoAway frameKind = 3 // u32 last stream, u32 code, text; on stream 0
	kindMove   frameKind = 4 // u32 connection: the direction ends here and goes on there
)

// Flags of DATA frames.
const (
	flagFin uint8 = 1 // the sender's direction ends after this frame
	flagSyn uint8 = 2 // this frame opens the stream
)

// header is the decoded head of a frame.
type header struct {
	length uint32 // of the body
	kind   frameKind
	flags  uint8
	stream uint32 // all 32 bits as they came
}

// parseHeader decodes the first headerSize bytes of b.
func parseHeader(b []byte) header {
	_ = b[headerSize-1]
	return header{
		length: uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]),
		kind:   frameKind(b[3] >> 4),
		flags:  b[3] & 0x0F,
		stream: binary.BigEndian.Uint32(b[4:]),
	}
}

// appendHeader encodes h. Its length must be at most maxLength.
func appendHeader(b []byte, h header) []byte {
	return append(b,
		byte(h.length>>16), byte(h.length>>8), byte(h.length),
		byte(h.kind)<<4|h.flags&0x0F,
		byte(h.stream>>24), byte(h.stream>>16), byte(h.stream>>8), byte(h.stream))
}

// appendWord encodes a frame whose body is one u32: RST or WNDINC.
func appendWord(b []byte, kind frameKind, stream, word uint32) []byte {
	b = appendHeader(b, header{length: 4, kind: kind, stream: stream})
	return binary.BigEndian.AppendUint32(b, word)
}
