package localapi

import (
	"crypto/subtle"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"github.com/postern-dev/postern"
)

// guard decides who may ask.
type guard struct {
	own     netip.AddrPort // what is listened on; the zero value where nobody said
	wide    bool           // reachable from other machines
	allowed []allowedHost
	token   postern.Secret
	origins *http.CrossOriginProtection
	log     *slog.Logger
	warn    *sync.Once
}

func newGuard(c Config) (guard, error) {
	g := guard{token: c.Token, origins: http.NewCrossOriginProtection(), log: c.Logger, warn: new(sync.Once)}
	if c.Address != nil {
		own, err := netip.ParseAddrPort(c.Address.String())
		if err != nil {
			return guard{}, postern.Errorf(postern.CodeConfigInvalid, "the address %q of the local API is not an IP address with a port", c.Address)
		}
		g.own = netip.AddrPortFrom(own.Addr().Unmap(), own.Port())
		g.wide = !g.own.Addr().IsLoopback()
	}
	for _, text := range c.AllowHosts {
		allowed, err := parseAllowedHost(text)
		if err != nil {
			return guard{}, err
		}
		g.allowed = append(g.allowed, allowed)
	}
	return g, nil
}

// refusal is an answer in plain text.
type refusal struct {
	status       int
	text         string
	authenticate bool // a token would help
}

func (f *refusal) write(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", "text/plain; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(len(f.text)))
	if f.authenticate {
		header.Set("WWW-Authenticate", `Bearer realm="agent"`)
	}
	w.WriteHeader(f.status)
	_, _ = w.Write([]byte(f.text)) // a client that left wants no answer
}

// check gives the reason why a request is refused; nil: it is served.
func (g *guard) check(r *http.Request, tunnels func() []Tunnel) *refusal {
	host := hostname(r.Host)
	listed := g.lists(host)
	leading, blind := g.leadingHere(tunnels())
	published := leading[host]
	if !listed && !published && !g.local(r, host) {
		return &refusal{status: http.StatusUnauthorized, text: rejectedHost(r.Host)}
	}
	if g.wide || published || blind || forwarded(r.Header) {
		if listed {
			g.warn.Do(func() {
				g.log.WarnContext(r.Context(), "the agent's API answers requests from elsewhere without a token, because web_allow_hosts lists their host",
					slog.String("obj", "web"), slog.String("host", clip(host)))
			})
		} else if refused := g.authorise(r); refused != nil {
			return refused
		}
	}
	if err := g.origins.Check(r); err != nil {
		return &refusal{status: http.StatusForbidden, text: "The request comes from a page of another site, which may not change anything here.\n"}
	}
	return nil
}

func rejectedHost(host string) string {
	return "Rejected host " + strconv.Quote(clip(host)) + ".\n" +
		"Only names of this machine are answered. Add others to web_allow_hosts in the configuration if you mean to reach the agent by them.\n"
}

// authorise looks for the token.
func (g *guard) authorise(r *http.Request) *refusal {
	if g.token == "" {
		return &refusal{
			status: http.StatusUnauthorized, authenticate: true,
			text: "This request comes from elsewhere and needs a token, and the agent has none.\n" +
				"Make one with \"postern config add-web-token\", restart the agent, and send it with every request:\n\n" +
				"  Authorization: Bearer TOKEN\n",
		}
	}
	scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	right := subtle.ConstantTimeCompare([]byte(strings.TrimSpace(sent)), []byte(g.token.Reveal())) == 1
	if right && strings.EqualFold(scheme, "Bearer") {
		return nil
	}
	return &refusal{
		status: http.StatusUnauthorized, authenticate: true,
		text: "This request comes from elsewhere and needs the agent's token. Add the header\n\n" +
			"  Authorization: Bearer TOKEN\n\n" +
			"with the web_token of the agent's configuration (\"postern config add-web-token\" makes a new one).\n",
	}
}

// forwarded tells whether a proxy passed the request on: the endpoint's edge always says
// so.
func forwarded(h http.Header) bool {
	for name := range h {
		if name == "Forwarded" || strings.HasPrefix(name, "X-Forwarded-") {
			return true
		}
	}
	return false
}

// local tells whether a host is a name of this machine, as far as nobody else can make
// it one: loopback, and the address that the connection came to.
func (g *guard) local(r *http.Request, host string) bool {
	if host == "localhost" {
		return true
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	address = address.Unmap()
	if address.IsLoopback() || g.own.IsValid() && address == g.own.Addr() {
		return true
	}
	reached, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	here, err := netip.ParseAddrPort(reached.String())
	return err == nil && here.Addr().Unmap() == address
}

// leadingHere finds the endpoints whose service is this API: the hosts of those that
// speak HTTP, whose requests say that they were forwarded, and whether there are others,
// whose requests look like local ones.
func (g *guard) leadingHere(tunnels []Tunnel) (hosts map[string]bool, blind bool) {
	if !g.own.IsValid() {
		return nil, false
	}
	for _, t := range tunnels {
		host, port, ok := serviceOf(t.Addr)
		if !ok || port != g.own.Port() || g.elsewhere(host) {
			continue
		}
		if t.Scheme != postern.HTTP && t.Scheme != postern.HTTPS {
			blind = true
			continue
		}
		if hosts == nil {
			hosts = map[string]bool{}
		}
		_, rest, _ := strings.Cut(t.URL, "://")
		hosts[hostname(rest)] = true
	}
	return hosts, blind
}

// elsewhere tells whether a service's host is surely another machine. A name may be this
// one.
func (g *guard) elsewhere(host string) bool {
	address, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	address = address.Unmap()
	return !address.IsLoopback() && !address.IsUnspecified() && address != g.own.Addr() && !g.own.Addr().IsUnspecified()
}

// serviceOf takes the address of a service apart.
func serviceOf(addr string) (host string, port uint16, ok bool) {
	rest := addr
	secure := false
	if scheme, after, found := strings.Cut(addr, "://"); found {
		rest, secure = after, scheme == "https" || scheme == "tls"
	}
	rest, _, _ = strings.Cut(rest, "/")
	host, text, err := net.SplitHostPort(rest)
	if err != nil {
		host, text = strings.Trim(rest, "[]"), "80"
		if secure {
			text = "443"
		}
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return strings.ToLower(host), uint16(n), err == nil
}

// hostname is the host of a Host header: without port, brackets, a dot at the end, and
// in lower case.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if inner, found := strings.CutPrefix(host, "["); found && strings.HasSuffix(inner, "]") {
		host = inner[:len(inner)-1]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
