package socks5

import (
	"bytes"
	"fmt"
	"io"
)

// ParseDatagram takes a client's UDP datagram apart: for whom it is, and what. payload
// lies within b. Fragments are refused: RFC 1928 leaves them to those who want them.
func ParseDatagram(b []byte) (to Address, payload []byte, err error) {
	if len(b) < 3 || b[0] != 0 || b[1] != 0 {
		return to, nil, fmt.Errorf("%w: a datagram without a header", ErrMalformed)
	}
	if b[2] != 0 {
		return to, nil, fmt.Errorf("%w: fragment %d of a datagram", ErrMalformed, b[2])
	}
	r := bytes.NewReader(b[3:])
	if to, err = readAddress(r); err != nil {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = fmt.Errorf("%w: a datagram that ends in its header", ErrMalformed)
		}
		return to, nil, err
	}
	return to, b[len(b)-r.Len():], nil
}

// AppendDatagram makes the datagram that tells a client what came from whom.
func AppendDatagram(b []byte, from Address, payload []byte) []byte {
	return append(AppendAddress(append(b, 0, 0, 0), from), payload...)
}
