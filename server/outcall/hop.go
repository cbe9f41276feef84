package outcall

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/postern-dev/postern"
)

// hop is one request of a call.
type hop struct {
	target  *url.URL
	method  string
	header  http.Header
	body    []byte
	account postern.AccountID
	inside  *Inside
}

func newHop(target *url.URL, call Call) hop {
	header := call.Header.Clone()
	if header == nil {
		header = http.Header{}
	}
	if header.Get("User-Agent") == "" {
		header.Set("User-Agent", "postern")
	}
	return hop{target, method(call.Method), header, call.Body, call.Account, call.Inside}
}

// host names what is called, for people. Names of internal endpoints are no visitor's
// business, and errors may be shown to one.
func (h hop) host() string {
	if Internal(h.target.Hostname()) {
		return "an internal endpoint"
	}
	return h.target.Host
}

// redirects tells whether a status asks for another request (RFC 9110, section 15.4).
func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

// next is the request that an answer redirects to.
func (h hop) next(status int, location string) (hop, error) {
	relative, err := url.Parse(location)
	if err != nil {
		return hop{}, postern.Errorf(postern.CodeOutcallFailed, "%s redirects to what is no URL", h.host()).Because(err)
	}
	target := h.target.ResolveReference(relative)
	if err := check(target); err != nil {
		return hop{}, postern.Errorf(postern.CodeOutcallRefused, "%s redirects where no call may go: %s", h.host(), err.Message)
	}
	if Internal(target.Hostname()) && !Internal(h.target.Hostname()) {
		return hop{}, postern.Errorf(postern.CodeOutcallRefused, "%s redirects to an internal endpoint, which a policy alone may name", h.host())
	}
	to := hop{target, h.method, h.header, h.body, h.account, h.inside}
	keeps := status == http.StatusTemporaryRedirect || status == http.StatusPermanentRedirect
	if !keeps && h.method != http.MethodHead {
		to.method, to.body = http.MethodGet, nil
		to.header = only(h.header, func(name string) bool { return !strings.HasPrefix(name, "Content-") })
	}
	if sameOrigin(h.target, target) {
		return to, nil
	}
	switch {
	case h.target.Scheme == "https" && target.Scheme == "http":
		return hop{}, postern.Errorf(postern.CodeOutcallRefused, "%s redirects from https to http", h.host())
	case len(to.body) > 0:
		return hop{}, postern.Errorf(postern.CodeOutcallRefused, "%s redirects the request's body to another host, %s", h.host(), to.host())
	}
	to.header = only(to.header, harmless)
	return to, nil
}

// harmless are the headers that go to other origins, too: others may be credentials.
func harmless(name string) bool {
	switch name {
	case "Accept", "Accept-Language", "User-Agent":
		return true
	}
	return false
}

func only(header http.Header, keep func(name string) bool) http.Header {
	kept := http.Header{}
	for name, values := range header {
		if keep(name) {
			kept[name] = values
		}
	}
	return kept
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
