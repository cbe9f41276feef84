package chisel_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"testing"

	chclient "github.com/jpillora/chisel/client"
	chserver "github.com/jpillora/chisel/server"

	"github.com/postern-dev/postern/internal/testkit"
)

// roleVariable has the test's binary run as an unmodified chisel instead: in a process
// of its own, so that what it leaves running harms no test, and that its costs are known.
const roleVariable = "POSTERN_TEST_CHISEL_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if err := runChisel(role, os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	testkit.Leaks(m)
}

// runChisel runs until the process is killed.
func runChisel(role string, args []string) error {
	switch role {
	case "server": // port, auth, key seed, address
		server, err := chserver.NewServer(&chserver.Config{Reverse: true, Auth: args[1], KeySeed: args[2]})
		if err != nil {
			return err
		}
		return server.Run(addressOf(args), args[0])
	case "ours": // as server
		return runOurs(net.JoinHostPort(addressOf(args), args[0]))
	case "our client": // server, target, remote
		return runOurClient(args[0], args[1], args[2])
	case "client": // URL, token, auth, remotes
		config := &chclient.Config{Server: args[0], Auth: args[2], Remotes: args[3:], MaxRetryCount: -1}
		if args[1] != "" {
			config.Headers = http.Header{"Token": {args[1]}}
		}
		client, err := chclient.NewClient(config)
		if err != nil {
			return err
		}
		return client.Run()
	}
	return fmt.Errorf("there is no role %q", role)
}

// addressOf is where a server listens.
func addressOf(args []string) string {
	if len(args) > 3 {
		return args[3]
	}
	return "127.0.0.1"
}
