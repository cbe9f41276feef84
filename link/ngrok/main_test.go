package ngrok_test

import (
	"testing"

	"go.uber.org/goleak"
)

// The SDK leaves its heartbeat goroutines behind when a session ends; nothing of
// ours may stay.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("golang.ngrok.com/muxado/v2.(*Heartbeat).requester"),
		goleak.IgnoreAnyFunction("golang.ngrok.com/muxado/v2.(*Heartbeat).check"),
	)
}
