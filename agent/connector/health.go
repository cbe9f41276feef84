package connector

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/postern-dev/postern/internal/dial"
)

// Check is how a target is found to be well: by a TCP connection, or by an HTTP request
// that is answered with a status below 400.
type Check struct {
	HTTP     string // path of the request; "" only connects
	Interval time.Duration
	Timeout  time.Duration
}

// The times of a check that gives none.
const (
	DefaultInterval = 10 * time.Second
	DefaultTimeout  = 3 * time.Second
)

// unwellAfter is how many checks in a row must fail for a target not to be well: one
// may be lost to a restart that consumers would not notice.
const unwellAfter = 2

// try makes one check.
func (c Check) try(ctx context.Context, dialer *dial.Dialer, target string) error {
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if c.HTTP == "" {
		conn, err := dialer.Dial(ctx, tcp, target)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.Dial(ctx, network, target)
		},
		DisableKeepAlives: true, MaxResponseHeaderBytes: 64 << 10,
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target+c.HTTP, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "postern-health")
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	_ = answer.Body.Close() // what it says beyond its status is not read
	if answer.StatusCode >= http.StatusBadRequest {
		return fmt.Errorf("GET %s is answered %s", c.HTTP, strings.TrimSpace(answer.Status))
	}
	return nil
}
