package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent"
	"github.com/postern-dev/postern/agent/config"
	"github.com/postern-dev/postern/server"
)

// patience bounds the start: everything is on this machine.
const patience = 20 * time.Second

// Config says what to show.
type Config struct {
	Out io.Writer
	// Upstream is the user's own service, in any form that agents know; "" shows the
	// sample contact service.
	Upstream string
	// Once sends one request through the public URL, prints the answer and ends.
	Once    bool
	Logger  *slog.Logger // nil: silent
	Version string
}

// Run shows the demo until ctx ends, or until the one answer of Once was printed.
// It returns an error where something does not come up, and in Once where the
// answer did not come from the service.
func Run(ctx context.Context, c Config) (err error) {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	dir, err := os.MkdirTemp("", "postern-demo-")
	if err != nil {
		return postern.Errorf(postern.CodeInternal, "no temporary directory can be made").Because(err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	d := &demo{Config: c}
	defer d.stop()
	if err := d.start(ctx, dir); err != nil {
		return err
	}
	if c.Once {
		return d.once(ctx)
	}
	d.show()
	return d.wait(ctx)
}

// demo is what runs. Parts are stopped in the reverse order of their start: the
// agent drains while the server is still there.
type demo struct {
	Config
	url    string // public
	caFile string
	sample bool
	ended  chan error // of a part that was not to end
	parts  []part
}

// part is something that runs in the background.
type part struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// run starts a part. Its context does not end with the command's: stop ends it.
func (d *demo) run(serve func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	p := part{cancel, make(chan struct{})}
	d.parts = append(d.parts, p)
	go func() {
		defer close(p.done)
		if err := serve(ctx); err != nil || ctx.Err() == nil {
			select {
			case d.ended <- err:
			default: // another part was first
			}
		}
	}()
}

func (d *demo) stop() {
	for i := len(d.parts) - 1; i >= 0; i-- {
		d.parts[i].cancel()
		<-d.parts[i].done
	}
}

// start brings service, server and agent up, in this order, and waits until
// visitors can come.
func (d *demo) start(ctx context.Context, dir string) error {
	d.ended = make(chan error, 1)
	if d.Upstream == "" {
		if err := d.startSample(); err != nil {
			return err
		}
	}
	address, token, err := d.startServer(ctx, dir)
	if err != nil {
		return err
	}
	online := make(chan string, 1)
	a, err := agent.New(agent.Config{
		Server:    address,
		CAs:       d.caFile,
		Authtoken: token,
		Logger:    d.Logger,
		Version:   d.Version,
		Endpoints: []agent.Endpoint{{Endpoint: config.Endpoint{
			Name: "demo", URL: postern.URLRequest{Scheme: postern.HTTPS}, Upstream: d.Upstream,
		}}},
		Events: agent.Events{Online: func(o agent.Online) {
			select {
			case online <- o.URL:
			default: // it came back after an interruption
			}
		}},
		DrainTimeout: time.Second,
	})
	if err != nil {
		return err
	}
	d.run(a.Run)
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case d.url = <-online:
		return nil
	case err := <-d.ended:
		return orUnexpected(err)
	case <-timeout.C:
		return postern.Errorf(postern.CodeServerUnreachable, "the demo did not come up within %s", patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startServer runs a server in dir and gives the address for agents and a token.
func (d *demo) startServer(ctx context.Context, dir string) (address string, token postern.Secret, err error) {
	c := server.Development(dir)
	c.Listen.HTTPS, c.Listen.HTTP, c.Listen.Admin = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	c.Listen.TCPPorts, c.Listen.UDPPorts = server.PortRange{}, server.PortRange{}
	c.Timeouts.Drain = time.Second
	node, err := server.New(c, server.Options{Logger: d.Logger, Version: d.Version})
	if err != nil {
		return "", "", err
	}
	keys, err := node.Bootstrap(ctx)
	if err != nil {
		return "", "", errors.Join(err, node.Close())
	}
	d.run(node.Run)
	d.caFile = node.CAFile()
	return fmt.Sprintf("connect.localhost:%d", node.HTTPSAddr().Port()), postern.Secret(keys.Authtoken), nil
}

// wait serves until ctx ends.
func (d *demo) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-d.ended:
		return orUnexpected(err)
	}
}

func orUnexpected(err error) error {
	if err == nil {
		return postern.Errorf(postern.CodeInternal, "a part of the demo ended by itself")
	}
	return err
}
