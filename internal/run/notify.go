package run

import (
	"errors"
	"fmt"
	"net"
	"strings"
)

// Notify tells the service manager, where the environment names its socket
// (sd_notify(3)), what has become of this process: assignments such as "READY=1",
// "STATUS=…" or "STOPPING=1". Line ends within one are blanks. Without a socket it
// does nothing.
func Notify(env func(string) string, assignments ...string) error {
	address := env("NOTIFY_SOCKET")
	if address == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: address, Net: "unixgram"})
	if err != nil {
		return fmt.Errorf("tell the service manager: %w", err)
	}
	oneLine := strings.NewReplacer("\n", " ", "\r", " ")
	lines := make([]string, len(assignments))
	for i, a := range assignments {
		lines[i] = oneLine.Replace(a)
	}
	_, err = conn.Write([]byte(strings.Join(lines, "\n")))
	return errors.Join(err, conn.Close())
}
