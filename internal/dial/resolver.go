package dial

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/postern-dev/postern"
)

// Resolver asks these servers instead of the system's: the first, and once one does not
// answer the next; nil for none.
func Resolver(servers []netip.Addr) *net.Resolver {
	if len(servers) == 0 {
		return nil
	}
	asked := &nameServers{}
	for _, server := range servers {
		asked.addrs = append(asked.addrs, netip.AddrPortFrom(server, 53))
	}
	return asked.resolver()
}

// nameServers remembers which of several answers.
type nameServers struct {
	addrs []netip.AddrPort
	mu    sync.Mutex
	now   int
}

func (n *nameServers) resolver() *net.Resolver { return &net.Resolver{PreferGo: true, Dial: n.dial} }

func (n *nameServers) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	n.mu.Lock()
	at := n.now
	n.mu.Unlock()
	conn, err := new(net.Dialer).DialContext(ctx, network, n.addrs[at].String())
	if err != nil {
		n.failed(at)
		return nil, err
	}
	if datagrams, ok := conn.(*net.UDPConn); ok {
		return &asked{datagrams, func() { n.failed(at) }}, nil
	}
	return conn, nil
}

// failed has the next one asked.
func (n *nameServers) failed(at int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.now == at {
		n.now = (at + 1) % len(n.addrs)
	}
}

// asked is a question that is out: dialling UDP proves nothing, only an answer does. It
// stays a net.PacketConn, by which Go's resolver knows what it talks over.
type asked struct {
	*net.UDPConn
	unanswered func()
}

// Read reads the answer.
func (a *asked) Read(p []byte) (int, error) {
	n, err := a.UDPConn.Read(p)
	if err != nil {
		a.unanswered()
	}
	return n, err
}

// leaveBy makes connections leave by an interface, or from an address.
func leaveBy(dialer *net.Dialer, network, name string) error {
	if from, err := netip.ParseAddr(name); err == nil {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		return nil
	}
	device, err := net.InterfaceByName(name)
	if err != nil {
		return notAnInterface(name, err)
	}
	if control := onDevice(device); control != nil {
		dialer.Control = control
		return nil
	}
	addresses, err := device.Addrs()
	if err != nil {
		return notAnInterface(name, err)
	}
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if err != nil || prefix.Addr().IsLinkLocalUnicast() || strings.HasSuffix(network, "4") && prefix.Addr().Is6() ||
			strings.HasSuffix(network, "6") && prefix.Addr().Is4() {
			continue
		}
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(prefix.Addr(), 0))
		return nil
	}
	return notAnInterface(name, errors.New("it has no address"))
}

func notAnInterface(name string, err error) error {
	return postern.Errorf(postern.CodeConfigInvalid, "connect_interface %q is not a network interface of this machine, nor an address of one: %v", name, err).Because(err)
}
