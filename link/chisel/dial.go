package chisel

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/internal/frames"
)

const (
	// dialTimeout is for each step of Dial where ctx allows longer.
	dialTimeout   = 30 * time.Second
	mostHTTPHead  = 32 << 10
	clientVersion = "SSH-" + Subprotocol + "-client"
)

// BadHandshake is an answer to the upgrade that is no upgrade. chisel's clients print
// its text and nothing of the answer.
type BadHandshake struct {
	Status int    // of HTTP
	Server string // who says that it answered; "" for nobody
}

// Error gives gorilla's words, by which people look for help, and the status.
func (b *BadHandshake) Error() string {
	text := fmt.Sprintf("websocket: bad handshake (%d %s", b.Status, http.StatusText(b.Status))
	if b.Server != "" {
		text += " from " + b.Server
	}
	return strings.TrimSpace(text) + ")"
}

// Refused is a server's answer to the config request that says why not. Its text is
// the server's own.
type Refused struct{ Text string }

// Error gives the server's words.
func (r *Refused) Error() string { return r.Text }

// upgrade makes a WebSocket of conn.
func upgrade(ctx context.Context, conn net.Conn, c *ClientConfig) (*Conn, error) {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	key := base64.StdEncoding.EncodeToString(nonce)
	target, err := url.ParseRequestURI(c.Path)
	if err != nil || !strings.HasPrefix(c.Path, "/") {
		return nil, postern.Errorf(postern.CodeConfigInvalid, "the path %q of the server's address cannot be asked for", clipped(c.Path))
	}
	header := c.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	host := c.Host
	if own := header.Get("Host"); own != "" {
		host = own
	}
	header.Del("Host")
	if c.UserAgent != "" {
		header.Set("User-Agent", c.UserAgent)
	}
	header["Upgrade"] = []string{"websocket"}
	header["Connection"] = []string{"Upgrade"}
	header["Sec-WebSocket-Key"] = []string{key} // the spelling of all real clients
	header["Sec-WebSocket-Version"] = []string{"13"}
	header["Sec-WebSocket-Protocol"] = []string{Subprotocol}
	header.Set(OwnHeader, "1")
	request := &http.Request{Method: http.MethodGet, URL: target, Host: host, Header: header, ProtoMajor: 1, ProtoMinor: 1}
	var text bytes.Buffer
	if err := request.Write(&text); err != nil {
		return nil, err
	}
	if _, err := conn.Write(text.Bytes()); err != nil {
		return nil, err
	}
	in := bufio.NewReader(&io.LimitedReader{R: conn, N: mostHTTPHead})
	response, err := http.ReadResponse(in, request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusSwitchingProtocols ||
		!names(response.Header["Upgrade"], "websocket") || !names(response.Header["Connection"], "upgrade") ||
		response.Header.Get("Sec-Websocket-Accept") != frames.Accept(key) {
		who := frames.Printable(response.Header.Get("Server"))
		return nil, &BadHandshake{Status: response.StatusCode, Server: who[:min(len(who), 80)]}
	}
	ahead, _ := in.Peek(in.Buffered())
	made := newConn(conn, append([]byte(nil), ahead...), false, netip.Addr{})
	made.own = response.Header.Get(OwnHeader) == "1"
	return made, ctx.Err()
}

// Dial makes a session with a chisel server over conn, which is connected, and secured
// where it is to be, and takes it over; on error it is closed. The error is a
// *BadHandshake where HTTP answered something else, a *Refused where the server does
// not take the remotes, and else a *postern.Error: CodeServerUntrusted,
// CodeTokenInvalid, CodeConfigInvalid or CodeLinkLost. ctx ends the attempt, which may
// take some seconds a step by itself.
func Dial(ctx context.Context, conn net.Conn, c ClientConfig) (*Client, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	client, err := dial(ctx, conn, &c)
	if err == nil && !stop() {
		client.Close(nil)
		err = context.Cause(ctx)
	}
	if err == nil {
		return client, nil
	}
	stop()
	_ = conn.Close() // the first error is the one that counts
	var coded *postern.Error
	if _, ok := errors.AsType[*BadHandshake](err); ok {
		return nil, err
	}
	if _, ok := errors.AsType[*Refused](err); ok {
		return nil, err
	}
	if errors.As(err, &coded) {
		return nil, coded
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return nil, postern.Errorf(postern.CodeLinkLost, "%s", frames.Printable(clipped(err.Error()))).Because(err)
}

func dial(ctx context.Context, conn net.Conn, c *ClientConfig) (*Client, error) {
	carrier, err := upgrade(ctx, conn, c)
	if err != nil {
		return nil, err
	}
	secured, channels, requests, err := ssh.NewClientConn(carrier, "", &ssh.ClientConfig{
		User:          c.User,
		Auth:          []ssh.AuthMethod{ssh.Password(c.Password.Reveal())},
		ClientVersion: clientVersion,
		HostKeyCallback: func(_ string, _ net.Addr, key ssh.PublicKey) error {
			if c.Fingerprint == "" {
				return nil
			}
			return CheckFingerprint(key, c.Fingerprint)
		},
	})
	if err != nil {
		if told := carrier.Ended(); told != nil && !errors.Is(told, io.EOF) {
			err = errors.Join(told, err)
		}
		if strings.Contains(err.Error(), "unable to authenticate") {
			return nil, postern.Errorf(postern.CodeTokenInvalid, "Authentication failed").Because(err)
		}
		return nil, err
	}
	client := newClient(carrier, secured, c, channels, requests)
	ok, answer, err := secured.SendRequest("config", true, request{Version: c.Version, Remotes: client.remotes()}.encode())
	switch {
	case err != nil:
		err = errors.Join(carrier.Ended(), err)
	case len(answer) > 0:
		err = &Refused{Text: frames.Printable(string(answer[:min(len(answer), 2<<10)]))}
	case !ok:
		err = &Refused{Text: "the server refused the configuration without a reason"}
	}
	if err != nil {
		client.Close(nil)
		return nil, err
	}
	client.watch()
	client.keepAlive()
	return client, nil
}
