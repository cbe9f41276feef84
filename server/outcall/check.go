package outcall

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
)

// mostURL bounds the length of a URL in bytes.
const mostURL = 8192

// CheckURL tells what is wrong with a URL, as far as that can be told without looking its
// host up; nil for nothing. Errors are CodeOutcallInvalid.
func CheckURL(text string) error {
	_, err := parse(text)
	return err
}

// CheckHeader tells whether a call may carry a header of that name.
func CheckHeader(name string) error {
	switch textproto.CanonicalMIMEHeaderKey(name) {
	case "Host", "Connection", "Content-Length", "Expect", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Proxy-Connection", "Proxy-Authorization":
		return postern.Errorf(postern.CodeOutcallInvalid, "a call cannot set the header %q", name)
	}
	if !httpguts.ValidHeaderFieldName(name) {
		return postern.Errorf(postern.CodeOutcallInvalid, "%.100q is not a header's name", name)
	}
	return nil
}

// check tells what is wrong with the rest of a call.
func (c Call) check() error {
	for name, values := range c.Header {
		if err := CheckHeader(name); err != nil {
			return err
		}
		for _, value := range values {
			if !httpguts.ValidHeaderFieldValue(value) {
				return postern.Errorf(postern.CodeOutcallInvalid, "the value of header %q has bytes that no header may have", name)
			}
		}
	}
	switch method(c.Method) {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
	default:
		return postern.Errorf(postern.CodeOutcallInvalid, "method %.40q is not GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS", c.Method)
	}
	if len(c.Body) > MostBody {
		return postern.Errorf(postern.CodeOutcallInvalid, "the body has %d bytes, at most %d are sent", len(c.Body), MostBody)
	}
	return nil
}

func method(name string) string {
	if name == "" {
		return http.MethodGet
	}
	return name
}

func parse(text string) (*url.URL, error) {
	if len(text) > mostURL {
		return nil, postern.Errorf(postern.CodeOutcallInvalid, "the URL has %d bytes, at most %d are allowed", len(text), mostURL)
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, postern.Errorf(postern.CodeOutcallInvalid, "it is not a URL such as https://api.example.com/check")
	}
	if err := check(u); err != nil {
		return nil, err
	}
	return u, nil
}

// check judges a URL by its text. The address is judged when it is connected to.
func check(u *url.URL) *postern.Error {
	host := u.Hostname()
	_, err := netip.ParseAddr(host)
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return postern.Errorf(postern.CodeOutcallInvalid, "scheme %.40q is neither http nor https", u.Scheme)
	case u.Opaque != "" || host == "":
		return postern.Errorf(postern.CodeOutcallInvalid, "%.200q names no host", u.Redacted())
	case u.User != nil:
		return postern.Errorf(postern.CodeOutcallInvalid, "the URL has a user before the host %q; send a header instead", host)
	case strings.Contains(host, "%"):
		return postern.Errorf(postern.CodeOutcallInvalid, "host %.200q has a zone", host)
	case err != nil && numeric(host):
		return postern.Errorf(postern.CodeOutcallInvalid, "host %.200q is a number, but not an address as it is written today, such as 192.0.2.1", host)
	}
	if text := u.Port(); text != "" {
		if number, err := strconv.ParseUint(text, 10, 16); err != nil || number == 0 || number == mailPort {
			return postern.Errorf(postern.CodeOutcallInvalid, "port %.20q is not one that may be called", text)
		}
	}
	return nil
}

// numeric tells whether some resolvers take a name for an IPv4 address: its last label
// is a number, perhaps in hexadecimal.
func numeric(host string) bool {
	host = strings.TrimSuffix(host, ".")
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	if hex, is := strings.CutPrefix(last, "0x"); is {
		_, err := strconv.ParseUint(hex, 16, 64)
		return hex == "" || err == nil
	}
	return last != "" && strings.Trim(last, "0123456789") == ""
}
