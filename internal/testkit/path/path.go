//go:build linux

package path

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Config describes a Path as seen from its near end.
type Config struct {
	Away, Back Way
	Seed       uint64 // of what is lost
}

// Both is a path that treats both directions alike.
func Both(w Way) Config { return Config{Away: w, Back: w} }

// Path joins two namespaces. Its methods may be called from anywhere at any time.
type Path struct {
	near, far    netip.Addr
	devices      []*os.File
	away, back   *lane
	dark, closed atomic.Bool
	work         sync.WaitGroup
}

// Open makes a Path between two namespaces, which may have others. Whoever opens
// it closes it.
func Open(near, far *Namespace, c Config) (*Path, error) {
	p := &Path{}
	nearDevice, number, err := p.device(near)
	if err != nil {
		return nil, err
	}
	farDevice, _, err := p.device(far)
	if err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.near, p.far = netip.AddrFrom4([4]byte{10, 200, number, 1}), netip.AddrFrom4([4]byte{10, 200, number, 2})
	if err := errors.Join(
		near.Do(func() error { return attach(nearDevice, p.near, p.far) }),
		far.Do(func() error { return attach(farDevice, p.far, p.near) })); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	p.away = newLane(p.devices[0], p.devices[1], c.Away, p, c.Seed)
	p.back = newLane(p.devices[1], p.devices[0], c.Back, p, c.Seed+1)
	for _, l := range []*lane{p.away, p.back} {
		p.work.Go(l.take)
		p.work.Go(l.deliver)
	}
	return p, nil
}

// Near is the address of the near end.
func (p *Path) Near() netip.Addr { return p.near }

// Far is the address of the far end.
func (p *Path) Far() netip.Addr { return p.far }

// Dark makes the path lose everything, what is under way included, or carry again.
func (p *Path) Dark(dark bool) { p.dark.Store(dark) }

// Counts tells what the path did so far.
func (p *Path) Counts() (away, back Count) { return p.away.count(), p.back.count() }

// Close takes the path away, and its devices and addresses with it.
func (p *Path) Close() error {
	p.closed.Store(true)
	var err error
	for _, device := range p.devices {
		err = errors.Join(err, device.Close())
	}
	p.work.Wait()
	return err
}

// device makes a TUN device in the namespace; the kernel names it, with a number
// that is free there.
func (p *Path) device(n *Namespace) (name string, number byte, err error) {
	err = n.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("/dev/net/tun: %w", err)
		}
		request, err := unix.NewIfreq("path%d")
		if err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			return errors.Join(fmt.Errorf("make a TUN device: %w", err), unix.Close(fd))
		}
		name = request.Name()
		p.devices = append(p.devices, os.NewFile(uintptr(fd), name))
		_, err = fmt.Sscanf(name, "path%d", &number)
		return err
	})
	if err != nil {
		err = errors.Join(err, p.Close())
	}
	return name, number, err
}

// attach brings the device up, with a queue so long that only Way decides what is
// dropped, and makes the namespace's TCP that of a machine just installed, whatever
// this one is tuned to: cubic congestion control, the kernel's own buffers, nothing
// remembered from one connection to the next.
func attach(device string, local, peer netip.Addr) error {
	var err error
	for key, value := range map[string]string{
		"tcp_rmem":            "4096 131072 6291456",
		"tcp_wmem":            "4096 16384 4194304",
		"tcp_no_metrics_save": "1",
	} {
		err = errors.Join(err, os.WriteFile("/proc/sys/net/ipv4/"+key, []byte(value), 0))
	}
	return errors.Join(err,
		ip("addr", "add", local.String(), "dev", device),
		ip("link", "set", device, "up", "mtu", "1500", "txqueuelen", "5000"),
		ip("route", "add", peer.String(), "dev", device, "congctl", "cubic"))
}
