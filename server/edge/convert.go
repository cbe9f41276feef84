package edge

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
	"github.com/postern-dev/postern/relay"
	"github.com/postern-dev/postern/relay/messages"
	"github.com/postern-dev/postern/server/route"
)

// webSocket is the protocol in Upgrade, and webSocketVersion the only one of it.
const (
	webSocket        = "websocket"
	webSocketVersion = "13"
)

// convert answers the visitor's WebSocket upgrade itself, and has what is in its messages
// go to the member as a plain stream of bytes, and back.
func (x *webExchange) convert(m route.Member) error {
	if err := x.socketAsked(); err != nil {
		return err
	}
	up, err := x.edge.upstreams.of(m)
	if err != nil {
		return &openError{err}
	}
	service, err := up.open(x.r.Context(), &x.Exchange, nil)
	if err != nil {
		return err
	}
	defer func() {
		if x.joined == nil {
			service.Reset(&postern.Error{Code: postern.CodeStreamReset})
			_ = service.Close()
		}
	}()
	response := &http.Response{StatusCode: http.StatusSwitchingProtocols, Body: http.NoBody, Header: http.Header{
		"Sec-Websocket-Accept": {frames.Accept(x.r.Header.Get("Sec-Websocket-Key"))},
	}}
	if chosen := subprotocol(x.r.Header["Sec-Websocket-Protocol"]); chosen != "" {
		response.Header["Sec-Websocket-Protocol"] = []string{chosen}
	}
	return x.switchTo(webSocket, response, func(visitor relay.Conn) {
		x.visitor.lingers.Store(true) // a close frame must not be lost to a reset
		x.joined = &joined{visitor: messages.New(visitor), service: service}
	})
}

// socketAsked refuses whatever is no upgrade to a WebSocket (RFC 6455 §4.2.1).
func (x *webExchange) socketAsked() error {
	switch {
	case x.r.ProtoMajor != 1 || x.r.Method != http.MethodGet || !containsToken(upgradeOf(x.r.Header), webSocket):
		if x.r.ProtoMajor == 1 {
			x.w.Header()["Upgrade"] = []string{webSocket}
			x.w.Header()["Connection"] = []string{"Upgrade"}
		}
		return postern.Errorf(postern.CodeWebSocketRequired, "%s takes WebSockets and no other requests", x.host)
	case x.r.Header.Get("Sec-Websocket-Version") != webSocketVersion:
		x.w.Header()["Sec-Websocket-Version"] = []string{webSocketVersion}
		return postern.Errorf(postern.CodeWebSocketRequired, "Sec-WebSocket-Version is %.20q; the only one is %s", x.r.Header.Get("Sec-Websocket-Version"), webSocketVersion)
	case x.hasBody():
		return postern.Errorf(postern.CodeRequestInvalid, "an upgrade to a WebSocket has no body")
	}
	key := x.r.Header["Sec-Websocket-Key"]
	if len(key) == 1 {
		if nonce, err := base64.StdEncoding.DecodeString(key[0]); err == nil && len(nonce) == 16 {
			return nil
		}
	}
	return postern.Errorf(postern.CodeRequestInvalid, "Sec-WebSocket-Key must be there once, 16 bytes in base64")
}

// subprotocol chooses one of those that a visitor offers, which browsers insist on: binary,
// which says what we do, or else the first one, whose messages the service may well take
// as a stream. base64 would have to be decoded.
func subprotocol(lines []string) string {
	var offered []string
	for _, line := range lines {
		for one := range strings.SplitSeq(line, ",") {
			if one = strings.TrimSpace(one); one != "" && plainToken(one) && one != "base64" {
				offered = append(offered, one)
			}
		}
	}
	switch {
	case len(offered) == 0:
		return ""
	case slices.Contains(offered, "binary"):
		return "binary"
	}
	return offered[0]
}
