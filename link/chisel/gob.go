package chisel

import (
	"bufio"
	"errors"
	"io"
	"math/bits"
	"slices"
)

// mostDatagram is the largest payload of UDP over IPv4.
const mostDatagram = 65507

// packetType is what precedes the first packet of a stream in encoding/gob's form: type
// 64 is a struct udpPacket with Src, a string, and Payload, bytes.
const packetType = "\x2a\x7f\x03\x01\x01\x09udpPacket\x01\xff\x80\x00\x01\x02\x01\x03Src\x01\x0c\x00\x01\x07Payload\x01\x0a\x00\x00\x00"

const (
	packetTypeID = 64
	stringTypeID = 6
	bytesTypeID  = 5

	mostSource      = 64 // bytes of an address and port in print
	mostGobMessage  = mostDatagram + mostSource + 32
	mostDefinition  = 512
	mostFieldsOfGob = 8
)

// appendPacket writes one datagram as chisel does; the stream's first one goes behind
// packetType.
func appendPacket(b []byte, source string, payload []byte) []byte {
	size := len(gobUint(nil, packetTypeID<<1)) + 1 // and the zero at the end
	if source != "" {
		size += 1 + gobUintSize(len(source)) + len(source)
	}
	if len(payload) > 0 {
		size += 1 + gobUintSize(len(payload)) + len(payload)
	}
	b = slices.Grow(b, size+gobUintSize(size))
	b = gobUint(b, uint64(size))
	b = gobUint(b, packetTypeID<<1)
	step := byte(1)
	if source != "" {
		b = append(b, step)
		b = append(gobUint(b, uint64(len(source))), source...)
	} else {
		step = 2
	}
	if len(payload) > 0 {
		b = append(b, step)
		b = append(gobUint(b, uint64(len(payload))), payload...)
	}
	return append(b, 0)
}

// gobUint writes an unsigned number: one byte below 128, else its bytes behind their
// negated count.
func gobUint(b []byte, n uint64) []byte {
	if n < 128 {
		return append(b, byte(n))
	}
	count := (bits.Len64(n) + 7) / 8
	b = append(b, byte(-count))
	for i := count - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

func gobUintSize(n int) int {
	if n < 128 {
		return 1
	}
	return 1 + (bits.Len64(uint64(n))+7)/8
}

var errGob = errors.New("chisel: what came on a channel for datagrams is none")

// packets reads datagrams as chisel's peers send them: a stream of encoding/gob with
// one type, whose fields are known by their names. It takes nothing else of that format,
// and no more memory than a datagram.
type packets struct {
	from   *bufio.Reader
	buffer []byte
	id     int64      // of the type; 0 before its definition
	fields []gobField // by number
}

type gobField int

const (
	fieldSource gobField = iota
	fieldPayload
)

func newPackets(from io.Reader) *packets { return &packets{from: bufio.NewReader(from)} }

// next gives the next datagram; both slices are valid until the following call. A
// stream that ends between two is io.EOF.
func (p *packets) next() (source, payload []byte, err error) {
	for {
		message, err := p.message()
		if err != nil {
			return nil, nil, err
		}
		c := gobCursor{rest: message}
		id := c.int()
		switch {
		case c.bad:
			return nil, nil, errGob
		case id < 0 && p.id == 0:
			if !p.define(&c, -id) {
				return nil, nil, errGob
			}
		case id > 0 && id == p.id:
			source, payload, ok := p.value(&c)
			if !ok {
				return nil, nil, errGob
			}
			return source, payload, nil
		default:
			return nil, nil, errGob
		}
	}
}

// message reads one message behind its length.
func (p *packets) message() ([]byte, error) {
	size, err := p.length()
	if err != nil {
		return nil, err
	}
	if size == 0 || size > mostGobMessage || p.id == 0 && size > mostDefinition {
		return nil, errGob
	}
	if cap(p.buffer) < size || cap(p.buffer) > 4<<10 && size <= 4<<10 {
		p.buffer = make([]byte, max(size, 512))
	}
	b := p.buffer[:size]
	if _, err := io.ReadFull(p.from, b); err != nil {
		return nil, inside(err)
	}
	return b, nil
}

func (p *packets) length() (int, error) {
	first, err := p.from.ReadByte()
	if err != nil || first < 128 {
		return int(first), err
	}
	count := -int(int8(first))
	if count > 3 {
		return 0, errGob
	}
	n := 0
	for range count {
		b, err := p.from.ReadByte()
		if err != nil {
			return 0, inside(err)
		}
		n = n<<8 | int(b)
	}
	return n, nil
}

// define reads the type's definition: gob's wireType with its third field, StructT, set.
func (p *packets) define(c *gobCursor, id int64) bool {
	if c.uint() != 3 { // to StructT
		return false
	}
	if c.uint() == 1 { // CommonType
		if c.uint() != 1 { // Name
			return false
		}
		c.bytes()
		if c.uint() != 1 || c.int() != id || c.uint() != 0 { // Id, end
			return false
		}
	}
	if c.uint() != 1 { // Field
		return false
	}
	count := c.uint()
	if c.bad || count == 0 || count > mostFieldsOfGob {
		return false
	}
	var fields []gobField
	for range count {
		if c.uint() != 1 { // Name
			return false
		}
		name := string(c.bytes())
		if c.uint() != 1 { // Id
			return false
		}
		of := c.int()
		if c.uint() != 0 {
			return false
		}
		switch {
		case name == "Src" && of == stringTypeID:
			fields = append(fields, fieldSource)
		case name == "Payload" && of == bytesTypeID:
			fields = append(fields, fieldPayload)
		default:
			return false
		}
	}
	ends := c.uint() == 0        // of the struct's description,
	ends = c.uint() == 0 && ends // and of the type's
	if !ends || c.bad || len(c.rest) > 0 {
		return false
	}
	p.id, p.fields = id, fields
	return true
}

// value reads one packet. A field that is empty is not sent.
func (p *packets) value(c *gobCursor) (source, payload []byte, ok bool) {
	at := -1
	for {
		step := c.uint()
		if step == 0 {
			return source, payload, !c.bad && len(c.rest) == 0 && len(source) <= mostSource && len(payload) <= mostDatagram
		}
		if step > uint64(len(p.fields)-1-at) {
			return nil, nil, false
		}
		at += int(step)
		if p.fields[at] == fieldSource {
			source = c.bytes()
		} else {
			payload = c.bytes()
		}
	}
}

// gobCursor walks over a message. After the first read beyond the end it is bad and
// gives zeros.
type gobCursor struct {
	rest []byte
	bad  bool
}

func (c *gobCursor) uint() uint64 {
	if len(c.rest) == 0 {
		c.bad = true
		return 0
	}
	first := c.rest[0]
	c.rest = c.rest[1:]
	if first < 128 {
		return uint64(first)
	}
	count := -int(int8(first))
	if count > 8 || count > len(c.rest) {
		c.bad, c.rest = true, nil
		return 0
	}
	var n uint64
	for _, b := range c.rest[:count] {
		n = n<<8 | uint64(b)
	}
	c.rest = c.rest[count:]
	return n
}

// int reads a signed number: the lowest bit tells that the others are inverted.
func (c *gobCursor) int() int64 {
	n := c.uint()
	if n&1 != 0 {
		return ^int64(n >> 1)
	}
	return int64(n >> 1)
}

func (c *gobCursor) bytes() []byte {
	n := c.uint()
	if n > uint64(len(c.rest)) {
		c.bad, c.rest = true, nil
		return nil
	}
	b := c.rest[:n]
	c.rest = c.rest[n:]
	return b
}
