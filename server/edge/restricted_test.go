package edge_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/edge"
)

// nobody is the account of the site's endpoints.
const nobody postern.AccountID = ""

// restriction is one of the account whose endpoints the site has.
func restriction(enforced bool, rules ...access.Rule) *access.Table {
	return access.NewTable([]access.Restriction{{Account: nobody, Part: access.Endpoints, Enforced: enforced, Rules: rules}})
}

func allow(network string) access.Rule { return access.Rule{Network: netip.MustParsePrefix(network)} }

// Visitors from elsewhere get the documented page, whatever their headers say; those who
// are let in, and all when the restriction is not enforced, get the service's answer.
func TestVisitorsAreRestrictedByAddress(t *testing.T) {
	var doors access.Current
	s := start(t, func(c *edge.Config) { c.Access = &doors })
	s.serve("https://app."+domain, s.upstream(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inside") }))
	ask := func(protocol string) (*http.Response, string) {
		return get(t, s.client(protocol), "https://app."+domain, func(r *http.Request) {
			r.Header.Set("X-Forwarded-For", "192.0.2.1")
			r.Header.Set("Accept", "text/plain")
		})
	}
	for name, c := range map[string]struct {
		table *access.Table
		in    bool
	}{
		"no restriction":  {nil, true},
		"this address":    {restriction(true, allow("127.0.0.0/8")), true},
		"another address": {restriction(true, allow("192.0.2.0/24")), false},
		"denied":          {restriction(true, allow("127.0.0.0/8"), access.Rule{Network: netip.MustParsePrefix("127.0.0.1/32"), Deny: true}), false},
		"not enforced":    {restriction(false, allow("192.0.2.0/24")), true},
		"another's":       {access.NewTable([]access.Restriction{{Account: "ac_another", Part: access.Endpoints, Enforced: true}}), true},
		"another part's":  {access.NewTable([]access.Restriction{{Account: nobody, Part: access.Agents, Enforced: true}}), true},
	} {
		doors.Set(c.table)
		for _, protocol := range []string{"http/1.1", "h2"} {
			response, text := ask(protocol)
			switch {
			case c.in && (response.StatusCode != 200 || text != "inside"):
				t.Errorf("%s, %s: %d %s", name, protocol, response.StatusCode, text)
			case !c.in && (response.StatusCode != 403 || response.Header.Get("Ngrok-Error-Code") != "ERR_NGROK_3205" || strings.Contains(text, "inside")):
				t.Errorf("%s, %s: %d %v %s", name, protocol, response.StatusCode, response.Header, text)
			}
		}
	}
}

// A restricted TCP endpoint closes the connection before the agent hears of it.
func TestTCPVisitorsAreRestrictedByAddress(t *testing.T) {
	var doors access.Current
	s := start(t, func(c *edge.Config) { c.Access = &doors })
	addr, m := s.tcpPort(rawUpstream(t, echo))
	doors.Set(restriction(true, allow("192.0.2.0/24")))
	if err := ending(addr); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the connection ended with %v", err)
	}
	if n := m.opened.Load(); n != 0 {
		t.Errorf("the agent was asked %d times", n)
	}
}

// An SDK, which offers no protocol, is an agent where it names an ingress, and whoever
// serves it learns by which name it came.
func TestSDKsComeByIngresses(t *testing.T) {
	var doors access.Current
	doors.SetIngresses(access.NewIngresses(map[postern.Hostname]postern.AccountID{"connect.bank.org": "ac_1"}))
	names := make(chan []postern.Hostname, 1)
	s := start(t, func(c *edge.Config) {
		c.Access = &doors
		below := c.Certificate
		c.Certificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return below(&tls.ClientHelloInfo{ServerName: strings.ReplaceAll(hello.ServerName, "bank.org", domain)})
		}
		c.Agents = func(ctx context.Context, conn net.Conn, alpn string) {
			names <- link.ServerNames(ctx)
			_ = conn.Close()
		}
	})
	conn, err := tls.Dial("tcp", s.https, &tls.Config{InsecureSkipVerify: true, ServerName: "tunnel.eu.connect.bank.org"}) //nolint:gosec // not what is tested
	must(t, err)
	defer conn.Close()
	_, err = conn.Write(make([]byte, 8)) // the length of an agent's first frame begins with zeros
	must(t, err)
	select {
	case name := <-names:
		if !slices.Equal(name, []postern.Hostname{"tunnel.eu.connect.bank.org"}) {
			t.Errorf("it came by %q", name)
		}
	case <-time.After(10 * time.Second):
		t.Error("it was not served as an agent")
	}
}
