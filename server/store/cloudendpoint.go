package store

import "github.com/postern-dev/postern"

// CloudEndpoint is an endpoint that is defined through the API and served by no agent.
type CloudEndpoint struct {
	Meta
	Scheme        postern.Scheme
	Host          postern.Hostname
	Port          uint16 // 0 where the scheme says it
	Binding       string // "public", "internal", "kubernetes"
	TrafficPolicy string
	Pooling       bool // may share its URL
	CreatedBy     postern.UserID
	Pages         postern.ErrorPages
}

// URL is the endpoint's, without a port that the scheme says; with its account where it is
// internal.
func (e *CloudEndpoint) URL() postern.URL {
	u := postern.URL{Scheme: e.Scheme, Host: e.Host, Port: e.Port}
	if e.Binding == "internal" {
		return u.Within(e.Account)
	}
	return u
}
