package edge

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Connectors serves the connectors of private gateways, who come over HTTP.
type Connectors interface {
	// Named tells whether connectors come to a host.
	Named(host postern.Hostname) bool
	// Wanted tells whether a request is a connector's, whatever host it names: reverse
	// proxies often put a name or address of their own there.
	Wanted(r *http.Request) bool
	// Connect answers a request. from is who asks as far as trusted proxies tell, and
	// plain that what it carries came without TLS. take takes the connection out of the
	// HTTP server; a *postern.Error before that means that nothing was answered. serve,
	// where it is not nil, runs the session that was begun, and closes the connection.
	Connect(w http.ResponseWriter, r *http.Request, from netip.Addr, plain bool, take func() (net.Conn, error)) (serve func(context.Context), err error)
}

// named tells whether connectors of private gateways come to a host.
func (e *Edge) named(host postern.Hostname) bool {
	return e.config.Connectors != nil && host != "" && e.config.Connectors.Named(host)
}

// isConnector tells whether a request is for the connectors of private gateways: because
// of its host, or, where no endpoint has that, of what it asks for.
func (x *webExchange) isConnector() bool {
	if x.edge.config.Connectors == nil {
		return false
	}
	return x.edge.named(x.host) || x.edge.config.Connectors.Wanted(x.r) && x.nobodys()
}

// nobodys tells whether no endpoint and no site of ours has the host.
func (x *webExchange) nobodys() bool {
	table := x.edge.config.Routes.Load()
	if x.visitor.secure && !table.Agree(x.visitor.serverName, x.host) {
		return false
	}
	return x.host == "" || x.edge.config.Hosts[x.host] == nil && table.HTTP(x.host, true) == nil && table.HTTP(x.host, false) == nil
}

// serveConnector answers a connector's request. A session that it begins lives on a
// goroutine of its own, and counts as an agent's.
func (x *webExchange) serveConnector() error {
	v := x.visitor
	if v.secure && v.serverName != "" && v.serverName != x.host && x.edge.named(x.host) {
		return &postern.Error{Code: postern.CodeMisdirected}
	}
	x.client = x.clientFacts()
	recorder := &statusRecorder{ResponseWriter: x.w, stall: x.newStall()}
	defer recorder.stall.stop()
	taken := false
	serve, err := x.edge.config.Connectors.Connect(recorder, x.r, x.client.addr, x.plain(), func() (net.Conn, error) {
		conn, err := x.hijack()
		if err != nil {
			return nil, err
		}
		taken, x.status = true, http.StatusSwitchingProtocols
		v.unmanaged()
		return conn, nil
	})
	if !taken {
		x.status, x.sent = recorder.status, recorder.sent
		return err
	}
	if serve == nil || !x.edge.beginConnector(v, x.host, serve) {
		_ = v.Close()
	}
	return nil
}

// plain tells whether what the request carries came without TLS: to us, or to a proxy that
// is trusted to say so.
func (x *webExchange) plain() bool {
	if x.visitor.secure {
		return false
	}
	if !x.client.believed {
		return true
	}
	schemes := strings.Split(strings.Join(x.r.Header[headerForwardedProto], ","), ",")
	return !strings.EqualFold(strings.TrimSpace(schemes[len(schemes)-1]), "https")
}

// beginConnector runs a connector's session; false means that the edge is ending.
func (e *Edge) beginConnector(v *visitor, host postern.Hostname, serve func(context.Context)) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return false
	}
	e.agents.Start()
	e.all.Go(func() {
		defer v.Close() // as in serveAgent
		defer e.agents.Finish()
		serve(link.WithServerNames(e.ctx, v.serverName, host))
	})
	return true
}
