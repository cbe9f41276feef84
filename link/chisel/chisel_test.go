package chisel_test

import (
	"testing"

	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
)

// The suite has nothing to excuse: between two Posterns the wire can do all of it.
func TestLink(t *testing.T) {
	const id = "ep_conformance"
	linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
		registrar := linktest.NewRegistrar(token)
		h := serve(t, naming{registrar, func(link.BindRequest) string { return id }})
		client, err := h.connect(t, func(c *clientConfig) { c.Remotes[0].Endpoint = id }, "R:8081:target:80")
		if err != nil {
			t.Fatal(err)
		}
		admitted, err := registrar.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return admitted.Session, client, func() {
			client.Close(nil)
			<-client.Done()
			h.close()
		}
	})
}
