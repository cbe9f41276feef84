package tunnel_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/server"
	"github.com/postern-dev/postern/server/servertest"
	"github.com/postern-dev/postern/tunnel"
)

// node is a real server on loopback.
type node struct {
	*servertest.Node
	options tunnel.Options // the way to it
}

func newNode(t *testing.T, change ...func(*server.Config)) *node {
	t.Helper()
	c := servertest.Development(t)
	for _, edit := range change {
		edit(&c)
	}
	n := servertest.Start(t, c, server.Options{})
	return &node{n, tunnel.Options{
		Server:    fmt.Sprintf("connect.localhost:%d", n.HTTPSAddr().Port()),
		Authtoken: n.Keys().Authtoken,
		Roots:     n.Roots(),
		Drain:     time.Second,
		Logger:    testkit.Logger(t),
	}}
}

// get is what a visitor sees of a page.
func (n *node) get(t *testing.T, url string) string {
	t.Helper()
	_, body := servertest.Get(t, n.Visitor(), url)
	return body
}
