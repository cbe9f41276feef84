package handover

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"

	"github.com/postern-dev/postern"
)

// Version is that of the protocol between two processes. A newcomer of another version
// is refused, and the running process goes on.
const Version = 1

// What a message may take: far more than it needs, far less than would hurt.
const (
	mostMessage     = 64 << 10
	mostDescriptors = 64 // in one message; Linux allows 253
)

// kind says what a message is.
type kind string

const (
	kindHello   kind = "hello"   // newcomer: who asks
	kindOffer   kind = "offer"   // running: the fixed listeners and the lock
	kindReady   kind = "ready"   // newcomer: all is set up, nothing is missing but the ports
	kindPorts   kind = "ports"   // running: sockets of endpoints with ports; the last has More false
	kindServing kind = "serving" // newcomer: it accepts; the running process is to stop accepting
	kindDone    kind = "done"    // running: it has
	kindRefusal kind = "refusal" // either: nothing comes of it, and why
)

// message is one step of a hand-over. Descriptors travel beside it, in the order of
// what it names.
type message struct {
	Kind      kind
	Version   int            `json:",omitempty"`
	Release   string         `json:",omitempty"` // of the program, for logs
	Listeners []listenerName `json:",omitempty"`
	Lock      bool           `json:",omitempty"` // the first descriptor is the data directory's lock
	Ports     []uint16       `json:",omitempty"` // tcp
	Datagrams []uint16       `json:",omitempty"` // udp, whose descriptors follow
	Gateways  []gatewayName  `json:",omitempty"` // of private gateways, whose descriptors follow
	More      bool           `json:",omitempty"`
	Code      postern.Code   `json:",omitempty"`
	Text      string         `json:",omitempty"`
}

// listenerName says which listener a descriptor is, and what its address is in the
// configuration that it was made from.
type listenerName struct {
	Name, Address string
	UDP           bool `json:",omitempty"`
}

// gatewayName says which port of a private gateway a descriptor is.
type gatewayName struct {
	Gateway string
	At      netip.AddrPort
	UDP     bool `json:",omitempty"`
}

// descriptors counts those that must come with m.
func (m message) descriptors() int {
	n := len(m.Listeners) + len(m.Ports) + len(m.Datagrams) + len(m.Gateways)
	if m.Lock {
		n++
	}
	return n
}

// encode gives the bytes of m: a length and JSON.
func (m message) encode() ([]byte, error) {
	text, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode a %s: %w", m.Kind, err)
	}
	if len(text) > mostMessage || m.descriptors() > mostDescriptors {
		return nil, postern.Errorf(postern.CodeInternal, "a %s message of %d bytes and %d descriptors is too large", m.Kind, len(text), m.descriptors())
	}
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...), nil
}

// readMessage reads what encode wrote. It reads no byte more.
func readMessage(r io.Reader) (message, error) {
	var m message
	text, err := readFrame(r, mostMessage)
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return message{}, unreadable(err)
	}
	if m.descriptors() > mostDescriptors {
		return message{}, unreadable(fmt.Errorf("it names %d descriptors", m.descriptors()))
	}
	if m.Kind == kindRefusal {
		m.Code, m.Text = postern.Code(clip(string(m.Code), 32)), clip(m.Text, 1024)
	}
	return m, nil
}

// readFrame reads a length and that many bytes.
func readFrame(r io.Reader, most int) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(head[:])
	if uint64(size) > uint64(most) {
		return nil, unreadable(fmt.Errorf("it has %d bytes, more than %d", size, most))
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return nil, notEOF(err)
	}
	return text, nil
}

func notEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func unreadable(err error) error {
	return postern.Errorf(postern.CodeProtocolViolation, "the other process sent a message that cannot be read; is it another version?").Because(err)
}

func clip(s string, most int) string {
	if len(s) > most {
		return s[:most]
	}
	return s
}
