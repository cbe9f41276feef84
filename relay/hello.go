package relay

import (
	"errors"
	"io"
	"os"
	"slices"

	"github.com/postern-dev/postern"
)

// ClientHello is what a TLS client says first, as far as routing needs it.
type ClientHello struct {
	ServerName postern.Hostname // "" where the client named none
	ALPN       []string         // in the client's order of preference
	Versions   []uint16         // offered, in the client's order; 0x0304 is TLS 1.3
}

// Offers tells whether the client speaks the application protocol.
func (h ClientHello) Offers(protocol string) bool { return slices.Contains(h.ALPN, protocol) }

// Numbers of RFC 8446 §5.1 (records), §4 (handshake) and §4.2 (extensions).
const (
	recordHandshake   = 22
	recordHeaderSize  = 5
	maxRecord         = 1 << 14
	handshakeHello    = 1
	handshakeHeader   = 4
	maxHello          = 64 << 10
	extServerName     = 0
	extALPN           = 16
	extVersions       = 43
	serverNameHost    = 0
	randomSize        = 32
	legacyVersionSize = 2
)

// IsTLS tells whether a connection's first byte starts a TLS handshake.
func IsTLS(first byte) bool { return first == recordHandshake }

// SniffHello reads the ClientHello at the start of p and consumes nothing. The
// message may be spread over several records and have up to 64 KiB (less where p's
// limit is lower), which post-quantum key shares need. The caller sets the deadline. What does not concern
// routing is not judged: whoever ends TLS does that.
//
// Errors are *postern.Error: CodeRequestInvalid for what is not TLS or is malformed,
// CodeHostnameInvalid for a server name that is none, CodeHeaderTooLarge,
// CodeRequestTimeout when the deadline passed, CodeStreamReset when the connection
// ended first.
func SniffHello(p *Peeked) (ClientHello, error) {
	message, err := helloMessage(p)
	if err != nil {
		return ClientHello{}, sniffError(err)
	}
	return parseHello(message)
}

// helloMessage gathers the handshake message out of its records. The first record
// nearly always holds all of it; then nothing is copied.
func helloMessage(p *Peeked) ([]byte, error) {
	var message []byte
	for offset := 0; ; {
		fragment, err := peekRecord(p, offset)
		if err != nil {
			return nil, err
		}
		if message == nil {
			message = fragment[:len(fragment):len(fragment)]
		} else {
			message = append(message, fragment...)
		}
		if len(message) >= handshakeHeader {
			if message[0] != handshakeHello {
				return nil, malformed("handshake message %d comes first", message[0])
			}
			size := int(message[1])<<16 | int(message[2])<<8 | int(message[3])
			if size > maxHello {
				return nil, postern.Errorf(postern.CodeHeaderTooLarge,
					"the TLS ClientHello has %d bytes; at most %d are allowed", size, maxHello)
			}
			if size <= len(message)-handshakeHeader {
				return message[handshakeHeader : handshakeHeader+size], nil
			}
		}
		offset += recordHeaderSize + len(fragment)
	}
}

// peekRecord returns the payload of the record that starts at offset.
func peekRecord(p *Peeked, offset int) ([]byte, error) {
	seen, err := p.Peek(offset + recordHeaderSize)
	if len(seen) > offset && seen[offset] != recordHandshake {
		return nil, malformed("record type %d is not a handshake", seen[offset])
	}
	if err != nil {
		return nil, err
	}
	head := seen[offset:]
	size := int(head[3])<<8 | int(head[4])
	if size == 0 || size > maxRecord { // head[1:3] says nothing: RFC 8446 §5.1
		return nil, malformed("a record of %d bytes", size)
	}
	start := offset + recordHeaderSize
	seen, err = p.Peek(start + size)
	if err != nil {
		return nil, err
	}
	return seen[start : start+size], nil
}

