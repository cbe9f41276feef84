//go:build !unix

package handover

import (
	"net"
	"os"
	"syscall"

	"github.com/postern-dev/postern"
)

// Supported says why this system cannot hand over; nil where it can.
func Supported() error {
	return postern.Errorf(postern.CodeFlagInvalid, "--upgrade: this operating system cannot hand listeners from one process to another; stop the server and start the new one")
}

func sendFiles(*net.UnixConn, []byte, []*os.File) error { return Supported() }

func receiveFiles(*net.UnixConn, []byte) (int, []*os.File, error) { return 0, nil, Supported() }

func duplicate(syscall.Conn) (*os.File, error) { return nil, Supported() }

// checkPeer relies on the modes of socket and directory.
func checkPeer(*net.UnixConn) error { return nil }
