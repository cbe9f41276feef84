package arch

import "strings"

// rule forbids packages to reach others. Patterns are paths below the module's
// root, or import paths of other modules; a trailing "/..." takes what is below as
// well.
type rule struct {
	who        []string
	except     []string // of who
	never      []string
	transitive bool // reach, not only import
	reason     string
}

func rules() []rule {
	return []rule{
		{
			who:        []string{"server/edge/..."},
			never:      []string{"server/store/...", "server/service/...", "server/api/...", "server/web/...", "server/control/...", "server/routebuild/...", "database/sql/..."},
			transitive: true,
			reason:     "a dead database cannot stop traffic: the edge knows the route table and nothing behind it; control, api and web reach it as injected functions",
		},
		{
			who:        []string{"server/route/...", "relay/...", "link/..."},
			never:      []string{"database/sql/...", "server/store/..."},
			transitive: true,
			reason:     "what stands under the edge must not bring a database in by the back door",
		},
		{
			who:        []string{"link/..."},
			never:      []string{"server/...", "agent/...", "relay/..."},
			transitive: true,
			reason:     "wire adapters parse and translate only; limits, authorisation, drain and accounting live once, in link and server/control",
		},
		{
			who:        []string{"agent/...", "tunnel/...", "client/..."},
			never:      []string{"server/..."},
			transitive: true,
			reason:     "the two wings meet in link only, or a change of one would need the other to be deployed with it",
		},
		{
			who:        []string{"server/..."},
			never:      []string{"agent/...", "tunnel/..."},
			transitive: true,
			reason:     "the two wings meet in link only, or a change of one would need the other to be deployed with it",
		},
		{
			who:    []string{"..."},
			except: []string{"server", "cmd/postern/...", "server/store/sqlstore/..."},
			never:  []string{"modernc.org/sqlite/...", "github.com/jackc/pgx/v5/...", "github.com/nats-io/...", "server/store/sqlstore/..."},
			reason: "which engine holds the rows is decided where a server is put together, and named nowhere else",
		},
		{
			who:    []string{"..."},
			never:  []string{"log"},
			reason: "logging is log/slog, handed in as a *slog.Logger: no lines without a level, no global logger",
		},
	}
}

// matchesAny tells whether path is one of the patterns.
func matchesAny(patterns []string, path string) bool {
	for _, pattern := range patterns {
		base, deep := strings.CutSuffix(pattern, "...")
		if !deep {
			if path == pattern {
				return true
			}
			continue
		}
		if base == "" || path+"/" == base || strings.HasPrefix(path, base) {
			return true
		}
	}
	return false
}
