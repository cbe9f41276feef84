//go:build !linux

package ngrok

import "testing"

func quickAck(*testing.T, *ackConn) bool { return true }
