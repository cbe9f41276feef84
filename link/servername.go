package link

import (
	"context"

	"github.com/postern-dev/postern"
)

type serverNameKey struct{}

// WithServerName keeps the name by which an agent reached the server, for whoever admits
// its session.
func WithServerName(ctx context.Context, name postern.Hostname) context.Context {
	return context.WithValue(ctx, serverNameKey{}, name)
}

// ServerName is the name by which an agent reached the server, "" where it named none.
func ServerName(ctx context.Context) postern.Hostname {
	name, _ := ctx.Value(serverNameKey{}).(postern.Hostname)
	return name
}
