//go:build !linux

package gateway

import "net"

// keepsAlive is how to listen so that connections are kept alive.
func keepsAlive() net.ListenConfig { return net.ListenConfig{} }
