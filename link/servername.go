package link

import (
	"context"
	"slices"

	"github.com/postern-dev/postern"
)

type serverNamesKey struct{}

// WithServerNames keeps the names by which somebody reached the server, for whoever admits
// the session: that of the TLS connection, and where another travels inside of it, that of
// the request and of the inner connection. Empty ones are left out.
func WithServerNames(ctx context.Context, names ...postern.Hostname) context.Context {
	return context.WithValue(ctx, serverNamesKey{}, slices.DeleteFunc(slices.Clone(names), func(name postern.Hostname) bool { return name == "" }))
}

// ServerNames are the names by which somebody reached the server, none where none was said.
// A firewall on the way may have seen the first alone.
func ServerNames(ctx context.Context) []postern.Hostname {
	names, _ := ctx.Value(serverNamesKey{}).([]postern.Hostname)
	return names
}
