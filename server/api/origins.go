package api

import (
	"net/http"
	"slices"
)

// crossOrigin lets pages of the origins that an operator allows read the API (Fetch
// Standard, "HTTP extensions"), with a key that the page itself sends: browsers are never
// told to add credentials of their own. It tells whether the request was a preflight,
// which is answered then. Pages of other origins get an answer without these headers,
// which browsers keep from them.
func (a *API) crossOrigin(w http.ResponseWriter, r *http.Request) (answered bool) {
	if len(a.config.AllowedOrigins) == 0 {
		return false
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if !slices.Contains(a.config.AllowedOrigins, origin) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	header.Set("Access-Control-Expose-Headers", operationHeader+", Retry-After")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	header.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, PUT, DELETE")
	header.Set("Access-Control-Allow-Headers", "Authorization, Content-Type, Ngrok-Version")
	header.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}
