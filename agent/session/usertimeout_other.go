//go:build !linux

package session

import (
	"net"
	"time"
)

// setUserTimeout does nothing here: only Linux has the option in a form that Go's
// packages know. Pings notice the same.
func setUserTimeout(*net.TCPConn, time.Duration) error { return nil }
