package relay

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/postern-dev/postern"
)

// The PROXY protocol is https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt.
const (
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	proxyV2Proxy   = 0x21 // version 2, the connection is relayed
	proxyV2Local   = 0x20 // version 2, the sender's own connection
	proxyTCP4      = 0x11
	proxyTCP6      = 0x21

	// proxyRead is more than a header without extensions. go-proxyproto bounds the
	// extensions too (4 KiB), so a stranger cannot make us keep more.
	proxyRead = 512
)

// ProxyHeader returns the PROXY protocol header of the version (1 or 2) that names
// the visitor src and the address dst that it came to. Addresses of different
// families are both written as IPv6. An address that is not valid gives the form
// that says "unknown". Other versions are CodeOptionUnsupported.
func ProxyHeader(version int, src, dst netip.AddrPort) ([]byte, error) {
	known := src.IsValid() && dst.IsValid()
	srcIP, dstIP := src.Addr().Unmap().WithZone(""), dst.Addr().Unmap().WithZone("")
	four := known && srcIP.Is4() && dstIP.Is4()
	switch version {
	case 1:
		if !known {
			return []byte("PROXY UNKNOWN\r\n"), nil
		}
		return proxyV1(four, srcIP, dstIP, src.Port(), dst.Port()), nil
	case 2:
		if !known {
			return append([]byte(proxySignature), proxyV2Local, 0, 0, 0), nil
		}
		return proxyV2(four, srcIP, dstIP, src.Port(), dst.Port()), nil
	}
	return nil, postern.Errorf(postern.CodeOptionUnsupported, "PROXY protocol version %d is not 1 or 2", version)
}

func proxyV1(four bool, src, dst netip.Addr, srcPort, dstPort uint16) []byte {
	out := append(make([]byte, 0, 107), "PROXY TCP"...)
	if four {
		out = append(out, "4 "...)
		out = append(src.AppendTo(out), ' ')
		out = append(dst.AppendTo(out), ' ')
	} else {
		out = append(out, "6 "...)
		// Expanded, because a mapped IPv4 address in its mixed notation is more than
		// the specification lets receivers expect.
		out = append(append(out, netip.AddrFrom16(src.As16()).StringExpanded()...), ' ')
		out = append(append(out, netip.AddrFrom16(dst.As16()).StringExpanded()...), ' ')
	}
	out = append(strconv.AppendUint(out, uint64(srcPort), 10), ' ')
	return append(strconv.AppendUint(out, uint64(dstPort), 10), '\r', '\n')
}

func proxyV2(four bool, src, dst netip.Addr, srcPort, dstPort uint16) []byte {
	out := append(make([]byte, 0, 52), proxySignature...)
	if four {
		out = append(out, proxyV2Proxy, proxyTCP4, 0, 12)
		out = append(out, src.AsSlice()...)
		out = append(out, dst.AsSlice()...)
	} else {
		from, to := src.As16(), dst.As16()
		out = append(out, proxyV2Proxy, proxyTCP6, 0, 36)
		out = append(out, from[:]...)
		out = append(out, to[:]...)
	}
	out = binary.BigEndian.AppendUint16(out, srcPort)
	return binary.BigEndian.AppendUint16(out, dstPort)
}

// AcceptProxied reads the PROXY header, of either version, that must come first on
// conn within the given time, and returns the connection behind it: its RemoteAddr
// is the visitor and its LocalAddr what the visitor dialled (both unchanged where
// the header says "local" or "unknown"). peekLimit is as in NewPeeked. It blocks,
// so it belongs into the connection's goroutine, not into an accept loop.
//
// Whoever can send the header can pretend to be anybody: call it only for listeners
// that nobody but trusted proxies can reach, or after checking the peer. A
// connection without the header is CodeRequestInvalid, a late one
// CodeRequestTimeout; the caller closes conn then.
func AcceptProxied(conn net.Conn, within time.Duration, peekLimit int) (*Peeked, error) {
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, sniffError(err)
	}
	reader := bufio.NewReaderSize(conn, proxyRead)
	header, err := proxyproto.Read(reader)
	if err != nil {
		return nil, proxyError(err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, sniffError(err)
	}
	p := NewPeeked(conn, peekLimit)
	// What was read with the header belongs to the visitor's first message.
	if n := reader.Buffered(); n > 0 {
		rest, _ := reader.Peek(n)
		p.kept = append(p.kept, rest...)
	}
	if header.Command.IsProxy() {
		if src, dst, ok := header.TCPAddrs(); ok {
			p.remote, p.local = src, dst
		}
	}
	return p, nil
}

func proxyError(err error) error {
	coded := postern.AsError(sniffError(err))
	if coded.Code == postern.CodeRequestTimeout || errors.Is(err, io.EOF) {
		return coded
	}
	return postern.Errorf(postern.CodeRequestInvalid,
		"the listener expects a PROXY protocol header and got none that is valid").Because(err)
}
