package flow

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddrSize is enough for either family.
const sockaddrSize = unix.SizeofSockaddrInet6

// sockaddr is struct sockaddr_in or sockaddr_in6, see ip(7) and ipv6(7).
type sockaddr [sockaddrSize]byte

// addrPort reads an address; not valid where it is of another family.
func (s *sockaddr) addrPort() netip.AddrPort {
	port := binary.BigEndian.Uint16(s[2:])
	switch binary.NativeEndian.Uint16(s[:]) {
	case unix.AF_INET:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(s[4:8])), port)
	case unix.AF_INET6:
		a := netip.AddrFrom16([16]byte(s[8:24])).Unmap()
		if scope := binary.NativeEndian.Uint32(s[24:]); scope != 0 && a.Is6() {
			a = a.WithZone(strconv.FormatUint(uint64(scope), 10))
		}
		return netip.AddrPortFrom(a, port)
	}
	return netip.AddrPort{}
}

// set writes an address for a socket of the family, and tells its size.
func (s *sockaddr) set(a netip.AddrPort, v6 bool) int {
	*s = sockaddr{}
	binary.BigEndian.PutUint16(s[2:], a.Port())
	if !v6 {
		binary.NativeEndian.PutUint16(s[:], unix.AF_INET)
		four := a.Addr().Unmap()
		if !four.Is4() {
			return 0
		}
		copy(s[4:], four.AsSlice())
		return unix.SizeofSockaddrInet4
	}
	binary.NativeEndian.PutUint16(s[:], unix.AF_INET6)
	sixteen := a.Addr().As16()
	copy(s[8:], sixteen[:])
	binary.NativeEndian.PutUint32(s[24:], scope(a.Addr().Zone()))
	return unix.SizeofSockaddrInet6
}

// scope is the number of an interface, given by its number or its name.
func scope(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	return 0
}

// control is a control message that carries one of our addresses: struct cmsghdr with
// in_pktinfo or in6_pktinfo behind it. The words give it its alignment.
type control [5]uint64

const (
	controlSize   = 40
	controlHeader = unix.SizeofCmsghdr // a multiple of the alignment on all of Linux
)

func (c *control) bytes() *[controlSize]byte { return (*[controlSize]byte)(unsafe.Pointer(c)) }

// local reads our address; not valid where there is none among the first size bytes.
func (c *control) local(size uint64) netip.Addr {
	if size < controlHeader {
		return netip.Addr{}
	}
	h, data := (*unix.Cmsghdr)(unsafe.Pointer(c)), c.bytes()[controlHeader:]
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && size >= controlHeader+unix.SizeofInet4Pktinfo:
		return netip.AddrFrom4([4]byte(data[4:8])) // ipi_spec_dst: what to answer from
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && size >= controlHeader+unix.SizeofInet6Pktinfo:
		return netip.AddrFrom16([16]byte(data[:16])).Unmap()
	}
	return netip.Addr{}
}

// set asks for our address as the sender's, and tells the size of the message.
func (c *control) set(local netip.Addr, v6 bool) int {
	*c = control{}
	h, data := (*unix.Cmsghdr)(unsafe.Pointer(c)), c.bytes()[controlHeader:]
	if !v6 {
		h.Level, h.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
		h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
		four := local.Unmap().As4()
		copy(data[4:], four[:])
		return unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	}
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	sixteen := local.As16()
	copy(data, sixteen[:])
	return unix.CmsgSpace(unix.SizeofInet6Pktinfo)
}
