//go:build unix

package handover

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/postern-dev/postern"
)

// Supported says why this system cannot hand over; nil where it can.
func Supported() error { return nil }

// sendFiles writes text, the descriptors of files with its first byte.
func sendFiles(conn *net.UnixConn, text []byte, files []*os.File) error {
	var rights []byte
	if len(files) > 0 {
		numbers := make([]int, len(files))
		for i, file := range files {
			raw, err := file.SyscallConn()
			if err != nil {
				return err
			}
			// Not Fd: that would take the descriptor out of non-blocking mode, and with it the
			// listener that it is a duplicate of. The number stays valid as files live on.
			if err := raw.Control(func(fd uintptr) { numbers[i] = int(fd) }); err != nil {
				return err
			}
		}
		rights = unix.UnixRights(numbers...)
	}
	n, sent, err := conn.WriteMsgUnix(text, rights, nil)
	if err != nil {
		return err
	}
	if sent != len(rights) {
		return errors.New("descriptors were not sent")
	}
	if n < len(text) {
		_, err = conn.Write(text[n:])
	}
	return err
}

// receiveFiles reads like Read, and gives the descriptors that came with the bytes.
func receiveFiles(conn *net.UnixConn, b []byte) (int, []*os.File, error) {
	control := make([]byte, unix.CmsgSpace(4*mostDescriptors))
	n, size, flags, _, err := conn.ReadMsgUnix(b, control)
	files, bad := parseFiles(control[:size])
	switch {
	case err == nil && bad != nil:
		err = bad
	case err == nil && flags&unix.MSG_CTRUNC != 0:
		err = errors.New("more descriptors were sent than a message may have")
	case err == nil && n == 0 && len(b) > 0:
		err = io.EOF
	}
	if err != nil {
		closeAll(files)
		return 0, nil, err
	}
	return n, files, nil
}

func parseFiles(control []byte) (files []*os.File, err error) {
	if len(control) == 0 {
		return nil, nil
	}
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, fmt.Errorf("read descriptors: %w", err)
	}
	for i := range messages {
		numbers, err := unix.ParseUnixRights(&messages[i])
		if err != nil {
			continue // another kind of control message
		}
		for _, number := range numbers {
			unix.CloseOnExec(number)
			files = append(files, os.NewFile(uintptr(number), "handed over"))
		}
	}
	return files, nil
}

// duplicate gives a second descriptor of what conn stands on. Closing it leaves conn.
func duplicate(conn syscall.Conn) (*os.File, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var number int
	var failed error
	err = raw.Control(func(fd uintptr) { number, failed = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, failed); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(number), "to hand over"), nil
}

// errStranger is for a process of another user.
func errStranger(user uint32) error {
	return postern.Errorf(postern.CodeHandOverRefused, "a process of user %d has asked; only the server's own user and root may", user)
}
