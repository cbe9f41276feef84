package connector

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/dial"
)

// Speech is which wire a gateway is spoken to with.
type Speech string

// The wires. Auto asks the gateway.
const (
	Auto   Speech = ""
	Native Speech = "native" // ours; nothing else will do
	Chisel Speech = "chisel" // chisel's, for servers of that program
)

// ParseSpeech reads "auto", "native" or "chisel". Errors are CodeFlagInvalid.
func ParseSpeech(text string) (Speech, error) {
	switch s := Speech(strings.ToLower(text)); s {
	case Native, Chisel:
		return s, nil
	case Auto, "auto":
		return Auto, nil
	}
	return Auto, postern.Errorf(postern.CodeFlagInvalid, "the wire %q is not auto, native or chisel", text)
}

// Gateway is one private gateway that the connector serves. Address is required.
type Gateway struct {
	Name    string // in logs and metrics; "" is the last part of the address's path
	Address string // https://HOST/sg_…
	// Token is the gateway's. It is sent as the header "Token" to whatever answers at the
	// address, which Headers may hold as well: the flag of outsystemscc does.
	Token     postern.Secret
	TokenFile string // read at every (re)load; Token wins

	Headers     http.Header    // of the pre-flight and the WebSocket upgrade
	Hostname    string         // Host header and server name of TLS; "" is that of the address
	Auth        postern.Secret // "user:password" for a chisel server
	Fingerprint string         // of a chisel server's host key; "" checks none

	Proxy      *dial.Proxy // nil: none
	CAs        string      // who may vouch for the gateway: "trusted", "host" or a PEM file
	SavedCAs   string      // CA that "postern login" saved
	SkipVerify bool        // nobody need vouch: anyone on the way can pretend to be the gateway
	Speech     Speech

	KeepAlive time.Duration // between pings over chisel's wire; 0: none
	Retry     Retry

	Remotes []Remote
}

// Retry is when a connection that failed is made again.
type Retry struct {
	Count int           // how often in a row, until the connector gives up; -1: for ever
	Most  time.Duration // the longest wait; 0 is the default
	// Classic waits exactly as outsystemscc does, 100 ms doubling to five minutes. Else
	// waits are drawn at random, up to five seconds, so that the connectors of a gateway
	// that comes back do not arrive together.
	Classic bool
}

// same tells whether nothing but the remotes differs.
func (g Gateway) same(other Gateway) bool {
	g.Remotes, other.Remotes = nil, nil
	return reflect.DeepEqual(g, other)
}

// prepare checks a gateway and fills in what is derived. Errors are CodeFlagInvalid,
// CodeRemoteInvalid, CodeFileUnreadable, CodeConfigInvalid.
func (g *Gateway) prepare() (address, error) {
	at, err := parseAddress(g.Address)
	if err != nil {
		return at, err
	}
	if g.Name == "" {
		if g.Name = at.gateway(); g.Name == "" {
			g.Name = at.hostPort()
		}
	}
	if g.Token == "" && g.TokenFile != "" {
		text, err := os.ReadFile(g.TokenFile)
		if err != nil {
			return at, postern.Errorf(postern.CodeFileUnreadable, "the token of %s cannot be read from %q: %v", g.Name, g.TokenFile, err)
		}
		g.Token = postern.Secret(strings.TrimSpace(string(text)))
	}
	if g.Token == "" {
		g.Token = postern.Secret(g.Headers.Get("Token"))
	}
	if len(g.Remotes) == 0 {
		return at, postern.Errorf(postern.CodeRemoteInvalid, "%s has no remote", g.Name)
	}
	return at, checkDistinct(g.Remotes)
}

// header is what goes with every HTTP request to the gateway.
func (g *Gateway) header(userAgent string) http.Header {
	h := g.Headers.Clone()
	if h == nil {
		h = http.Header{}
	}
	h.Del("Host") // is the request's own
	if g.Token != "" {
		h.Set("Token", g.Token.Reveal())
	}
	if h.Get("User-Agent") == "" {
		h.Set("User-Agent", userAgent)
	}
	return h
}

// host is what the Host header says; "" is the address's.
func (g *Gateway) host() string {
	if g.Hostname != "" {
		return g.Hostname
	}
	return g.Headers.Get("Host")
}

// trust gives the TLS configuration for the gateway, and the authorities behind it.
func (g *Gateway) trust() (*tls.Config, *x509.CertPool, error) {
	roots, err := dial.ServerPool(g.CAs, g.SavedCAs)
	if err != nil {
		return nil, nil, err
	}
	config := &tls.Config{RootCAs: roots, NextProtos: []string{"http/1.1"}, InsecureSkipVerify: g.SkipVerify}
	if name := g.host(); name != "" {
		config.ServerName, _ = splitPort(name)
	}
	return config, roots, nil
}

// splitPort takes the port off a host where it has one.
func splitPort(host string) (name, port string) {
	if at := strings.LastIndexByte(host, ':'); at >= 0 && strings.IndexByte(host, ':') == at || strings.Contains(host, "]:") {
		return strings.Trim(host[:at], "[]"), host[at+1:]
	}
	return strings.Trim(host, "[]"), ""
}
