package gateway_test

import (
	"runtime"
	"strconv"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
	"github.com/postern-dev/postern/server/gateway"
)

// heap is what lives after a collection.
func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// Connectors that come and go ten thousand times leave nothing behind: half of them come
// back over their ghosts, the others leave first.
func TestTenThousandReconnects(t *testing.T) {
	w := newWorld(t, func(_ *rows, c *gateway.Config) { c.Logger, c.Audit, c.Changed = nil, nil, nil })
	again := func(n int) {
		for i := range n {
			c := newConnector("203.0.113.1:1000")
			if err := w.admit(c, w.token, link.GatewayHello{Gateway: "sg_1", Instance: strconv.Itoa(i % 3)}); err != nil {
				t.Fatal(err)
			}
			for _, port := range []uint16{8081, 8082} {
				if _, err := c.bind(port, ""); err != nil {
					t.Fatal(err)
				}
			}
			if i%100 == 0 {
				if err := w.echo(w.dial("127.64.0.1:8081")); err != nil {
					t.Fatal(err)
				}
			}
			if i%2 == 0 {
				c.Close(postern.Errorf(postern.CodeLinkLost, "leaves"))
			}
		}
	}
	again(1000)
	before := heap()
	again(9000)
	if grown := int64(heap()) - int64(before); grown > 1<<20 {
		t.Errorf("%d bytes more after 9000 reconnects", grown)
	}
	if state := w.runtime.State("pgw_1"); len(state.Connectors) > 3 || len(state.Endpoints) != 2 || state.Open != 0 {
		t.Errorf("%d connectors, %d endpoints, %d open", len(state.Connectors), len(state.Endpoints), state.Open)
	}
}
