package gate

import "slices"

// Names in which services look for another method, and for another target, than the
// request's own. Those of methods may go on.
var (
	methodOverrides = [...]string{"x-http-method", "x-method", "http-method", "x-tunneled-method", "x-original-method"}
	targetOverrides = [...]string{"x-original-url", "x-rewrite-url", "x-original-uri"}
)

// OverridesMethod tells whether services may believe a header of that name rather than a
// request's method.
func OverridesMethod(name string) bool {
	return slices.ContainsFunc(methodOverrides[:], func(known string) bool {
		return len(name) >= len(known) && SameName(name[:len(known)], known)
	})
}

// OverridesTarget tells whether services may believe a header of that name rather than a
// request's target.
func OverridesTarget(name string) bool {
	return slices.ContainsFunc(targetOverrides[:], func(known string) bool { return SameName(name, known) })
}

// SameName tells whether two names are one to servers that make variables of headers (RFC
// 3875 §4.1.18), and to their like: in any case, with "-", "_" and "." for the same.
func SameName(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && folded(a[i]) != folded(b[i]) {
			return false
		}
	}
	return true
}

func folded(c byte) byte {
	switch {
	case c == '_' || c == '.':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}
