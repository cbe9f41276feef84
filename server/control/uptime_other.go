//go:build !unix

package control

import "time"

// uptime is the order in which sessions begin. Only one process can serve here, so it
// need not mean anything to another.
func uptime() time.Duration { return time.Duration(time.Now().UnixNano()) }
