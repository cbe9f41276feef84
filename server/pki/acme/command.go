package acme

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"time"

	"github.com/postern-dev/postern"
)

const (
	commandTime = 2 * time.Minute
	mostOutput  = 4 << 10
)

// Command has a program write records. It is started without a shell as PROGRAM add NAME
// TEXT, and PROGRAM remove NAME TEXT; what it prints is told if it fails.
type Command struct {
	Program string
	Wait    time.Duration // until the zone's servers have what was written
}

var _ Writer = Command{}

// Add implements Writer.
func (c Command) Add(ctx context.Context, name postern.Hostname, text string) error {
	if err := c.run(ctx, "add", name, text); err != nil {
		return err
	}
	return rest(ctx, c.Wait)
}

// Remove implements Writer.
func (c Command) Remove(ctx context.Context, name postern.Hostname, text string) error {
	return c.run(ctx, "remove", name, text)
}

func (c Command) run(ctx context.Context, what string, name postern.Hostname, text string) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	command := exec.CommandContext(ctx, c.Program, what, string(name), text) //nolint:gosec // the operator's own
	output := &beginning{}
	command.Stdout, command.Stderr = output, output
	command.WaitDelay = time.Second // for what the program has left behind
	err := command.Run()
	switch {
	case err == nil || errors.Is(err, exec.ErrWaitDelay):
		return nil
	case ctx.Err() != nil:
		return notWritten(name, "%s %s did not end in %v", c.Program, what, commandTime)
	case output.Len() > 0:
		return notWritten(name, "%s %s: %v: %s", c.Program, what, err, clip(output.String()))
	}
	return notWritten(name, "%s %s: %v", c.Program, what, err)
}

// beginning keeps the beginning of what is written to it.
type beginning struct{ bytes.Buffer }

// Write implements io.Writer.
func (b *beginning) Write(p []byte) (int, error) {
	_, _ = b.Buffer.Write(p[:min(len(p), max(0, mostOutput-b.Len()))])
	return len(p), nil
}
