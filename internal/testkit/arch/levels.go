package arch

import (
	"slices"
	"strings"
)

// room is a folder of the house with everything below it that is not a room of its
// own. Packages of one room may import each other.
type room struct {
	path  string // below the module's root; "" is the root package alone
	level int
	kind  kind
}

type kind int

const (
	product kind = iota
	tests        // helpers of tests: imported from _test.go files and other helpers only
	program      // imported by nobody
)

// house lists every room. Imports go from a higher level to a lower one.
func house() []room { return slices.Concat(foundations(), floors(), helpers()) }

// foundations are what agents, servers and their doors stand on.
func foundations() []room {
	return []room{
		{path: "", level: 0},
		{path: "resource", level: 1},
		{path: "internal/frames", level: 1},
		{path: "internal/obs", level: 1},
		{path: "internal/run", level: 1},
		{path: "internal/disk", level: 1},
		{path: "internal/ledger", level: 0},
		{path: "internal/nearest", level: 0},
		{path: "internal/nesting", level: 0},
		{path: "internal/repetition", level: 0},
		{path: "internal/memory", level: 1},
		{path: "internal/idn", level: 1},
		{path: "internal/allow", level: 1},
		{path: "internal/material", level: 1},
		{path: "server/throttle", level: 1},
		{path: "server/seal", level: 1},
		{path: "server/password", level: 1},
		{path: "internal/mutualtls", level: 2},
		{path: "internal/authority", level: 2},
		{path: "internal/truststore", level: 2},
		{path: "internal/dial", level: 2},
		{path: "relay", level: 2},
		{path: "ui", level: 2},
		{path: "link", level: 2},
		{path: "client", level: 2},
		{path: "server/archive", level: 2},
		{path: "server/event", level: 2},
		{path: "server/quota", level: 2},
		{path: "server/access", level: 2},
		{path: "server/gate", level: 2},
		{path: "server/outcall", level: 2},
		{path: "server/policy/window", level: 2},
		{path: "server/policy/breaker", level: 2},
		{path: "server/policy/geo", level: 2},
		{path: "server/policy/expression", level: 2},
		{path: "server/policy/body", level: 2},
		{path: "link/mux", level: 3},
		{path: "link/sessionmsg", level: 3},
		{path: "link/chisel", level: 3},
		{path: "link/sshr", level: 3},
		{path: "link/websocket", level: 3},
		{path: "inspect", level: 3},
		{path: "server/policy", level: 3},
		{path: "server/errorpage", level: 3},
		{path: "server/store", level: 3},
		{path: "server/route", level: 4},
		{path: "link/ngrok", level: 4},
		{path: "link/native", level: 4},
		{path: "inspect/view", level: 4},
		{path: "server/pki", level: 4},
		{path: "server/cluster", level: 5},
		{path: "server/cloud", level: 5},
		{path: "server/feed", level: 4},
		{path: "server/cluster/nats", level: 6},
		{path: "server/service", level: 5},
		{path: "server/routebuild", level: 5},
	}
}

// floors are agents and servers, and what makes programs of them.
func floors() []room {
	return []room{
		{path: "agent/session", level: 5},
		{path: "agent/config", level: 5},
		{path: "agent/termination", level: 6},
		{path: "agent/access", level: 6},
		{path: "agent/localapi", level: 6},
		{path: "agent/inspector", level: 6},
		{path: "agent/console", level: 6},
		{path: "agent/diagnose", level: 6},
		{path: "agent/login", level: 6},
		{path: "agent/background", level: 6},
		{path: "agent/connector", level: 6},
		{path: "server/edge", level: 6},
		{path: "server/control", level: 6},
		{path: "server/gateway", level: 6},
		{path: "server/api", level: 6},
		{path: "server/web", level: 6},
		{path: "server/inbox", level: 6},
		{path: "server/handover", level: 6},
		{path: "agent", level: 7},
		{path: "server", level: 7},
		{path: "server/setup", level: 8},
		{path: "agent/announce", level: 8},
		{path: "tunnel", level: 8},
		{path: "cmd/postern", level: 9, kind: program},
		{path: "internal/cataloguegen", level: 9, kind: program},
		{path: "internal/creditsgen", level: 9, kind: program},
		{path: "internal/releasetool", level: 9, kind: program},
		{path: "e2e", level: 10, kind: program},
	}
}

// helpers lists the rooms of tests.
func helpers() []room {
	return []room{
		{path: "internal/testkit", level: 1, kind: tests},
		{path: "internal/testkit/ports", level: 2, kind: tests},
		{path: "internal/testkit/postgres", level: 3, kind: tests},
		{path: "link/linktest", level: 3, kind: tests},
		{path: "server/store/storetest", level: 4, kind: tests},
		{path: "server/cluster/clustertest", level: 5, kind: tests},
		{path: "server/servertest", level: 8, kind: tests},
		{path: "e2e/internal/program", level: 10, kind: tests},
	}
}

// roomOf finds the innermost room that holds the package, which is named by its
// path below the module's root.
func roomOf(rooms []room, pkg string) (room, bool) {
	best, found := room{}, false
	for _, r := range rooms {
		inside := pkg == r.path || r.path != "" && strings.HasPrefix(pkg, r.path+"/")
		if inside && (!found || len(r.path) > len(best.path)) {
			best, found = r, true
		}
	}
	return best, found
}
