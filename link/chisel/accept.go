package chisel

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
	"github.com/postern-dev/postern/link"
)

// Subprotocol is the WebSocket subprotocol of chisel v3.
const Subprotocol = "chisel-v3"

// OwnHeader tells in both directions of an HTTP exchange that Postern speaks.
const OwnHeader = "Postern-Connector"

const upgradeTimeout = 10 * time.Second

// Asked tells whether a request has the form of a connector's upgrade, on any path;
// whether it is a good one is Accept's to find out.
func Asked(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket") && r.Header.Get("Sec-Websocket-Protocol") == Subprotocol
}

// Accept answers a connector's upgrade. hijack takes the connection from the HTTP
// server once the answer may be written, with whatever was read ahead of it; nil does
// it as usual. remote is whom trusted proxies name as the connector, or invalid. Where
// the error is CodeRequestInvalid nothing has been answered.
func Accept(w http.ResponseWriter, r *http.Request, hijack func() (net.Conn, error), remote netip.Addr) (*Conn, error) {
	key := r.Header.Get("Sec-Websocket-Key")
	nonce, err := base64.StdEncoding.DecodeString(key)
	switch {
	case !Asked(r):
		return nil, postern.Errorf(postern.CodeRequestInvalid, "a connector asks for a WebSocket of the subprotocol %s", Subprotocol)
	case r.Method != http.MethodGet, r.ProtoMajor != 1, !names(r.Header["Connection"], "upgrade"):
		return nil, postern.Errorf(postern.CodeRequestInvalid, "a WebSocket is asked for with GET, HTTP/1.1 and Connection: Upgrade")
	case r.Header.Get("Sec-Websocket-Version") != "13":
		return nil, postern.Errorf(postern.CodeRequestInvalid, "the WebSocket's version is 13")
	case err != nil || len(nonce) != 16:
		return nil, postern.Errorf(postern.CodeRequestInvalid, "the request has no valid Sec-WebSocket-Key")
	case len(r.Header["Origin"]) > 0:
		return nil, postern.Errorf(postern.CodeRequestInvalid, "web pages cannot be connectors: the request has an Origin")
	}
	conn, ahead, err := take(w, hijack)
	if err != nil {
		return nil, err
	}
	answer := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + frames.Accept(key) +
		"\r\nSec-WebSocket-Protocol: " + Subprotocol + "\r\n" + OwnHeader + ": 1\r\n\r\n"
	_ = conn.SetDeadline(time.Now().Add(upgradeTimeout))
	if _, err := conn.Write([]byte(answer)); err != nil {
		_ = conn.Close()
		return nil, err
	}
	_ = conn.SetDeadline(time.Time{})
	made := newConn(conn, ahead, true, remote)
	made.own = r.Header.Get(OwnHeader) == "1"
	return made, nil
}

// take gets the connection out of the HTTP server, and a copy of what it read ahead,
// so that its buffers can go.
func take(w http.ResponseWriter, hijack func() (net.Conn, error)) (net.Conn, []byte, error) {
	if hijack != nil {
		conn, err := hijack()
		return conn, nil, err
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	ahead, _ := buffered.Reader.Peek(buffered.Reader.Buffered())
	return conn, append([]byte(nil), ahead...), nil
}

// HelloOf reads what a connector's upgrade says of it: the token header, the user
// agent, the gateway (the path's last element) and the instance (?id=). Whether the
// last hop was plain is for the caller to say.
func HelloOf(r *http.Request) link.Hello {
	agent := r.Header.Get("User-Agent")
	info := postern.AgentInfo{ClientType: "chisel", UserAgent: clipped(agent)}
	if product, version, found := strings.Cut(agent, "/"); found && product == "CloudConnector" {
		info.ClientType, info.Version = "outsystemscc", clipped(version)
	} else if r.Header.Get(OwnHeader) == "1" {
		info.ClientType = "postern"
	}
	return link.Hello{
		Token: postern.Secret(r.Header.Get("Token")),
		Agent: info,
		Gateway: &link.GatewayHello{
			Gateway:  r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:],
			Instance: clipped(r.URL.Query().Get("id")),
		},
	}
}

// names tells whether one of a header's comma-separated lists has token.
func names(lists []string, token string) bool {
	for _, list := range lists {
		for one := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(one), token) {
				return true
			}
		}
	}
	return false
}
