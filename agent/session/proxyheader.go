package session

import (
	"io"

	"github.com/postern-dev/postern"
)

// Lengths of the PROXY protocol, sections 2.1 and 2.2 of its specification.
const (
	longestV1 = 107
	startOfV2 = 16
	longestV2 = startOfV2 + 2048 // addresses and more TLVs than any edge sends
)

// readProxyHeader reads exactly the PROXY header from r, not a byte more.
func readProxyHeader(r io.Reader, version int) ([]byte, error) {
	if version == 2 {
		return readProxyV2(r)
	}
	header := make([]byte, 0, longestV1)
	for len(header) < longestV1 {
		next := header[len(header) : len(header)+1]
		if _, err := io.ReadFull(r, next); err != nil {
			return nil, err
		}
		header = header[:len(header)+1]
		if n := len(header); n >= 2 && header[n-2] == '\r' && header[n-1] == '\n' {
			return header, nil
		}
	}
	return nil, postern.Errorf(postern.CodeProtocolViolation, "the PROXY header has no end within %d bytes", longestV1)
}

func readProxyV2(r io.Reader) ([]byte, error) {
	header := make([]byte, startOfV2)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	const signature = "\r\n\r\n\x00\r\nQUIT\n"
	size := startOfV2 + int(header[14])<<8 + int(header[15])
	if string(header[:12]) != signature || size > longestV2 {
		return nil, postern.Errorf(postern.CodeProtocolViolation, "the PROXY header is not one of version 2, or too long")
	}
	whole := append(header, make([]byte, size-startOfV2)...)
	_, err := io.ReadFull(r, whole[startOfV2:])
	return whole, err
}
