package edge

import (
	"net/http"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/relay/http1"
)

// sharedDomain is the domain right below which endpoints of many accounts stand, if the
// exchange's endpoint does, too; "" for others, such as an account's own domains.
func (x *Exchange) sharedDomain() postern.Hostname {
	for _, shared := range [...]postern.Hostname{x.edge.config.EndpointsDomain, x.edge.config.Domain} {
		if shared != "" && strings.HasSuffix(string(x.host), "."+string(shared)) {
			return shared
		}
	}
	return ""
}

// ownCookie gives the value of a Set-Cookie line without a Domain that would have browsers
// send the cookie to the endpoints of other accounts: it is then one of this host alone.
// changed is false where the line may stay as it is.
func (x *Exchange) ownCookie(value string) (own string, changed bool) {
	if !strings.Contains(value, ";") {
		return value, false
	}
	shared := x.sharedDomain()
	if shared == "" {
		return value, false
	}
	parts := strings.Split(value, ";")
	kept := parts[:1]
	for _, part := range parts[1:] {
		name, domain, _ := strings.Cut(part, "=")
		if strings.EqualFold(strings.Trim(name, " \t"), "Domain") && !below(domain, shared) {
			continue
		}
		kept = append(kept, part)
	}
	if len(kept) == len(parts) {
		return value, false
	}
	return strings.Join(kept, ";"), true
}

// below tells whether the domain of a cookie is for sure within one name below shared. Who
// reads it in another way than we do has something else than a plain name before him.
func below(domain string, shared postern.Hostname) bool {
	domain = strings.ToLower(strings.TrimPrefix(strings.Trim(domain, " \t"), "."))
	name, found := strings.CutSuffix(domain, "."+string(shared))
	return found && name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '_')
	})
}

// keepCookies has the cookies of an answer stay with the exchange's endpoint.
func (x *Exchange) keepCookies(h http.Header) {
	for i, value := range h["Set-Cookie"] {
		if own, changed := x.ownCookie(value); changed {
			h["Set-Cookie"][i] = own
		}
	}
}

// keepCookiesOf is keepCookies for a head that the relay has parsed.
func (x *Exchange) keepCookiesOf(h *http1.Head) {
	for i := range h.Lines {
		if l := &h.Lines[i]; l.Field == http1.SetCookie {
			if own, changed := x.ownCookie(string(l.Value)); changed {
				l.SetValue(own)
			}
		}
	}
}
