package server_test

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/postern-dev/postern/internal/testkit"
	"github.com/postern-dev/postern/internal/testkit/pebble"
)

// The SDK's mux leaves its heartbeat asleep for an interval after the session's end;
// nothing of ours may stay.
func TestMain(m *testing.M) {
	pebble.Become()
	goleak.VerifyTestMain(testkit.Closing(m, postgreSQL.Close), goleak.IgnoreTopFunction("golang.ngrok.com/muxado/v2.(*Heartbeat).requester"))
}
