package localapi

import (
	"net/netip"
	"time"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
	"github.com/postern-dev/postern/inspect"
)

// Watcher shows a session's streams to a Recorder: give it to an agent as Tap and Meter.
type Watcher struct {
	Recorder *inspect.Recorder
}

// Stream has a stream of an http endpoint read along.
func (w Watcher) Stream(endpoint string, visitor netip.AddrPort, _ postern.Scheme) session.StreamTap {
	return w.Recorder.Stream(endpoint, visitor)
}

// StreamBegan counts.
func (w Watcher) StreamBegan(endpoint string) {
	w.Recorder.Meters(endpoint).Connections.Begin(time.Now())
}

// StreamEnded counts and times. The endpoint may have been forgotten meanwhile.
func (w Watcher) StreamEnded(endpoint string, took time.Duration) {
	if known := w.Recorder.Known(endpoint); known != nil {
		known.Connections.End(took)
	}
}
