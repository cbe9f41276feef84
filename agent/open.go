package agent

import (
	"context"
	"net"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/agent/session"
)

// Open connects to the service behind an endpoint's label, for one HTTP/1.1 request of
// the agent's own, which no Tap sees. The caller closes the connection. Errors are
// CodeNotFound, CodeUpstreamUnreachable, and CodeReplayImpossible for what is not
// HTTP/1.1.
func (a *Agent) Open(ctx context.Context, label string) (net.Conn, error) {
	for _, status := range a.session.Endpoints() {
		if status.Label != label {
			continue
		}
		a.mu.Lock()
		handler := a.known[status.Name].assembled.Handler
		a.mu.Unlock()
		service, ok := handler.(session.Openable)
		if !ok || status.Scheme != postern.HTTP && status.Scheme != postern.HTTPS {
			return nil, postern.Errorf(postern.CodeReplayImpossible, "endpoint %q does not lead to an HTTP/1.1 service", label)
		}
		return service.Open(ctx)
	}
	return nil, postern.Errorf(postern.CodeNotFound, "there is no endpoint %q", label)
}
