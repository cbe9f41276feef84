//go:build unix && !linux

package handover

import "net"

// checkPeer relies on the modes of socket and directory.
func checkPeer(*net.UnixConn) error { return nil }
