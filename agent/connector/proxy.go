package connector

import (
	"net/url"
	"strings"

	"github.com/postern-dev/postern/internal/dial"
)

// ParseProxy reads the value of --proxy, http://user:password@host:port and the like.
// Beside what dial.ParseProxy takes, "socks" is SOCKS5, and user and password may have
// any character as it is: what stands before the last @ is theirs. Errors are
// CodeConfigInvalid and show no password.
func ParseProxy(source, text string) (*dial.Proxy, error) {
	text = strings.TrimSpace(text)
	scheme, rest, found := strings.Cut(text, "://")
	if !found {
		scheme, rest = "http", text
	}
	if strings.EqualFold(scheme, "socks") {
		scheme = "socks5"
	}
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, password, has := strings.Cut(rest[:at], ":")
		info := url.User(unescaped(user))
		if has {
			info = url.UserPassword(unescaped(user), unescaped(password))
		}
		rest = info.String() + rest[at:]
	}
	return dial.ParseProxy(source, strings.ToLower(scheme)+"://"+rest)
}

// unescaped reads %XX where the text is well escaped, and takes it as it is else: a
// password with a % of its own.
func unescaped(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
