package body

import (
	"bufio"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/zlib"
)

// inflate reads the coding "deflate", which is zlib's format (RFC 9110 §8.4.1.2). Some
// software sends bare RFC 1951 data under that name.
func inflate(source *bufio.Reader) (io.Reader, error) {
	begin, err := source.Peek(2)
	if len(begin) == 0 && err == io.EOF {
		return source, nil
	}
	if err != nil || !zlibBegins(begin) {
		return flate.NewReader(source), nil
	}
	return zlib.NewReader(source)
}

// zlibBegins tells a zlib header (RFC 1950 §2.2).
func zlibBegins(b []byte) bool {
	const deflated = 8
	return b[0]&0xf == deflated && b[0]>>4 <= 7 && (uint(b[0])<<8|uint(b[1]))%31 == 0
}
