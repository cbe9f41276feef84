package jwks

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// lifetime is how long an answer may be used (RFC 9111, section 5.2.2), within bounds.
func lifetime(header http.Header) time.Duration {
	fresh := usuallyFresh
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return leastFresh
		case "max-age":
			seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31)
			if err != nil {
				return leastFresh
			}
			fresh = time.Duration(seconds) * time.Second //nolint:gosec // 31 bits
		}
	}
	return min(max(fresh, leastFresh), mostFresh)
}
