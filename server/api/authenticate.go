package api

import (
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/access"
	"github.com/postern-dev/postern/server/service"
)

// authenticate finds the caller of a request. The key is never part of an answer.
// Whoever only may look changes nothing, by whichever route. Where the request is to be
// sent again later, w says when.
func (a *API) authenticate(w http.ResponseWriter, r *http.Request) (service.Caller, error) {
	key, err := bearer(r.Header.Values("Authorization"))
	if err != nil {
		return service.Caller{}, err
	}
	var from netip.Addr
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		from = at.Addr().Unmap()
	}
	perMinute := a.config.WrongKeys()
	if wait := a.throttle.Admits(from, key, perMinute); wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		return service.Caller{}, postern.Errorf(postern.CodeTooManyRequests,
			"too many wrong API keys came from your address, or this one too often; %d a minute are heard from one address", perMinute)
	}
	caller, err := a.config.Service.AuthenticateKey(r.Context(), key)
	if postern.HasCode(err, postern.CodeKeyMalformed) || postern.HasCode(err, postern.CodeKeyInvalid) {
		a.throttle.Failed(from, key, perMinute)
	}
	if err != nil {
		return service.Caller{}, err
	}
	a.throttle.Succeeded(key)
	if r.Method != http.MethodGet && !caller.Role.MayWrite() {
		return service.Caller{}, postern.Errorf(postern.CodeOwnerReadOnly, "the role %q of the key's owner does not allow %s requests", caller.Role, r.Method)
	}
	caller.Source, caller.Addr = service.SourceAPI, from
	return caller, nil
}

// mayCome refuses a caller from whose address the account's IP restriction does not let
// the API be used.
func (a *API) mayCome(r *http.Request, by service.Caller) error {
	switch a.config.Access.Check(by.Account, access.API, by.Addr) {
	case access.Refused:
		return postern.Errorf(postern.CodeAPIAddressRefused, "Your IP %s does not match the IP policies of this account's restriction for the API", by.Addr)
	case access.Noted:
		a.config.Logger.WarnContext(r.Context(), "a caller's address does not pass the account's IP restriction, which is not enforced",
			"account", by.Account, "client", by.Addr.String())
	case access.Passes:
	}
	return nil
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
