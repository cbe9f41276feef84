package connector

import (
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/postern-dev/postern"
)

// DefaultKeepAlive is how often a chisel server is pinged, as outsystemscc does.
const DefaultKeepAlive = 25 * time.Second

// AddHeader reads "HeaderName: HeaderContent" into h; of two with one name the last
// counts. Errors are CodeFlagInvalid and do not quote the content, which may be a token.
func AddHeader(h http.Header, text string) error {
	name, value, found := strings.Cut(text, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	switch {
	case !found:
		return postern.Errorf(postern.CodeFlagInvalid, "a header is written \"HeaderName: HeaderContent\", and there is no colon in the one of %d characters", len(text))
	case !httpguts.ValidHeaderFieldName(name):
		return postern.Errorf(postern.CodeFlagInvalid, "%q is no name of a header", name)
	case !httpguts.ValidHeaderFieldValue(value):
		return postern.Errorf(postern.CodeFlagInvalid, "the content of the header %s has a character that headers cannot have", name)
	}
	switch canonical := http.CanonicalHeaderKey(name); canonical {
	case "Connection", "Upgrade", "Content-Length", "Transfer-Encoding", "Sec-Websocket-Key", "Sec-Websocket-Version",
		"Sec-Websocket-Protocol", "Sec-Websocket-Extensions":
		return postern.Errorf(postern.CodeFlagInvalid, "the header %s belongs to the connection and cannot be set", canonical)
	}
	h.Set(name, value)
	return nil
}
