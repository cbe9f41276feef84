package outcall_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/nameserver"
	"github.com/postern-dev/postern/server/outcall"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// loopback is what tests that need a server of their own allow.
func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }

func client(t testing.TB, config outcall.Config) *outcall.Client {
	t.Helper()
	c := outcall.New(config)
	t.Cleanup(c.Close)
	return c
}

func serve(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s
}

func serveTLS(t testing.TB, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// asking is a resolver that asks one name server.
func asking(names *nameserver.Local) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, names.Address)
	}}
}

func get(t testing.TB, c *outcall.Client, url string) (*outcall.Answer, error) {
	t.Helper()
	return c.Do(t.Context(), outcall.Call{Account: "ac_1", URL: url, Redirects: 10})
}

// fails checks an error's code, and that its message says something.
func fails(t testing.TB, err error, code postern.Code, says string) {
	t.Helper()
	var known *postern.Error
	if !errors.As(err, &known) || known.Code != code || !strings.Contains(known.Message, says) {
		t.Errorf("%v, want %s with %q", err, code, says)
	}
}
