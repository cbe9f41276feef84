package handover

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/run"
)

// firstActivated is the first descriptor that systemd passes (sd_listen_fds(3)).
const firstActivated = 3

// Activated gives the listeners that the process was started with, as systemd's socket
// units pass them (LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES); none where it was not. Each
// is named after the key that it is for: a unit's FileDescriptorName= says https, http,
// agent, dns (once for TCP and once for UDP) or admin. It must be called once, before other descriptors are opened.
func Activated(env func(string) string) ([]Listener, error) { return activated(env, firstActivated) }

func activated(env func(string) string, first int) ([]Listener, error) {
	if pid, err := strconv.Atoi(env("LISTEN_PID")); err != nil || pid != os.Getpid() {
		return nil, nil // for another process, or for nobody
	}
	count, err := strconv.Atoi(env("LISTEN_FDS"))
	if err != nil || count < 0 || count > mostDescriptors {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "LISTEN_FDS=%q is not a number of sockets that can be used", clip(env("LISTEN_FDS"), 32))
	}
	names := strings.Split(env("LISTEN_FDNAMES"), ":")
	var listeners []Listener
	for i := range count {
		name := ""
		if i < len(names) {
			name = names[i]
		}
		one, err := activatedOne(first+i, name)
		if err != nil {
			for _, ln := range listeners {
				_ = ln.Close()
			}
			return nil, err
		}
		listeners = append(listeners, one)
	}
	return listeners, nil
}

func activatedOne(descriptor int, name string) (Listener, error) {
	file := os.NewFile(uintptr(descriptor), "LISTEN_FDS")
	switch name {
	case "https", "http", "agent", "admin", "dns":
	default:
		return Listener{}, errors.Join(postern.Errorf(postern.CodeConfigInvalid,
			"LISTEN_FDNAMES: %q is not https, http, agent, dns or admin; set FileDescriptorName= in the socket unit", clip(name, 64)), file.Close())
	}
	one := Listener{Name: "listen." + name, Address: AnyAddress}
	var err error
	if name == "dns" && isDatagram(file) {
		one.Datagrams, err = datagramSocket(file)
	} else {
		one.Listener, err = net.FileListener(file)
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return Listener{}, postern.Errorf(postern.CodeConfigInvalid, "the socket %s that the process was started with cannot be used: %v", name, err).Because(err)
	}
	return one, nil
}

// isDatagram tells a socket of UDP from one of TCP: a resolver may come over either, and
// units name both the same.
func isDatagram(file *os.File) bool {
	conn, err := net.FilePacketConn(file)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// AnyAddress is the address of a listener that stands for its key whatever address the
// configuration has.
const AnyAddress = "*"

// NotifyReady tells systemd, where it asks for that (sd_notify(3)), that this process
// serves and is the service's main one.
func NotifyReady(env func(string) string) error {
	return run.Notify(env, fmt.Sprintf("MAINPID=%d", os.Getpid()), "READY=1")
}
