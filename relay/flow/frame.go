package flow

import (
	"encoding/binary"
	"errors"
)

// MaxDatagram is what one UDP datagram carries at most over IPv4: 65,535 bytes less the
// headers of IP and UDP (RFC 768, RFC 791).
const MaxDatagram = 65507

// lengthSize is the size of the length before each datagram.
const lengthSize = 2

// ErrTooLong is the failure of a stream that announced, or a caller that gave, a datagram
// of more than MaxDatagram bytes. Such a stream cannot be used any longer.
var ErrTooLong = errors.New("flow: a datagram of more than 65507 bytes")

// Append appends a datagram with its length to a stream's bytes. A payload of more than
// MaxDatagram bytes is left out: no datagram carries it.
func Append(stream, payload []byte) []byte {
	if len(payload) > MaxDatagram {
		return stream
	}
	stream = binary.BigEndian.AppendUint16(stream, uint16(len(payload)))
	return append(stream, payload...)
}

// Cut takes the first datagram off a stream's bytes. Where these end within it, ok is
// false and rest is stream. The error is ErrTooLong.
func Cut(stream []byte) (payload, rest []byte, ok bool, err error) {
	if len(stream) < lengthSize {
		return nil, stream, false, nil
	}
	n := int(binary.BigEndian.Uint16(stream))
	if n > MaxDatagram {
		return nil, stream, false, ErrTooLong
	}
	if n > len(stream)-lengthSize {
		return nil, stream, false, nil
	}
	return stream[lengthSize : lengthSize+n : lengthSize+n], stream[lengthSize+n:], true, nil
}
