package edge

import (
	"maps"
	"net/http"
	"net/netip"
	"net/textproto"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
)

// Names in canonical form, so that maps can be used directly.
const (
	headerForwardedFor   = "X-Forwarded-For"
	headerForwardedProto = "X-Forwarded-Proto"
	headerForwardedHost  = "X-Forwarded-Host"
	headerForwardedPort  = "X-Forwarded-Port"
	headerOriginalHost   = "X-Original-Host"
)

// hopByHop are the headers of one connection (RFC 9110 §7.6.1, and what older
// software treats so). They are never passed on as they came.
var hopByHop = [...]string{"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate",
	"Proxy-Authorization", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings"}

// framing are names whose look-alikes ("Content_Length") some servers fold onto the
// real ones.
var framing = [...]string{"host", "content-length", "transfer-encoding", "connection", "upgrade",
	"te", "trailer", "keep-alive", "expect"}

// ours tells whether a folded name says who the visitor is: what we write, or what a
// service behind us would believe.
func ours(folded []byte) bool {
	switch string(folded) {
	case "forwarded", "x-real-ip", "x-original-host", "client-cert", "client-cert-chain":
		return true
	}
	return hasPrefix(folded, "x-forwarded-") || hasPrefix(folded, "postern-")
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// mostFolded is longer than any name that ours and framing know.
const mostFolded = 32

// fold writes a name as the strictest of the servers that fold names would read it:
// lower case, "_" and "." as "-". Of long names it writes the beginning.
func fold[T string | []byte](dst []byte, name T) []byte {
	for i := range min(len(name), mostFolded) {
		c := name[i]
		switch {
		case c == '_' || c == '.':
			c = '-'
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// mayPass tells whether a visitor's header goes on to the service. believed is true
// for visitors that are trusted proxies; even theirs must have the real names.
func mayPass[T string | []byte](name T, believed bool) bool {
	alias := false
	for i := range len(name) {
		alias = alias || name[i] == '_' || name[i] == '.'
	}
	if first := name[0] | 0x20; !alias && first != 'x' && first != 'f' && first != 'p' && (first != 'c' || len(name) < 2 || name[1]|0x20 != 'l') {
		return true // nearly all: no need to fold
	}
	var space [mostFolded]byte
	folded := fold(space[:0], name)
	if ours(folded) {
		return believed && !alias && !hasPrefix(folded, "postern-")
	}
	return !alias || !slices.Contains(framing[:], string(folded))
}

// clientFacts is what the service is told about a visitor.
type clientFacts struct {
	addr     netip.Addr // the visitor behind trusted proxies
	believed bool       // the peer is a trusted proxy: its headers are kept
	nameless bool       // addr is a trusted proxy's, which has not said whose request it is
}

// clientFacts reads X-Forwarded-For from the right, past proxies that are trusted.
func (x *Exchange) clientFacts() clientFacts {
	facts := clientFacts{addr: x.visitor.client.Addr()}
	facts.believed = x.live.trusts(facts.addr)
	if !facts.believed {
		return facts
	}
	hops := strings.Split(strings.Join(x.head.values(headerForwardedFor), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, ok := hopAddr(strings.TrimSpace(hop))
		if !ok {
			facts.nameless = true
			break
		}
		facts.addr = addr.Unmap()
		if !x.live.trusts(addr) {
			break
		}
	}
	return facts
}

// nameless tells whether the visitor is a trusted proxy that has said of nobody that the
// request is his.
func (x *Exchange) nameless() bool {
	if x.client.addr.IsValid() {
		return x.client.nameless
	}
	return x.clientFacts().nameless
}

// hopAddr reads an address as proxies write one: some put it in brackets, or a port behind
// it, and who is not told apart by that is taken for the proxy.
func hopAddr(text string) (netip.Addr, bool) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr(), true
	}
	if inner, found := strings.CutPrefix(text, "["); found && strings.HasSuffix(inner, "]") {
		text = strings.TrimSuffix(inner, "]")
	}
	addr, err := netip.ParseAddr(text)
	return addr, err == nil
}

// outboundHeader is the request's header for the service: hop-by-hop headers and
// what strangers say about themselves removed, our own words last, so that nothing
// the visitor lists in Connection can remove them.
func (x *webExchange) outboundHeader(rewrite string) http.Header {
	out := x.edited
	if out == nil {
		out = x.passingHeader()
	} else {
		out = maps.Clone(out) // another member may be tried
	}
	if httpguts.HeaderValuesContainsToken(x.r.Header["Te"], "trailers") {
		out["Te"] = []string{"trailers"} // gRPC needs it
	}
	if _, given := out["User-Agent"]; !given {
		out["User-Agent"] = []string{""} // else net/http would add its own
	}
	x.writeForwarded(out)
	if rewrite != "" {
		out[headerOriginalHost] = []string{x.r.Host}
	}
	x.visitor.writeCertificate(out)
	return out
}

// passingHeader is what goes on of the visitor's header.
func (x *webExchange) passingHeader() http.Header {
	in := x.r.Header
	out := make(http.Header, len(in)+6)
	for name, values := range in {
		if mayPass(name, x.client.believed) {
			out[name] = values
		}
	}
	removeHopByHop(out, in["Connection"])
	delete(out, "Host") // HTTP/2 can have one beside :authority
	return out
}

// writeForwarded sets X-Forwarded-*. Forwarded (RFC 7239) is not sent: services that
// read both would have to be told which to believe, and few read it.
func (x *webExchange) writeForwarded(out http.Header) {
	peer := x.visitor.client.Addr().String()
	if before := out[headerForwardedFor]; len(before) > 0 {
		peer = strings.Join(before, ", ") + ", " + peer
	}
	out[headerForwardedFor] = []string{peer}
	// A trusted proxy knows better what its visitor typed.
	setUnlessGiven(out, headerForwardedProto, x.Scheme())
	setUnlessGiven(out, headerForwardedHost, x.r.Host)
	setUnlessGiven(out, headerForwardedPort, portText(x.edge.publicPort(postern.Scheme(x.Scheme()))))
}

func setUnlessGiven(h http.Header, name, value string) {
	if len(h[name]) == 0 {
		h[name] = []string{value}
	}
}

// removeHopByHop deletes the headers of one connection and those that Connection
// lists.
func removeHopByHop(h http.Header, connection []string) {
	for _, line := range connection {
		for name := range strings.SplitSeq(line, ",") {
			if name = textproto.TrimString(name); name != "" {
				delete(h, textproto.CanonicalMIMEHeaderKey(name))
			}
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}

// upgradeOf is the protocol that a message wants to switch to or switches to, "" for
// none. h2c is none: it would open a second way in, past every check of a request.
func upgradeOf(h http.Header) string {
	if !httpguts.HeaderValuesContainsToken(h["Connection"], "Upgrade") {
		return ""
	}
	var kept []string
	for _, line := range h["Upgrade"] {
		for token := range strings.SplitSeq(line, ",") {
			token = textproto.TrimString(token)
			if token != "" && !strings.EqualFold(token, "h2c") && plainToken(token) {
				kept = append(kept, token)
			}
		}
	}
	return strings.Join(kept, ", ")
}

// plainToken tells whether a protocol name is made of visible ASCII.
func plainToken(token string) bool {
	for _, c := range []byte(token) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return true
}

// namesPrivateConnection tells whether a header speaks of NTLM or Negotiate, which
// authenticate a connection and not a request.
func namesPrivateConnection(values []string) bool {
	for _, value := range values {
		scheme, _, _ := strings.Cut(textproto.TrimString(value), " ")
		if strings.EqualFold(scheme, "NTLM") || strings.EqualFold(scheme, "Negotiate") {
			return true
		}
	}
	return false
}
