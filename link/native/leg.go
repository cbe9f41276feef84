package native

import (
	"encoding/binary"

	"github.com/postern-dev/postern/link/mux"
)

// leg is a part of one direction of a stream: a stream of one carrier.
type leg struct {
	*mux.Stream
	on *further // nil: carrier 0
}

func (l leg) number() uint32 {
	if l.on == nil {
		return 0
	}
	return l.on.number
}

// continueSize is the bytes that a leg begins with: the stream's id on carrier 0,
// then the number of the leg in its direction, from 1.
const continueSize = 8

func appendContinue(b []byte, root, number uint32) []byte {
	return binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, root), number)
}

func readContinue(b [continueSize]byte) (root, number uint32) {
	return binary.BigEndian.Uint32(b[:]), binary.BigEndian.Uint32(b[4:])
}
