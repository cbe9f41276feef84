package dial

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"

	"github.com/postern-dev/postern"
)

// basic is the scheme of RFC 7617, sent without being asked for, and what is meant
// where there is no user.
const basic = "Basic"

// firstScheme is how to begin: a user of a Windows domain is one of NTLM, and no
// password of such is shown to a proxy that reads along.
func (p *Proxy) firstScheme() string {
	if p.url.User != nil && strings.ContainsRune(p.url.User.Username(), '\\') {
		return "NTLM"
	}
	return basic
}

// askAnew tells that the proxy wants another scheme, on a connection of its own.
type askAnew struct{ scheme string }

func (a *askAnew) Error() string { return "it wants " + a.scheme + " and ends the connection" }

// connect does HTTP's CONNECT (RFC 9110 §9.3.6).
func (p *Proxy) connect(conn net.Conn, addr, scheme string) error {
	if scheme != basic {
		return p.connectNTLM(conn, addr, scheme)
	}
	credentials := ""
	if user := p.url.User; user != nil {
		password, _ := user.Password()
		credentials = basic + " " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
	}
	answer, err := p.ask(conn, addr, credentials)
	if err != nil {
		return err
	}
	if wanted := answer.offersNTLM(); wanted != "" && p.url.User != nil {
		if answer.last {
			return &askAnew{wanted}
		}
		return p.connectNTLM(conn, addr, wanted)
	}
	return p.judge(answer, addr)
}

// judge says what an answer to CONNECT means; nil: the connection is there.
func (p *Proxy) judge(answer *proxyHead, addr string) error {
	switch status := answer.status; {
	case status == http.StatusProxyAuthRequired && p.url.User == nil:
		return p.refused("the proxy %s asks for a user and a password", p)
	case status == http.StatusProxyAuthRequired:
		return p.refused("the proxy %s does not take this user and password; it offers %s", p, cmp.Or(answer.offers(), "nothing else"))
	case status >= 500:
		return &ProxyAnswer{Status: status}
	case status < 200 || status > 299:
		return p.refused("the proxy %s answers %d %s to CONNECT %s", p, status, http.StatusText(status), addr)
	}
	return nil
}

// ask sends one CONNECT and reads the answer's head; of a 407 also the body, so that it
// can be asked again.
func (p *Proxy) ask(conn net.Conn, addr, credentials string) (*proxyHead, error) {
	request := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\nUser-Agent: postern\r\n"
	if credentials != "" {
		request += "Proxy-Connection: Keep-Alive\r\nProxy-Authorization: " + credentials + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return nil, err
	}
	answer, err := readAnswer(conn)
	if err == nil && answer.status == http.StatusProxyAuthRequired {
		answer.drain(conn)
	}
	return answer, err
}

// ProxyAnswer is an HTTP proxy's word that it cannot reach the server now.
type ProxyAnswer struct{ Status int }

// Error implements error.
func (a *ProxyAnswer) Error() string {
	return fmt.Sprintf("it answers %d %s to CONNECT", a.Status, http.StatusText(a.Status))
}

// proxyHead is the head of a proxy's answer.
type proxyHead struct {
	text   []byte
	status int
	header http.Header
	last   bool // the connection is of no more use
}

// Bounds of a proxy's answer: its head, and the body of a 407.
const (
	mostAnswer = 16 << 10
	mostBody   = 256 << 10
)

// readAnswer reads an answer to CONNECT to the end of its head and not a byte further,
// since what follows is the server's: one byte at a time, a few hundred times in the
// life of a connection.
func readAnswer(r io.Reader) (*proxyHead, error) {
	head := make([]byte, 0, 512)
	for !bytes.HasSuffix(head, []byte("\n\r\n")) && !bytes.HasSuffix(head, []byte("\n\n")) {
		if len(head) == mostAnswer {
			return nil, fmt.Errorf("its answer has no end within %d bytes", mostAnswer)
		}
		head = append(head, 0)
		if _, err := io.ReadFull(r, head[len(head)-1:]); err != nil {
			return nil, fmt.Errorf("it did not answer: %w", err)
		}
	}
	response, err := parseAnswer(bytes.NewReader(head))
	if err != nil {
		return nil, errors.New("its answer is not HTTP")
	}
	if response.StatusCode < 100 {
		return nil, fmt.Errorf("its answer has the status %d", response.StatusCode)
	}
	_ = response.Body.Close() // of a CONNECT's answer there is none that we read
	return &proxyHead{text: head, status: response.StatusCode, header: response.Header, last: response.Close}, nil
}

func parseAnswer(r io.Reader) (*http.Response, error) {
	return http.ReadResponse(bufio.NewReader(r), &http.Request{Method: http.MethodConnect})
}

// drain reads the body of a refusal, behind which nothing comes before the next request.
func (h *proxyHead) drain(conn io.Reader) {
	if strings.EqualFold(h.header.Get("Proxy-Connection"), "close") {
		h.last = true
	}
	if h.last {
		return
	}
	response, err := parseAnswer(io.MultiReader(bytes.NewReader(h.text), conn))
	if err == nil {
		var n int64
		n, err = io.Copy(io.Discard, io.LimitReader(response.Body, mostBody+1))
		_ = response.Body.Close()
		h.last = n > mostBody
	}
	h.last = h.last || err != nil
}

// offers lists the schemes of a 407, for people.
func (h *proxyHead) offers() string {
	var names []string
	for _, value := range h.header.Values("Proxy-Authenticate") {
		name, _, _ := strings.Cut(value, " ")
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// Interface guards.
var (
	_ error = (*ProxyAnswer)(nil)
	_ error = (*askAnew)(nil)
)

// refused is a proxy's definite no.
func (p *Proxy) refused(format string, args ...any) *postern.Error {
	return postern.Errorf(postern.CodeProxyRefused, format, args...)
}
