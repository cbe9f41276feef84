package route

import (
	"iter"

	"github.com/postern-dev/postern"
)

// Table is an immutable snapshot of who serves what. Its methods may be called from
// anywhere at once, take no lock and allocate nothing.
type Table struct {
	plain  names             // http
	secure names             // https and tls: they share a port and are told apart by name
	ports  map[uint16]*Route // tcp
	flows  map[uint16]*Route // udp
	within within            // internal endpoints, which no other look-up finds
	count  int
}

// names finds a route by host. Wildcards are kept by what follows their "*.", so
// that a look-up cuts labels off a name and builds no string.
type names struct {
	exact     map[postern.Hostname]*Route
	wildcards map[postern.Hostname]*Route
}

// New makes a table. Two routes with one Key, a route without an Owner and a URL that
// is not complete are CodeInternal errors: whoever registers endpoints prevents them.
func New(routes []*Route) (*Table, error) {
	var sizes [spaces]int // growing a large map costs more than counting first
	for _, r := range routes {
		if err := check(r); err != nil {
			return nil, err
		}
		sizes[KeyOf(r.URL).space]++
	}
	t := &Table{
		plain:  newNames(sizes[plain]),
		secure: newNames(sizes[secure]),
		ports:  make(map[uint16]*Route, sizes[port]),
		flows:  make(map[uint16]*Route, sizes[datagrams]),
		within: newWithin(sizes[insidePlain] + sizes[insideSecure] + sizes[insideStream] + sizes[insideTLS]),
		count:  len(routes),
	}
	for _, r := range routes {
		if !t.add(r) {
			return nil, postern.Errorf(postern.CodeInternal, "route table: %s is there twice", r.URL)
		}
	}
	return t, nil
}

func check(r *Route) error {
	switch {
	case r == nil || r.Owner == nil:
		return postern.Errorf(postern.CodeInternal, "route table: a route has no owner")
	case r.URL.Internal() && (r.URL.Account != r.Account || r.URL.Scheme == postern.UDP):
		return postern.Errorf(postern.CodeInternal, "route table: %s of %s cannot be an internal endpoint", r.URL, r.Account)
	case !r.URL.Scheme.Hosted() && r.URL.Port == 0:
		return postern.Errorf(postern.CodeInternal, "route table: %s has no port", r.URL)
	case (r.URL.Scheme.Hosted() || r.URL.Internal()) && r.URL.Host == "":
		return postern.Errorf(postern.CodeInternal, "route table: a %s route has no host", r.URL.Scheme)
	}
	_, err := postern.ParseScheme(string(r.URL.Scheme))
	return err
}

// add tells whether the route's key was free.
func (t *Table) add(r *Route) bool {
	if r.URL.Internal() {
		return t.within.add(r)
	}
	switch KeyOf(r.URL).space {
	case port:
		before := len(t.ports)
		t.ports[r.URL.Port] = r
		return len(t.ports) > before
	case datagrams:
		before := len(t.flows)
		t.flows[r.URL.Port] = r
		return len(t.flows) > before
	case plain:
		return t.plain.add(r)
	default:
		return t.secure.add(r)
	}
}

// HTTP returns the route of http requests for host, or of https requests where secure
// is true: the exact name's, else that of the nearest wildcard above it. nil is
// nobody, also when the name belongs to a tls endpoint. host must not be a wildcard.
func (t *Table) HTTP(host postern.Hostname, secure bool) *Route {
	if !secure {
		return t.plain.find(host)
	}
	return ofScheme(t.secure.find(host), postern.HTTPS)
}

// TLS returns the route of a tls endpoint for the name in a ClientHello, nil when
// nobody or an https endpoint has it.
func (t *Table) TLS(serverName postern.Hostname) *Route {
	return ofScheme(t.secure.find(serverName), postern.TLS)
}

// Secure returns the https or tls route of a name: whoever answers its ClientHello.
func (t *Table) Secure(serverName postern.Hostname) *Route { return t.secure.find(serverName) }

// Port returns the route of a tcp endpoint, nil for nobody.
func (t *Table) Port(port uint16) *Route { return t.ports[port] }

// Flow returns the route of a udp endpoint, nil for nobody.
func (t *Table) Flow(port uint16) *Route { return t.flows[port] }

// Agree tells whether a request for host may come over a TLS connection that was made
// for serverName: both are one name, or belong to one route, as two names below one
// wildcard do. If not, the answer is 421 (CodeMisdirected). A connection without a
// server name has seen nobody's certificate but the default one and agrees with all.
func (t *Table) Agree(serverName, host postern.Hostname) bool {
	if serverName == "" || serverName == host {
		return true
	}
	r := t.secure.find(serverName)
	return r != nil && r == t.secure.find(host)
}

// Same returns the route that has the address of r now, nil for nobody. It is r itself
// while r is in the table.
func (t *Table) Same(r *Route) *Route {
	if r.URL.Internal() {
		return t.within.at(r.URL)
	}
	switch KeyOf(r.URL).space {
	case port:
		return t.ports[r.URL.Port]
	case datagrams:
		return t.flows[r.URL.Port]
	case plain:
		return t.plain.at(r.URL.Host)
	}
	return ofScheme(t.secure.at(r.URL.Host), r.URL.Scheme)
}

// Len counts the routes.
func (t *Table) Len() int { return t.count }

// All yields every route, in no order.
func (t *Table) All() iter.Seq[*Route] {
	return func(yield func(*Route) bool) {
		for _, m := range []map[uint16]*Route{t.ports, t.flows} {
			for _, r := range m {
				if !yield(r) {
					return
				}
			}
		}
		for _, m := range []map[Key]*Route{t.within.exact, t.within.wildcards} {
			for _, r := range m {
				if !yield(r) {
					return
				}
			}
		}
		for _, m := range []map[postern.Hostname]*Route{
			t.plain.exact, t.plain.wildcards, t.secure.exact, t.secure.wildcards,
		} {
			for _, r := range m {
				if !yield(r) {
					return
				}
			}
		}
	}
}

func newNames(size int) names {
	return names{
		exact:     make(map[postern.Hostname]*Route, size),
		wildcards: make(map[postern.Hostname]*Route),
	}
}

func (n *names) add(r *Route) bool {
	m, host := n.exact, r.URL.Host
	if host.Wildcard() {
		m, host = n.wildcards, host.Parent()
	}
	before := len(m)
	m[host] = r
	return len(m) > before
}

// at returns the route of exactly this host, wildcard or not.
func (n *names) at(host postern.Hostname) *Route {
	if host.Wildcard() {
		return n.wildcards[host.Parent()]
	}
	return n.exact[host]
}

func (n *names) find(host postern.Hostname) *Route {
	if r := n.exact[host]; r != nil || len(n.wildcards) == 0 {
		return r
	}
	for above := host.Parent(); above != ""; above = above.Parent() {
		if r := n.wildcards[above]; r != nil {
			return r
		}
	}
	return nil
}

func ofScheme(r *Route, scheme postern.Scheme) *Route {
	if r == nil || r.URL.Scheme != scheme {
		return nil
	}
	return r
}
