package ngrok

import (
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link/sessionmsg"
)

// This protocol has no datagrams: who asks for a udp endpoint is told so.
func TestUDPIsRefused(t *testing.T) {
	_, err := request(&sessionmsg.Bind{Proto: "udp"})
	if !postern.HasCode(err, postern.CodeSchemeInvalid) || !strings.Contains(err.Error(), "http, https, tcp, tls") {
		t.Errorf("%v", err)
	}
	if r, err := request(&sessionmsg.Bind{Proto: "tcp"}); err != nil || r.URL.Scheme != postern.TCP {
		t.Errorf("%+v, %v", r, err)
	}
}
