package control_test

import (
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/link"
)

// Where a cloud endpoint is no agent comes online beside it, unless both may share the
// URL; and nothing is left of the attempt.
func TestCloudEndpointKeepsItsURL(t *testing.T) {
	w := newWorld(t)
	agent := w.connect(link.Hello{Token: "alpha"})
	wanted := request(t, "https://cloud.example.com")
	agent.refuse(t, wanted, postern.CodeAlreadyOnline)
	if online := w.cluster.Endpoints(); len(online) > 0 {
		t.Errorf("online: %v", online)
	}
	wanted.Pooling = true
	agent.bind(t, wanted)
	if !w.reachable("cloud.example.com", true) {
		t.Error("the pooled endpoint is not reachable")
	}
}
