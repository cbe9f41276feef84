// Package agent assembles the wing behind the firewall: it turns endpoints as
// people describe them (agent/config) into endpoints that a session keeps online
// (agent/session), with services dialled, certificates loaded and names checked
// before anything is sent.
//
//	a, err := agent.New(agent.Config{
//		Server:    "connect.example.com",
//		Authtoken: token,
//		Endpoints: []agent.Endpoint{{Endpoint: config.Endpoint{Name: "web", Upstream: "8080"}}},
//	})
//	err = a.Run(ctx) // until ctx ends, then drains
package agent
