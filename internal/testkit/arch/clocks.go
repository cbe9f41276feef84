package arch

import (
	"go/ast"
	"slices"
	"strings"
)

// wallClock says who may take the monotonic reading off a time, and why. What is
// measured with the rest is wrong by as much as the clock on the wall was set.
// Packages whose times are those of rows or of certificates are not looked at: these are
// of the clock on the wall.
func wallClock() (packages []string, allowed map[string]string) {
	return []string{
			"agent/session/...", "inspect/...", "internal/run/...", "link/...", "relay/...", "server/cluster/...", "server/control/...",
			"server/edge/...", "server/feed/...", "server/handover/...", "server/quota/...", "server/route/...", "server/routebuild/...",
		}, map[string]string{
			"agent/session/liveness.go":      "compares the two clocks: that is how a machine that slept is known",
			"inspect/id.go":                  "an id tells its time; it never goes back",
			"server/control/admit.go":        "is shown; began and since are what is measured with",
			"server/control/bind.go":         "is shown",
			"server/control/uptime_other.go": "one process, and an order that nothing there depends on",
		}
}

// CheckClocks gives a line for each place that takes the monotonic reading off a time
// and need not, and for each that is listed and does not.
func (m *Module) CheckClocks() []string {
	packages, allowed := wallClock()
	var faults []string
	used := map[string]bool{}
	for _, p := range m.sorted() {
		if !matchesAny(packages, p.Path) {
			continue
		}
		for _, file := range p.Sources {
			for _, call := range strippingCalls(file) {
				at := p.Path + "/" + m.at(call.Pos())
				name, _, _ := strings.Cut(at, ":")
				if used[name] = true; allowed[name] == "" {
					faults = append(faults, at+" takes the monotonic reading off a time: a clock that is set would then move what is measured; keep the time.Time, or count from one that stays")
				}
			}
		}
	}
	for name := range allowed {
		if !used[name] {
			faults = append(faults, name+" is listed in clocks.go and takes no monotonic reading off")
		}
	}
	slices.Sort(faults)
	return faults
}

// strippingCalls finds calls of those methods of time.Time whose result has no
// monotonic reading. A time that is only written out is not among them.
func strippingCalls(file *ast.File) []*ast.CallExpr {
	var calls []*ast.CallExpr
	shown := map[ast.Expr]bool{}
	for node := range ast.Preorder(file) {
		call, isCall := node.(*ast.CallExpr)
		if !isCall {
			continue
		}
		method, isMethod := call.Fun.(*ast.SelectorExpr)
		if !isMethod {
			continue
		}
		switch method.Sel.Name {
		case "Format", "AppendFormat":
			shown[method.X] = true
		case "UTC", "Local", "Unix", "UnixNano", "UnixMilli", "UnixMicro":
			if len(call.Args) == 0 && !shown[call] {
				calls = append(calls, call)
			}
		case "Round", "Truncate":
			if zero, is := firstArgument(call).(*ast.BasicLit); is && zero.Value == "0" {
				calls = append(calls, call)
			}
		}
	}
	return calls
}

func firstArgument(call *ast.CallExpr) ast.Expr {
	if len(call.Args) == 0 {
		return nil
	}
	return call.Args[0]
}
