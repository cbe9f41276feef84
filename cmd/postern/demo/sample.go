package demo

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/postern-dev/postern"
)

// startSample serves the contacts on a free port of loopback.
func (d *demo) startSample() error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return postern.Errorf(postern.CodeInternal, "the sample service cannot listen").Because(err)
	}
	d.Upstream, d.sample = "http://"+listener.Addr().String(), true
	service := &http.Server{Handler: newContacts(), ReadHeaderTimeout: 10 * time.Second}
	d.run(func(ctx context.Context) error { return serveUntil(ctx, service, listener) })
	return nil
}

func serveUntil(ctx context.Context, service *http.Server, listener net.Listener) error {
	unhook := context.AfterFunc(ctx, func() { _ = service.Close() }) // what it serves is a demonstration
	defer unhook()
	if err := service.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
