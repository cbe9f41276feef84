package server_test

import (
	"testing"

	"go.uber.org/goleak"
)

// The SDK's mux leaves its heartbeat asleep for an interval after the session's end;
// nothing of ours may stay.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("golang.ngrok.com/muxado/v2.(*Heartbeat).requester"))
}
