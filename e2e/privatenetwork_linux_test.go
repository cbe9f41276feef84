package e2e_test

import (
	"testing"

	"github.com/postern-dev/postern/internal/testkit/path"
)

func TestPrivateServicesDirectly(t *testing.T) {
	if !path.Isolate(t) {
		return
	}
	private := newPlace(t, "private", "10.2.0.1/24", "10.2.0.2/24")
	startPrivateServices(t, private)
	for port, app := range applications() {
		t.Run(app.name, func(t *testing.T) { app.use(t, private.of(t), inside, port) })
	}
	delivered(t, private)
}
