package inspect

import (
	"encoding/binary"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	frameHeader = 9
	// mostTable bounds the table of header lines that a direction may ask us to hold.
	mostTable = 64 << 10
)

// frames follows the frames of HTTP/2 that go one way (RFC 9113 §4).
type frames struct {
	conversation *conversation
	answer       bool
	skip         int // bytes of the preface, or of a frame, that are of no interest
	header       [frameHeader]byte
	had          int // bytes of header
	left         int // of the frame's payload
	padding      int // that ends the payload of DATA; -1: its length comes first

	block   []byte // of header lines, until it is whole
	open    bool   // it goes on in the next frame
	of      uint32 // stream of the block
	ends    bool   // the stream ends with the block
	decoder *hpack.Decoder
	fields  fields
}

func newFrames(c *conversation, answer bool) *frames {
	f := &frames{conversation: c, answer: answer}
	f.decoder = hpack.NewDecoder(4096, f.fields.add) // RFC 9113 §6.5.2: before anybody says
	f.decoder.SetAllowedMaxDynamicTableSize(mostTable)
	f.decoder.SetMaxStringLength(mostHead)
	return f
}

func (f *frames) kind() http2.FrameType     { return http2.FrameType(f.header[3]) }
func (f *frames) has(flag http2.Flags) bool { return http2.Flags(f.header[4]).Has(flag) }
func (f *frames) stream() uint32            { return binary.BigEndian.Uint32(f.header[5:]) & (1<<31 - 1) }

// read takes p; ok is false where that is not HTTP/2, or more than is followed.
func (f *frames) read(p []byte) (ok bool) {
	for len(p) > 0 {
		switch {
		case f.skip > 0:
			n := min(f.skip, len(p))
			f.skip, p = f.skip-n, p[n:]
		case f.had < frameHeader:
			n := copy(f.header[f.had:], p)
			f.had, p = f.had+n, p[n:]
			if f.had == frameHeader && !f.begin() {
				return false
			}
		default:
			n := min(f.left, len(p))
			if !f.payload(p[:n]) {
				return false
			}
			f.left, p = f.left-n, p[n:]
		}
		if f.had == frameHeader && f.left == 0 && !f.end() {
			return false
		}
	}
	return true
}

// begin looks at a frame's header.
func (f *frames) begin() (ok bool) {
	f.left = int(f.header[0])<<16 | int(f.header[1])<<8 | int(f.header[2])
	if f.open != (f.kind() == http2.FrameContinuation) || f.open && f.stream() != f.of {
		return false
	}
	switch f.kind() {
	case http2.FrameHeaders:
		f.block, f.of, f.ends = f.block[:0], f.stream(), f.has(http2.FlagHeadersEndStream)
		return f.left <= mostHead
	case http2.FrameContinuation:
		return len(f.block)+f.left <= mostHead
	case http2.FrameData:
		f.padding = 0
		if f.has(http2.FlagDataPadded) {
			f.padding = -1
		}
	case http2.FrameRSTStream:
	case http2.FramePushPromise:
		return false // the server forbids it
	default:
		f.skip, f.left = f.left, 0
	}
	return true
}

// payload takes bytes of a frame, f.left of which are still to come with them.
func (f *frames) payload(p []byte) (ok bool) {
	switch f.kind() {
	case http2.FrameHeaders, http2.FrameContinuation:
		f.block = append(f.block, p...)
	case http2.FrameData:
		left := f.left
		if f.padding < 0 && len(p) > 0 {
			f.padding, p, left = int(p[0]), p[1:], left-1
		}
		if data := left - f.padding; data > 0 {
			f.conversation.data(f, p[:min(len(p), data)])
		}
	}
	return true
}

// end acts on a frame that has come whole.
func (f *frames) end() (ok bool) {
	f.had = 0
	switch f.kind() {
	case http2.FrameHeaders, http2.FrameContinuation:
		if f.kind() == http2.FrameHeaders && !f.unwrap() {
			return false
		}
		if f.open = !f.has(http2.FlagHeadersEndHeaders); !f.open {
			return f.lines()
		}
	case http2.FrameData:
		if f.has(http2.FlagDataEndStream) {
			f.conversation.ended(f.stream(), f.answer)
		}
	case http2.FrameRSTStream:
		f.conversation.reset(f.stream())
	}
	return true
}

// unwrap takes padding and priority off the first piece of a block.
func (f *frames) unwrap() (ok bool) {
	front, back := 0, 0
	if f.has(http2.FlagHeadersPadded) {
		if len(f.block) == 0 {
			return false
		}
		front, back = 1, int(f.block[0])
	}
	if f.has(http2.FlagHeadersPriority) {
		front += 5
	}
	if front+back > len(f.block) {
		return false
	}
	f.block = append(f.block[:0], f.block[front:len(f.block)-back]...)
	return true
}

// lines decodes a whole block. Every block must be, or later ones make no sense.
func (f *frames) lines() (ok bool) {
	f.fields.reset()
	if _, err := f.decoder.Write(f.block); err != nil {
		return false
	}
	if f.decoder.Close() != nil {
		return false
	}
	if cap(f.block) > mostIdle {
		f.block = nil
	}
	return f.conversation.head(f)
}
