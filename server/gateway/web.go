package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/chisel"
)

// What people and programs are told over HTTP. Answers are tiny: some connectors leave the
// body of their first request unread.
const (
	answerOK      = "OK\n"
	answerBrowser = "This is the address of a private gateway: give it to \"postern connect\", outsystemscc or \"chisel client\".\n"
	answerRoot    = "Connectors of private gateways connect here, each to the address of its gateway.\n"
	answerUnknown = "Not found\n"
	answerMethod  = "Only GET\n"
	answerLocked  = "Too many wrong tokens came from this address; wait a minute\n"
	answerPlain   = "A token came over plain HTTP and is refused; use https, and replace the token, which could be read on the way\n"
)

// label is what gateways are below, in front of the server's domain.
const label = "gateway."

// Named tells whether connectors come to a host.
func (r *Runtime) Named(host postern.Hostname) bool {
	return host == label+r.config.Domain || r.table.Load().byDomain[host] != nil
}

// Wanted tells whether a request is a connector's, whatever host it names.
func (r *Runtime) Wanted(q *http.Request) bool {
	return isPath(lastElement(q.URL.Path)) && (chisel.Asked(q) || q.Header.Get(chisel.OwnHeader) != "")
}

// Connect answers what comes over HTTP to a gateway's address: the request by which a
// connector looks first, the upgrade to its session, and people with browsers. Nothing of
// it tells a stranger which gateways there are. See edge.Connectors.
func (r *Runtime) Connect(w http.ResponseWriter, q *http.Request, from netip.Addr, plain bool, take func() (net.Conn, error)) (serve func(context.Context), err error) {
	if chisel.Asked(q) {
		return r.upgrade(w, q, from, plain, take)
	}
	path, html := lastElement(q.URL.Path), strings.Contains(q.Header.Get("Accept"), "text/html")
	switch {
	case q.Method != http.MethodGet && q.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		answer(w, q, http.StatusMethodNotAllowed, answerMethod)
	case q.URL.Path == "/" || q.URL.Path == "":
		answer(w, q, http.StatusOK, answerRoot)
	case !isPath(path):
		answer(w, q, http.StatusNotFound, answerUnknown)
	case plain && !r.insecure(path) && q.Header.Get("Token") != "":
		answer(w, q, http.StatusForbidden, answerPlain)
	case plain && !r.insecure(path) && r.config.HTTPS != 0:
		w.Header().Set("Location", r.secured(q))
		answer(w, q, http.StatusFound, answerOK)
	case html:
		answer(w, q, http.StatusOK, answerBrowser)
	default:
		if q.Header.Get(chisel.OwnHeader) != "" {
			w.Header().Set(chisel.OwnHeader, "1")
		}
		answer(w, q, http.StatusOK, answerOK)
	}
	return nil, nil
}

// upgrade begins a connector's session.
func (r *Runtime) upgrade(w http.ResponseWriter, q *http.Request, from netip.Addr, plain bool, take func() (net.Conn, error)) (func(context.Context), error) {
	hello := chisel.HelloOf(q)
	hello.Gateway.Plain = plain
	if own := r.table.Load().byDomain[hostOf(q)]; own != nil && own.Path != hello.Gateway.Gateway {
		hello.Gateway.Gateway = "" // the domain is for one gateway alone
	}
	if r.Throttled(from, hello.Token) {
		r.metrics.refused(postern.CodeTooManyFailures)
		answer(w, q, http.StatusUnauthorized, answerLocked)
		return nil, nil
	}
	named := from
	if peer, err := netip.ParseAddrPort(q.RemoteAddr); err == nil && peer.Addr().Unmap() == from {
		named = netip.Addr{} // nobody is in between
	}
	conn, err := chisel.Accept(w, q, take, named)
	if err != nil {
		var refused *postern.Error
		if errors.As(err, &refused) {
			return nil, refused
		}
		return nil, nil // it has gone
	}
	return func(ctx context.Context) {
		err := chisel.Serve(ctx, conn, chisel.Config{Registrar: r, Logger: r.log, HostKey: r.config.HostKey, Hello: hello})
		r.log.DebugContext(ctx, "a connector's connection has ended", "remote", from, "error", err)
	}, nil
}

// insecure tells whether a gateway takes tokens over plain HTTP; one that is not there
// does not.
func (r *Runtime) insecure(path string) bool {
	d := r.table.Load().byPath[path]
	return d != nil && d.Insecure
}

// secured is the https address of the request's own. It has no query: connectors put
// theirs behind it.
func (r *Runtime) secured(q *http.Request) string {
	host := string(hostOf(q))
	if r.config.HTTPS != postern.HTTPS.DefaultPort() {
		host = net.JoinHostPort(host, strconv.Itoa(int(r.config.HTTPS)))
	}
	return "https://" + host + q.URL.EscapedPath()
}

// hostOf is the name that a request is for, which the edge has checked.
func hostOf(q *http.Request) postern.Hostname {
	host := q.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	name, err := postern.ParseHostname(host)
	if err != nil {
		return ""
	}
	return name
}

func answer(w http.ResponseWriter, q *http.Request, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if q.Method != http.MethodHead {
		_, _ = w.Write([]byte(text)) // who asked may be gone
	}
}

func lastElement(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// isPath tells whether text has the form of a gateway's last element, "sg_" and a UUID.
func isPath(text string) bool {
	const prefix, length = "sg_", 36
	id, found := strings.CutPrefix(text, prefix)
	return found && len(id) == length && strings.Trim(id, "0123456789abcdefABCDEF-") == ""
}
