package relay

import (
	"bufio"
	"bytes"
	"encoding/binary"
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

	proxyV1Start = "PROXY "
	proxyV1Most  = 107
	proxyV2Fixed = 16
	// proxyV2Most bounds addresses and extensions; it is go-proxyproto's bound too.
	proxyV2Most = 4 << 10
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
	p := NewPeeked(conn, max(peekLimit, proxyV1Most, proxyV2Fixed+proxyV2Most))
	size, err := proxyHeaderSize(p)
	if err != nil {
		return nil, err
	}
	header, err := proxyproto.Read(bufio.NewReaderSize(bytes.NewReader(p.kept[:size]), size))
	if err != nil {
		return nil, notProxied(err)
	}
	if err := conn.SetReadDeadline(time.Time{}); err != nil {
		return nil, sniffError(err)
	}
	p.limit = peekLimit
	if p.kept = p.kept[size:]; len(p.kept) == 0 {
		p.kept = nil // lets the memory go
	}
	if header.Command.IsProxy() {
		if src, dst, ok := header.TCPAddrs(); ok {
			p.remote, p.local = src, dst
		}
	}
	return p, nil
}

// proxyHeaderSize waits for a whole header and returns its size. It may come in
// pieces: packets are cut where no proxy can know.
func proxyHeaderSize(p *Peeked) (int, error) {
	const tellsVersion = 5
	seen, err := p.Peek(tellsVersion)
	switch {
	case !bytes.HasPrefix([]byte(proxyV1Start), seen[:min(len(seen), tellsVersion)]) &&
		!bytes.HasPrefix([]byte(proxySignature), seen[:min(len(seen), tellsVersion)]):
		return 0, notProxied(nil)
	case err != nil:
		return 0, sniffError(err)
	case seen[0] == proxyV1Start[0]:
		return proxyV1Size(p)
	}
	if seen, err = p.Peek(proxyV2Fixed); err != nil {
		return 0, sniffError(err)
	}
	more := int(binary.BigEndian.Uint16(seen[proxyV2Fixed-2:]))
	if more > proxyV2Most {
		return 0, notProxied(nil)
	}
	if _, err = p.Peek(proxyV2Fixed + more); err != nil {
		return 0, sniffError(err)
	}
	return proxyV2Fixed + more, nil
}

func proxyV1Size(p *Peeked) (int, error) {
	for {
		seen := p.Buffered()
		if end := bytes.IndexByte(seen[:min(len(seen), proxyV1Most)], '\n'); end >= 0 {
			return end + 1, nil
		}
		if len(seen) >= proxyV1Most {
			return 0, notProxied(nil)
		}
		if _, err := p.Peek(len(seen) + 1); err != nil {
			return 0, sniffError(err)
		}
	}
}

func notProxied(cause error) error {
	return postern.Errorf(postern.CodeRequestInvalid,
		"the listener expects a PROXY protocol header and got none that is valid").Because(cause)
}
