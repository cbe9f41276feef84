package signin

import (
	"io"
	"net/http"
	"strconv"
	"strings"
)

// say puts a text in the place of the gate's refusal. It is no 401: for that browsers ask
// people for a password, and front ends take it for the service's word on their token.
// What lets pages of other origins read it stays.
func say(answer *http.Response, text string) {
	answer.StatusCode, answer.Status = http.StatusBadGateway, ""
	answer.Body, answer.ContentLength = io.NopCloser(strings.NewReader(text)), int64(len(text))
	if answer.Request.Method == http.MethodHead {
		answer.Body = http.NoBody
	}
	answer.TransferEncoding, answer.Trailer = nil, nil
	h := answer.Header
	for _, name := range []string{"Www-Authenticate", "Content-Encoding", "Etag", "Last-Modified"} {
		h.Del(name)
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
}
