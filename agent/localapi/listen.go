package localapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"github.com/postern-dev/postern"
)

const (
	// defaultPort is where programs look for the API.
	defaultPort = 4040
	// alternatives is how many further ports are tried where that is taken.
	alternatives = 100

	headPatience = 10 * time.Second
	bodyPatience = 30 * time.Second
	idlePatience = 2 * time.Minute
	endPatience  = time.Second
)

// Listen takes the address of the configuration. "" is 127.0.0.1:4040, or the next port
// that is free; only where an address was asked for is it an error that it is taken.
// "false" gives nil: no API. A port alone is on loopback. The caller closes the
// listener, or has Start do so. Errors are CodeConfigInvalid.
func Listen(ctx context.Context, addr string, log *slog.Logger) (net.Listener, error) {
	var listening net.ListenConfig
	switch strings.ToLower(addr) {
	case "false", "off", "none":
		return nil, nil
	case "":
	default:
		listener, err := listening.Listen(ctx, network(addr), explicit(addr))
		return listener, bindError(err)
	}
	var first error
	for port := defaultPort; port <= defaultPort+alternatives; port++ {
		at := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		listener, err := listening.Listen(ctx, "tcp", at)
		if err == nil {
			return listener, nil
		}
		if first == nil {
			first = err
			log.WarnContext(ctx, "can't bind default web address, trying alternatives", slog.String("obj", "web"), slog.String("web_addr", at)) // the first addr of a log is where the API is
		}
		if !errors.Is(err, syscall.EADDRINUSE) && !busyOnWindows(err) {
			break
		}
	}
	return nil, bindError(first)
}

// bindError keeps the words that programs look for in the log.
func bindError(err error) error {
	if err == nil {
		return nil
	}
	return postern.Errorf(postern.CodeConfigInvalid, "%v", err).Because(err)
}

// busyOnWindows knows WSAEADDRINUSE and WSAEACCES, which an exclusively taken port gives.
func busyOnWindows(err error) bool {
	return errors.Is(err, syscall.Errno(10048)) || errors.Is(err, syscall.Errno(10013))
}

// network keeps to IPv4 where all interfaces are asked for without saying which kind:
// programs look for four numbers in the log.
func network(addr string) string {
	if strings.HasPrefix(explicit(addr), ":") {
		return "tcp4"
	}
	return "tcp"
}

// explicit completes an address that is a port alone.
func explicit(addr string) string {
	if _, err := strconv.ParseUint(addr, 10, 16); err == nil {
		return net.JoinHostPort("127.0.0.1", addr)
	}
	return addr
}

// mostConnections is how many clients may be connected at once; others wait in the
// system's queue. Dashboards and wrappers keep a few each.
const mostConnections = 256

// Start answers on the listener until ctx ends, and closes it. When it returns, programs
// can connect, and the line that they wait for is in the log. wait returns once nothing
// of it runs any more: nil when ctx has ended.
func (a *API) Start(ctx context.Context, listener net.Listener) (wait func() error) {
	// Event streams end with this, or Shutdown would wait for them.
	streams, cancel := context.WithCancel(context.WithoutCancel(ctx))
	server := &http.Server{
		Handler:           a,
		ReadHeaderTimeout: headPatience,
		ReadTimeout:       bodyPatience,
		IdleTimeout:       idlePatience,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return streams },
		ErrorLog:          slog.NewLogLogger(a.config.Logger.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1)
	go serve(server, netutil.LimitListener(listener, mostConnections), served)
	a.config.Logger.InfoContext(ctx, "starting web service", slog.String("obj", "web"),
		slog.String("addr", listener.Addr().String()), slog.String("allow_hosts", fmt.Sprint(a.config.AllowHosts)))
	return func() error {
		defer cancel()
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
		}
		cancel()
		ending, stop := context.WithTimeout(context.WithoutCancel(ctx), endPatience)
		defer stop()
		if server.Shutdown(ending) != nil {
			_ = server.Close() // what does not end in time is cut
		}
		<-served
		return nil
	}
}

func serve(server *http.Server, listener net.Listener, served chan<- error) {
	served <- server.Serve(listener)
}
