package api

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/service"
)

// authenticate finds the caller of a request. The key is never part of an answer.
func (a *API) authenticate(r *http.Request) (service.Caller, error) {
	key, err := bearer(r.Header.Values("Authorization"))
	if err != nil {
		return service.Caller{}, err
	}
	caller, err := a.config.Service.AuthenticateKey(r.Context(), key)
	if err != nil {
		return service.Caller{}, err
	}
	caller.Source = service.SourceAPI
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		caller.Addr = at.Addr().Unmap()
	}
	return caller, nil
}

// bearer takes the key out of the Authorization header (RFC 6750 §2.1).
func bearer(values []string) (postern.Secret, error) {
	if len(values) == 0 || len(values) == 1 && values[0] == "" {
		return "", &postern.Error{Code: postern.CodeKeyMissing}
	}
	if len(values) > 1 {
		return "", postern.Errorf(postern.CodeAuthorizationInvalid, "the Authorization header is there %d times", len(values))
	}
	scheme, key, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", postern.Errorf(postern.CodeAuthorizationInvalid, "the Authorization header must be \"Bearer\" and the API key")
	}
	return postern.Secret(strings.TrimSpace(key)), nil
}
