package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"

	chclient "github.com/jpillora/chisel/client"
	chserver "github.com/jpillora/chisel/server"
)

// chiselVariable has this test's program be chisel 1.11.7, client or server, so that it
// can be stopped, killed and moved to another network like any program.
const chiselVariable = "POSTERN_TEST_CHISEL"

// chiselOrders say what chisel is to do. Without a Server it is one itself.
type chiselOrders struct {
	Server    string            `json:",omitempty"`
	Remotes   []string          `json:",omitempty"`
	Headers   map[string]string `json:",omitempty"`
	CA        string            `json:",omitempty"` // a file
	Dial      string            `json:",omitempty"` // where the server's name is; "" has it looked up
	Auth      string            `json:",omitempty"`
	KeepAlive time.Duration     `json:",omitempty"`
	Retries   time.Duration     `json:",omitempty"` // at most this far apart; 0: a second

	Listen string `json:",omitempty"` // host:port of a server, which takes reverse remotes
}

// environment is what has the program follow the orders.
func (o chiselOrders) environment(t *testing.T) []string {
	t.Helper()
	raw, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return []string{chiselVariable + "=" + string(raw)}
}

// startChisel runs chisel; its log is the process's output. wrapper is put before its
// command line.
func startChisel(t *testing.T, o chiselOrders, wrapper ...string) *process {
	t.Helper()
	return startProcess(t, "chisel", o.environment(t), append(wrapper, os.Args[0])...)
}

func runChisel(raw string) int {
	var o chiselOrders
	if err := json.Unmarshal([]byte(raw), &o); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := o.run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (o chiselOrders) run(ctx context.Context) error {
	if o.Server == "" {
		server, err := chserver.NewServer(&chserver.Config{Auth: o.Auth, Reverse: true, KeepAlive: o.KeepAlive})
		if err != nil {
			return err
		}
		host, port, err := net.SplitHostPort(o.Listen)
		if err != nil {
			return err
		}
		if err := server.StartContext(ctx, host, port); err != nil {
			return err
		}
		return server.Wait()
	}
	headers := http.Header{}
	for name, value := range o.Headers {
		headers.Set(name, value)
	}
	retries := o.Retries
	if retries == 0 {
		retries = time.Second
	}
	config := &chclient.Config{Server: o.Server, Remotes: o.Remotes, Headers: headers, Auth: o.Auth,
		KeepAlive: o.KeepAlive, MaxRetryCount: -1, MaxRetryInterval: retries, TLS: chclient.TLSConfig{CA: o.CA}}
	if o.Dial != "" {
		config.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, o.Dial)
		}
	}
	client, err := chclient.NewClient(config)
	if err != nil {
		return err
	}
	if err := client.Start(ctx); err != nil {
		return err
	}
	return client.Wait()
}
