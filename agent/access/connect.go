package access

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
)

// http serves a client that speaks HTTP: CONNECT, and nothing else (RFC 9110 §9.3.6).
func (c *client) http() {
	head, err := c.readHead()
	if err != nil {
		return
	}
	r, err := parseConnect(head)
	switch {
	case err != nil:
		c.refuse(http.StatusBadRequest, err)
	case r.method != http.MethodConnect:
		c.refuse(http.StatusMethodNotAllowed, postern.Errorf(postern.CodeRequestInvalid,
			"this proxy takes CONNECT only; with curl, add -p (--proxytunnel)"), "Allow: CONNECT")
	case c.locked() && !c.mayEnter(r.user, r.password):
		c.refuse(http.StatusProxyAuthRequired, postern.Errorf(postern.CodeAccessDenied,
			"this proxy asks for a name and a password"), `Proxy-Authenticate: Basic realm="postern access"`)
	default:
		st, p, err := c.dial(r.host, r.port)
		if err != nil {
			c.refuse(statusFor(err), err)
			return
		}
		c.relay([]byte("HTTP/1.1 200 Connection established\r\n\r\n"), st, p)
	}
}

// readHead takes the request's head off the connection.
func (c *client) readHead() ([]byte, error) {
	for from := 0; ; {
		b := c.conn.Buffered()
		if end := http1.End(b, from); end >= 0 {
			head := make([]byte, end)
			_, err := io.ReadFull(c.conn, head)
			return head, err
		}
		from = len(b)
		if _, err := c.conn.Peek(len(b) + 1); err != nil {
			return nil, err
		}
	}
}

// connectRequest is what a head says.
type connectRequest struct {
	method         string
	host           string // of CONNECT
	port           uint16
	user, password string // of Proxy-Authorization
}

// parseConnect reads a head. Of a method that is not CONNECT the rest is not looked at.
func parseConnect(head []byte) (connectRequest, error) {
	reader := textproto.NewReader(bufio.NewReader(bytes.NewReader(head)))
	line, err := reader.ReadLine()
	if err != nil {
		return connectRequest{}, malformed("there is no request line")
	}
	parts := strings.Split(line, " ")
	if len(parts) != 3 || parts[2] != "HTTP/1.1" && parts[2] != "HTTP/1.0" {
		return connectRequest{}, malformed("the request line is not METHOD TARGET HTTP/1.1")
	}
	r := connectRequest{method: parts[0]}
	if r.method != http.MethodConnect {
		return r, nil
	}
	if r.host, r.port, err = splitTarget(parts[1]); err != nil {
		return r, err
	}
	header, err := reader.ReadMIMEHeader()
	if err != nil {
		return r, malformed("its header cannot be read")
	}
	if hosts := header["Host"]; len(hosts) > 1 || len(hosts) == 1 && !sameHost(hosts[0], parts[1]) {
		return r, malformed("Host is another one than the target")
	}
	if header["Content-Length"] != nil || header["Transfer-Encoding"] != nil {
		return r, malformed("CONNECT has no body")
	}
	r.user, r.password = proxyPassword(header.Get("Proxy-Authorization"))
	return r, nil
}

func malformed(problem string) error {
	return postern.Errorf(postern.CodeRequestInvalid, "the request is malformed: %s", problem)
}

func splitTarget(target string) (host string, port uint16, err error) {
	host, number, err := net.SplitHostPort(target)
	port, ok := parseNumber(number)
	if err != nil || !ok || !isName(host) {
		return "", 0, malformed("the target is not HOST:PORT")
	}
	return host, port, nil
}

// sameHost: clients leave the port out of Host now and then.
func sameHost(host, target string) bool {
	name, _, err := net.SplitHostPort(target)
	return err == nil && (strings.EqualFold(host, target) || strings.EqualFold(host, name))
}

// proxyPassword reads "Basic …" (RFC 7617); "" for anything else.
func proxyPassword(value string) (user, password string) {
	scheme, encoded, _ := strings.Cut(value, " ")
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if !strings.EqualFold(scheme, "basic") || err != nil {
		return "", ""
	}
	user, password, _ = strings.Cut(string(raw), ":")
	return user, password
}

// statusFor is the status that goes with why a port cannot be reached.
func statusFor(err error) int {
	if status := postern.AsError(err).Code.Entry().Status; status >= 400 {
		return status
	}
	return http.StatusBadGateway
}

// refuse answers in words, and ends the connection.
func (c *client) refuse(status int, err error, lines ...string) {
	body := postern.AsError(err).Error() + "\n"
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n", status, http.StatusText(status), len(body))
	for _, line := range lines {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n" + body)
	c.write([]byte(b.String()))
}
