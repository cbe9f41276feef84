package socks5

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Version is the first byte of every message but those of RFC 1929.
const Version = 5

// Method is a way to authenticate.
type Method byte

// The methods that this package has words for, and the answer that none will do.
const (
	NoAuthentication Method = 0
	Password         Method = 2
	NoneAcceptable   Method = 0xff
)

// Command is what a client asks for.
type Command byte

// The commands.
const (
	Connect   Command = 1
	Bind      Command = 2
	Associate Command = 3 // a relay for UDP
)

// Reply is the answer to a command.
type Reply byte

// The replies.
const (
	Succeeded            Reply = 0
	Failure              Reply = 1
	NotAllowed           Reply = 2
	NetworkUnreachable   Reply = 3
	HostUnreachable      Reply = 4
	ConnectionRefused    Reply = 5
	TTLExpired           Reply = 6
	CommandNotSupported  Reply = 7
	AddressNotRecognised Reply = 8
)

// The kinds of addresses.
const (
	kindIPv4 = 1
	kindName = 3
	kindIPv6 = 4
)

// The errors of reading, which others wrap.
var (
	ErrMalformed   = errors.New("socks5: the message is malformed")
	ErrAddressKind = errors.New("socks5: an address of an unknown kind")
)

// Address is a name or an IP address, with a port.
type Address struct {
	Name string     // "" where there is an IP
	IP   netip.Addr // not valid where there is a name
	Port uint16
}

// Request is a command and what it is about.
type Request struct {
	Command Command
	Address Address
}

// ReadMethods reads the client's greeting: how it can authenticate.
func ReadMethods(r io.Reader) ([]Method, error) {
	var head [2]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	if head[0] != Version {
		return nil, fmt.Errorf("%w: version %d", ErrMalformed, head[0])
	}
	raw := make([]byte, head[1])
	if _, err := io.ReadFull(r, raw); err != nil {
		return nil, err
	}
	methods := make([]Method, len(raw))
	for i, b := range raw {
		methods[i] = Method(b)
	}
	return methods, nil
}

// AppendMethod answers the greeting.
func AppendMethod(b []byte, m Method) []byte { return append(b, Version, byte(m)) }

// ReadPassword reads the name and the password of RFC 1929.
func ReadPassword(r io.Reader) (name, password string, err error) {
	var version [1]byte
	if _, err := io.ReadFull(r, version[:]); err != nil {
		return "", "", err
	}
	if version[0] != 1 {
		return "", "", fmt.Errorf("%w: version %d of passwords", ErrMalformed, version[0])
	}
	if name, err = readText(r); err != nil {
		return "", "", err
	}
	password, err = readText(r)
	return name, password, err
}

// AppendVerdict answers a name and a password.
func AppendVerdict(b []byte, good bool) []byte {
	if good {
		return append(b, 1, 0)
	}
	return append(b, 1, 1)
}

// ReadRequest reads a command. One with an address of an unknown kind is ErrAddressKind.
func ReadRequest(r io.Reader) (Request, error) {
	var head [3]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return Request{}, err
	}
	if head[0] != Version || head[2] != 0 {
		return Request{}, fmt.Errorf("%w: a command begins with % x", ErrMalformed, head)
	}
	address, err := readAddress(r)
	return Request{Command(head[1]), address}, err
}

// AppendReply answers a command. bound is the address that goes with a success; not
// valid: 0.0.0.0:0.
func AppendReply(b []byte, reply Reply, bound netip.AddrPort) []byte {
	b = append(b, Version, byte(reply), 0)
	if !bound.IsValid() {
		bound = netip.AddrPortFrom(netip.IPv4Unspecified(), 0)
	}
	return AppendAddress(b, Address{IP: bound.Addr(), Port: bound.Port()})
}

// AppendAddress appends an address. A name has 255 bytes at most; what is beyond is cut.
func AppendAddress(b []byte, a Address) []byte {
	ip := a.IP.Unmap().WithZone("")
	switch {
	case ip.Is4():
		b = append(b, kindIPv4)
		b = append(b, ip.AsSlice()...)
	case ip.Is6():
		b = append(b, kindIPv6)
		b = append(b, ip.AsSlice()...)
	default:
		name := a.Name[:min(len(a.Name), 255)]
		b = append(b, kindName, byte(len(name)))
		b = append(b, name...)
	}
	return binary.BigEndian.AppendUint16(b, a.Port)
}

func readAddress(r io.Reader) (a Address, err error) {
	var kind [1]byte
	if _, err := io.ReadFull(r, kind[:]); err != nil {
		return a, err
	}
	switch kind[0] {
	case kindIPv4:
		var ip [4]byte
		_, err = io.ReadFull(r, ip[:])
		a.IP = netip.AddrFrom4(ip)
	case kindIPv6:
		var ip [16]byte
		_, err = io.ReadFull(r, ip[:])
		a.IP = netip.AddrFrom16(ip)
	case kindName:
		a.Name, err = readText(r)
		if err == nil && a.Name == "" {
			err = fmt.Errorf("%w: an empty name", ErrMalformed)
		}
	default:
		return a, ErrAddressKind
	}
	if err != nil {
		return a, err
	}
	var port [2]byte
	_, err = io.ReadFull(r, port[:])
	a.Port = binary.BigEndian.Uint16(port[:])
	return a, err
}

// readText reads bytes behind their number, which is one byte.
func readText(r io.Reader) (string, error) {
	var size [1]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return "", err
	}
	text := make([]byte, size[0])
	_, err := io.ReadFull(r, text)
	return string(text), err
}
