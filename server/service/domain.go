package service

import (
	"strings"

	"github.com/postern-dev/postern"
)

// Reserved tells whether a label directly below a server's own domain is kept for the
// server itself, or looks so much like it that a stranger must not have it.
func Reserved(label string) bool {
	switch label {
	case "connect", "api", "dashboard", "gateway", "idp", "dns", "ns1", "ns2", "ns3", "ns4",
		"acme", "tcp", "udp", "tunnel", "www", "admin", "login":
		return true
	}
	return false
}

// domainOf finds the domain of this server that host is below, and refuses hosts that
// nobody may have: those elsewhere, a domain itself, and reserved labels with all that
// is below them (a page at x.dashboard.example.com could set cookies for the dashboard).
func (s *Service) domainOf(host postern.Hostname) (postern.Hostname, error) {
	var domain postern.Hostname
	for _, d := range s.domains {
		if host == d {
			return "", postern.Errorf(postern.CodeNameReserved, "%q is the server's own name; ask for one below it", host)
		}
		if host.Covers(d) || host == "*."+d {
			return "", postern.Errorf(postern.CodeNameReserved, "%q would cover every name of the server; ask for a narrower wildcard", host)
		}
		if host.Under(d) && len(d) > len(domain) {
			domain = d
		}
	}
	if domain == "" {
		return "", postern.Errorf(postern.CodeDomainForeign, "%q is not below %s, and your account has not reserved it or a domain above it", host, s.domainList())
	}
	top := strings.TrimSuffix(string(host), "."+string(domain))
	if i := strings.LastIndexByte(top, '.'); i >= 0 {
		top = top[i+1:]
	}
	if Reserved(top) {
		return "", postern.Errorf(postern.CodeNameReserved, "%q is kept for the server: choose another label than %q", host, top)
	}
	return domain, nil
}

func (s *Service) domainList() string {
	names := make([]string, len(s.domains))
	for i, d := range s.domains {
		names[i] = string(d)
	}
	return strings.Join(names, " or ")
}
