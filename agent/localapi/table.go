package localapi

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// route is one line of the table: what is served, and how it is documented.
type route struct {
	method, path string // the last part of path may be {name} or {id}
	summary      string
	query        []string // parameters
	request      any      // an example of what the body is decoded to; nil: no body
	answers      map[int]any
	serve        func(a *API, w http.ResponseWriter, c *call) (answer, error)
}

// faults are what writes may be answered with.
func faults(more map[int]any) map[int]any {
	all := map[int]any{http.StatusBadRequest: failure{}, http.StatusUnsupportedMediaType: failure{}, http.StatusRequestEntityTooLarge: failure{}, http.StatusInternalServerError: failure{}}
	for status, body := range more {
		all[status] = body
	}
	return all
}

// routes is the table.
func routes() []route {
	return slices.Concat(tunnelRoutes(), endpointRoutes(), requestRoutes(), otherRoutes())
}

// find gives the route of a request, and notes the name that its path ends with.
func (a *API) find(c *call) (route, *failure) {
	path := c.URL.EscapedPath()
	if trimmed := strings.TrimSuffix(path, "/"); trimmed != "" {
		path = trimmed
	}
	method := c.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	var allowed []string
	for _, candidate := range a.routes {
		raw, matches := candidate.match(path)
		switch {
		case !matches:
		case candidate.method != method:
			allowed = append(allowed, candidate.method)
		default:
			name, err := url.PathUnescape(raw)
			if err != nil {
				return route{}, malformed(err)
			}
			c.name, c.raw = name, raw
			return candidate, nil
		}
	}
	if len(allowed) > 0 {
		return route{}, generic(http.StatusMethodNotAllowed, map[string]string{"allowed": strings.Join(allowed, ", "), "method": clip(c.Method)})
	}
	return route{}, generic(http.StatusNotFound, map[string]string{"path": clip(c.URL.Path)})
}

// match tells whether a path is the route's, and gives what stands for its last part.
func (r *route) match(path string) (last string, ok bool) {
	prefix, named := r.prefix()
	if !named {
		return "", path == r.path
	}
	last, ok = strings.CutPrefix(path, prefix)
	return last, ok && last != ""
}

// prefix is the path up to its {name}.
func (r *route) prefix() (prefix string, named bool) {
	if i := strings.IndexByte(r.path, '{'); i >= 0 {
		return r.path[:i], true
	}
	return r.path, false
}

// names are what the last part of the path may mean: decoded, and with "+" for blanks,
// as some programs send it.
func (c *call) names() []string {
	names := []string{c.name}
	if blank, err := url.QueryUnescape(c.raw); err == nil && blank != c.name {
		names = append(names, blank)
	}
	return names
}
