package program

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// FreePorts finds TCP ports of 127.0.0.1 that nobody uses now.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// FreeRange finds n neighbouring ports below the range that the kernel hands out,
// elsewhere for every test process.
func FreeRange(n int) (first int, err error) {
	start := 20000 + (os.Getpid()*131)%9000
	for base := start; base < start+2000; base += n {
		if rangeIsFree(base, n) {
			return base, nil
		}
	}
	return 0, errors.New("no free range of ports")
}

func rangeIsFree(base, n int) bool {
	for port := base; port < base+n; port++ {
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		listener.Close()
	}
	return true
}