// parseHello reads the body of a ClientHello (RFC 8446 §4.1.2).
func parseHello(body []byte) (ClientHello, error) {
	in := &cursor{rest: body}
	in.take(legacyVersionSize + randomSize)
	in.vector8()                                     // session id
	if suites := in.vector16(); len(suites)%2 != 0 { // none at all is for whoever ends TLS to refuse
		return ClientHello{}, malformed("cipher suites of %d bytes", len(suites))
	}
	in.vector8() // compression methods
	if in.bad {
		return ClientHello{}, malformed("it ends early")
	}
	var hello ClientHello
	if len(in.rest) == 0 {
		return hello, nil // TLS 1.2 allows no extensions at all
	}
	extensions := cursor{rest: in.vector16()}
	if in.bad || len(in.rest) != 0 {
		return ClientHello{}, malformed("its extensions do not fit")
	}
	seen := make([]uint16, 0, 32)
	for len(extensions.rest) > 0 {
		kind, data := extensions.uint16(), extensions.vector16()
		if extensions.bad {
			return ClientHello{}, malformed("extension %d ends early", kind)
		}
		// A second server name could be read by one party and the first by another.
		if slices.Contains(seen, kind) {
			return ClientHello{}, malformed("extension %d comes twice", kind)
		}
		seen = append(seen, kind)
		if err := hello.extension(kind, data); err != nil {
			return ClientHello{}, err
		}
	}
	return hello, nil
}

func (h *ClientHello) extension(kind uint16, data []byte) error {
	var err error
	switch kind {
	case extServerName:
		h.ServerName, err = parseServerName(data)
	case extALPN:
		h.ALPN, err = parseALPN(data)
	case extVersions:
		h.Versions, err = parseVersions(data)
	}
	return err
}

// parseServerName reads RFC 6066 §3. Names other than of a host do not exist.
func parseServerName(data []byte) (postern.Hostname, error) {
	in := &cursor{rest: data}
	list := cursor{rest: in.vector16()}
	if in.bad || len(in.rest) != 0 || len(list.rest) == 0 {
		return "", malformed("the server name extension does not fit")
	}
	var text string
	for len(list.rest) > 0 {
		kind, name := list.uint8(), list.vector16()
		if list.bad || len(name) == 0 {
			return "", malformed("the server name ends early")
		}
		if kind != serverNameHost {
			continue
		}
		if text != "" {
			return "", malformed("it has two server names")
		}
		text = string(name)
	}
	if text == "" {
		return "", nil
	}
	host, err := postern.ParseHostname(text)
	if err != nil {
		return "", err
	}
	if host.Wildcard() {
		return "", postern.Errorf(postern.CodeHostnameInvalid, "server name %q: a client cannot ask for a wildcard", text)
	}
	return host, nil
}

// parseALPN reads RFC 7301 §3.1.
func parseALPN(data []byte) ([]string, error) {
	in := &cursor{rest: data}
	list := cursor{rest: in.vector16()}
	if in.bad || len(in.rest) != 0 || len(list.rest) == 0 {
		return nil, malformed("the ALPN extension does not fit")
	}
	var protocols []string
	for len(list.rest) > 0 {
		name := list.vector8()
		if list.bad || len(name) == 0 {
			return nil, malformed("an ALPN protocol ends early")
		}
		protocols = append(protocols, string(name))
	}
	return protocols, nil
}

func parseVersions(data []byte) ([]uint16, error) {
	in := &cursor{rest: data}
	list := cursor{rest: in.vector8()}
	if in.bad || len(in.rest) != 0 || len(list.rest) == 0 || len(list.rest)%2 != 0 {
		return nil, malformed("the supported versions do not fit")
	}
	var versions []uint16
	for len(list.rest) > 0 {
		versions = append(versions, list.uint16())
	}
	return versions, nil
}

func malformed(format string, args ...any) *postern.Error {
	return postern.Errorf(postern.CodeRequestInvalid, "TLS ClientHello: "+format, args...)
}

// sniffError gives a code to what ended the reading of somebody's first bytes.
func sniffError(err error) error {
	var coded *postern.Error
	switch {
	case errors.As(err, &coded):
		return coded
	case errors.Is(err, os.ErrDeadlineExceeded):
		return postern.Errorf(postern.CodeRequestTimeout, "the first message did not arrive in time").Because(err)
	case errors.Is(err, io.EOF):
		return postern.Errorf(postern.CodeStreamReset, "the connection ended within its first message").Because(io.ErrUnexpectedEOF)
	}
	return postern.Errorf(postern.CodeStreamReset, "the connection failed within its first message").Because(err)
}
