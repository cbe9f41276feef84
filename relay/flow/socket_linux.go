package flow

import (
	"net"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// message is struct mmsghdr of recvmmsg(2).
type message struct {
	unix.Msghdr
	size uint32
}

// inbox is what one recvmmsg fills. It is taken from the pool when there is something to
// read, so that sockets that are quiet share what is large.
type inbox struct {
	messages [batchSize]message
	vectors  [batchSize]unix.Iovec
	names    [batchSize]sockaddr
	controls [batchSize]control
	payloads [batchSize][largeBuffer]byte
}

// outbox is what one sendmmsg reads.
type outbox struct {
	messages [batchSize]message
	vectors  [batchSize]unix.Iovec
	name     sockaddr
	control  control

	from, until int // the messages that are to be sent
	tries       int // of the next one, so far
	tally       tally
	failure     error
	try         func(fd uintptr) bool // attempt, bound once
}

var (
	inboxes  = sync.Pool{New: func() any { return new(inbox) }}
	outboxes = sync.Pool{New: func() any { return newOutbox() }}
)

// mmsgSocket is a UDP socket of Linux. What is only the receiver's is without a lock.
type mmsgSocket struct {
	raw       syscall.RawConn
	v6        bool // of the family AF_INET6, which IPv4 may come through too
	connected bool

	box   *inbox // that received
	count int
	errno syscall.Errno
	try   func(fd uintptr) bool // attempt, bound once
}

// batched takes a socket for batches; nil where that is not to be had.
func batched(conn *net.UDPConn, connected bool) socket {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil
	}
	s := &mmsgSocket{raw: raw, connected: connected}
	s.try = s.attempt
	local, _ := conn.LocalAddr().(*net.UDPAddr)
	wild := !connected && local != nil && local.IP.IsUnspecified()
	var failure error
	if err := raw.Control(func(fd uintptr) {
		domain, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_DOMAIN)
		s.v6, failure = domain == unix.AF_INET6, err
		switch {
		case !wild || err != nil:
		case s.v6:
			failure = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		default:
			failure = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	}); err != nil || failure != nil {
		return nil
	}
	return s
}

func (s *mmsgSocket) receive(take func(peer, []byte)) error {
	s.box, s.count, s.errno = nil, 0, 0
	if err := s.raw.Read(s.try); err != nil {
		return err
	}
	if s.errno != 0 {
		return s.errno
	}
	for i := range s.count {
		m := &s.box.messages[i]
		from := peer{}
		if !s.connected {
			from.remote = s.box.names[i].addrPort()
			from.local = s.box.controls[i].local(uint64(m.Controllen))
		}
		take(from, s.box.payloads[i][:m.size])
	}
	inboxes.Put(s.box)
	s.box = nil
	return nil
}

// attempt receives what is there. It is false where nothing is.
func (s *mmsgSocket) attempt(fd uintptr) bool {
	box := inboxes.Get().(*inbox)
	for i := range box.messages {
		box.vectors[i].Base = &box.payloads[i][0]
		box.vectors[i].SetLen(largeBuffer)
		h := &box.messages[i].Msghdr
		h.Iov = &box.vectors[i]
		h.SetIovlen(1)
		h.Name, h.Namelen = nil, 0
		h.Control, h.Controllen = nil, 0
		if !s.connected {
			h.Name, h.Namelen = &box.names[i][0], sockaddrSize
			h.Control = (*byte)(unsafe.Pointer(&box.controls[i]))
			h.SetControllen(controlSize)
		}
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, fd, uintptr(unsafe.Pointer(&box.messages[0])), batchSize, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case unix.EINTR:
			continue
		case 0:
			s.box, s.count = box, int(n)
			return true
		}
		inboxes.Put(box)
		if errno == unix.EAGAIN {
			return false
		}
		s.errno = errno
		return true
	}
}

func newOutbox() *outbox {
	o := new(outbox)
	o.try = o.attempt
	for i := range o.messages {
		o.messages[i].Iov = &o.vectors[i]
		o.messages[i].SetIovlen(1)
	}
	return o
}

func (s *mmsgSocket) send(to peer, payloads [][]byte) (tally, error) {
	o := outboxes.Get().(*outbox)
	o.tally, o.failure = tally{}, nil
	for len(payloads) > 0 && o.failure == nil {
		n := min(len(payloads), batchSize)
		o.address(s, to, payloads[:n])
		o.from, o.until, o.tries = 0, n, 0
		if err := s.raw.Write(o.try); err != nil {
			o.failure = err
		}
		payloads = payloads[n:]
	}
	for i := range o.vectors {
		o.vectors[i].Base = nil
	}
	t, err := o.tally, o.failure
	outboxes.Put(o)
	return t, err
}

// address fills in the messages: the same address for all of them.
func (o *outbox) address(s *mmsgSocket, to peer, payloads [][]byte) {
	nameSize, controlUsed := 0, 0
	if to.remote.IsValid() {
		nameSize = o.name.set(to.remote, s.v6)
	}
	if to.local.IsValid() {
		controlUsed = o.control.set(to.local, s.v6)
	}
	for i, payload := range payloads {
		o.vectors[i].Base = unsafe.SliceData(payload)
		o.vectors[i].SetLen(len(payload))
		h := &o.messages[i].Msghdr
		h.Name, h.Namelen = nil, uint32(nameSize)
		if nameSize > 0 {
			h.Name = &o.name[0]
		}
		h.Control = nil
		if controlUsed > 0 {
			h.Control = (*byte)(unsafe.Pointer(&o.control))
		}
		h.SetControllen(controlUsed)
	}
}

// attempt sends what is left to send. It is false where the system's buffer is full.
func (o *outbox) attempt(fd uintptr) bool {
	for o.from < o.until {
		n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&o.messages[o.from])), uintptr(o.until-o.from), unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		case 0:
			for i := o.from; i < o.from+int(n); i++ {
				o.tally.datagrams++
				o.tally.bytes += int(o.vectors[i].Len)
			}
			o.from, o.tries = o.from+int(n), 0
		default:
			o.refused(errno)
		}
	}
	return true
}

// refused deals with the failure of the next message. A report about an earlier one is
// handed out in place of sending, and once only: the message is worth another try.
func (o *outbox) refused(errno syscall.Errno) {
	if o.tries++; unreachable(errno) && o.tries < mostTries {
		o.tally.unreachable++
		return
	}
	o.tally.failed++
	o.from, o.tries = o.from+1, 0
}

// lost implements losing.
func (s *mmsgSocket) lost() (n uint32, ok bool) {
	_ = s.raw.Control(func(fd uintptr) {
		var info [unix.SK_MEMINFO_VARS]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		n, ok = info[unix.SK_MEMINFO_DROPS], errno == 0
	})
	return n, ok
}

// enlarge asks for large buffers, beyond what the system grants to all where we may.
func enlarge(conn *net.UDPConn, size int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		for force, plain := range map[int]int{unix.SO_RCVBUFFORCE: unix.SO_RCVBUF, unix.SO_SNDBUFFORCE: unix.SO_SNDBUF} {
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, force, size) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, plain, size)
			}
		}
	})
}
