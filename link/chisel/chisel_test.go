package chisel_test

import (
	"context"
	"testing"

	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/link/linktest"
)

// oneEndpoint is a Registrar whose binds all get the same id, which is the name that
// the connector has for its remote.
type oneEndpoint struct {
	*linktest.Registrar
	id string
}

func (r oneEndpoint) Admit(ctx context.Context, s link.Session, h link.Hello) (link.Binder, link.Welcome, error) {
	binder, welcome, err := r.Registrar.Admit(ctx, s, h)
	if err != nil {
		return nil, welcome, err
	}
	return oneBinder{binder, r.id}, welcome, nil
}

type oneBinder struct {
	link.Binder
	id string
}

func (b oneBinder) Bind(ctx context.Context, r link.BindRequest) (link.Bound, error) {
	r.ID = b.id
	return b.Binder.Bind(ctx, r)
}

func TestLink(t *testing.T) {
	linktest.Run(t, func(t *testing.T) (link.Opener, link.Acceptor, func()) {
		registrar := linktest.NewRegistrar(token)
		h := serve(t, oneEndpoint{registrar, "ep_conformance"})
		client, err := h.connect(t, func(c *clientConfig) { c.Remotes[0].Endpoint = "ep_conformance" }, "R:8081:target:80")
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
