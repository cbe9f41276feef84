package signin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// refuse says why a request is not passed on; "": it is.
func (d *Door) refuse(r *http.Request) string {
	switch origin := r.Header["Origin"]; {
	case r.Method == http.MethodConnect:
		return "This is an address of one endpoint, and no proxy to others."
	case !isLoopback(r.Host):
		return "Rejected host " + strconv.Quote(r.Host) + ". Only localhost and addresses of loopback are answered."
	case len(origin) > 1 || len(origin) == 1 && !d.trusts(origin[0]), len(origin) == 0 && fromElsewhere(r):
		return "The request comes from a page of another site. If that may use the endpoint with your password, start \"postern access http\" with --origin and the page's origin."
	}
	return ""
}

// trusts tells whether pages of an origin may use the door: those of this machine, and
// those it was told of.
func (d *Door) trusts(origin string) bool {
	if d.origins[origin] {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && isLoopback(u.Host)
}

// fromElsewhere tells whether a browser says that a request without an origin is another
// site's doing (Fetch Metadata): an image, a script, a frame. A link that somebody
// follows is none, as with cookies that are SameSite=Lax.
func fromElsewhere(r *http.Request) bool {
	h := r.Header
	link := h.Get("Sec-Fetch-Mode") == "navigate" && h.Get("Sec-Fetch-Dest") == "document" &&
		(r.Method == http.MethodGet || r.Method == http.MethodHead)
	return h.Get("Sec-Fetch-Site") == "cross-site" && !link
}

// isLoopback tells whether a host, with or without a port, is a name that nobody else can
// lead elsewhere, or elsewhere here.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.Unmap().IsLoopback()
}
