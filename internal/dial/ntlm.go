package dial

import (
	"encoding/base64"
	"net"
	"net/http"
	"strings"

	"github.com/Azure/go-ntlmssp"
)

// offersNTLM gives the scheme under which a 407 takes NTLM: its own name, or Negotiate,
// in which Windows takes it bare as well; "" for neither.
func (h *proxyHead) offersNTLM() string {
	if h.status != http.StatusProxyAuthRequired {
		return ""
	}
	for _, scheme := range []string{"NTLM", "Negotiate"} {
		for _, value := range h.header.Values("Proxy-Authenticate") {
			if name, _, _ := strings.Cut(value, " "); strings.EqualFold(name, scheme) {
				return scheme
			}
		}
	}
	return ""
}

// challenge gives the message that a 407 carries under the scheme; nil for none.
func (h *proxyHead) challenge(scheme string) []byte {
	for _, value := range h.header.Values("Proxy-Authenticate") {
		name, text, _ := strings.Cut(value, " ")
		if !strings.EqualFold(name, scheme) {
			continue
		}
		if message, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text)); err == nil && len(message) > 0 {
			return message
		}
	}
	return nil
}

// connectNTLM proves the user with NTLM (MS-NTHT): the three messages of one connection,
// which is what is proved.
func (p *Proxy) connectNTLM(conn net.Conn, addr, scheme string) error {
	negotiate, err := ntlmssp.NewNegotiateMessage("", "")
	if err != nil {
		return err
	}
	answer, err := p.ask(conn, addr, scheme+" "+base64.StdEncoding.EncodeToString(negotiate))
	if err != nil {
		return err
	}
	if answer.status != http.StatusProxyAuthRequired {
		return p.judge(answer, addr)
	}
	challenge := answer.challenge(scheme)
	if challenge == nil || answer.last {
		return p.refused("the proxy %s does not go on with %s; it offers %s", p, scheme, answer.offers())
	}
	password, _ := p.url.User.Password()
	authenticate, err := ntlmssp.NewAuthenticateMessage(challenge, p.url.User.Username(), password, nil)
	if err != nil {
		return p.refused("the proxy %s asks for a kind of NTLM that cannot be given: %v", p, err)
	}
	answer, err = p.ask(conn, addr, scheme+" "+base64.StdEncoding.EncodeToString(authenticate))
	if err != nil {
		return err
	}
	return p.judge(answer, addr)
}
