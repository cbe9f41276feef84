package dial

import (
	"io"
	"net"
	"net/netip"
	"strings"
)

// ReadAnswer lets tests read a proxy's answer.
func ReadAnswer(r interface{ Read([]byte) (int, error) }) (int, error) {
	answer, err := readAnswer(r)
	if err != nil {
		return 0, err
	}
	return answer.status, nil
}

// Connect lets tests have a proxy answer with a text, whatever it is asked.
func Connect(p *Proxy, answer, addr string) error {
	return p.connect(&scripted{answer: strings.NewReader(answer)}, addr, p.firstScheme())
}

type scripted struct {
	net.Conn
	answer io.Reader
}

func (s *scripted) Read(p []byte) (int, error)  { return s.answer.Read(p) }
func (s *scripted) Write(p []byte) (int, error) { return len(p), nil }

// ResolverAt is Resolver for servers at other ports than 53.
func ResolverAt(servers ...netip.AddrPort) *net.Resolver {
	return (&nameServers{addrs: servers}).resolver()
}
