package signin

import (
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"

	"github.com/postern-dev/postern"
)

const (
	headerName   = "Postern-Authorization"
	codeHeader   = "Postern-Error-Code"
	cookiePrefix = "__Host-postern-gate-"
)

// rewrite leads a request to the endpoint, with the one line that signs it in.
// Everything else stays as the client wrote it.
func (d *Door) rewrite(p *httputil.ProxyRequest) {
	at := p.Out.URL
	at.Scheme, at.Host = d.config.URL.Scheme, d.config.URL.Host
	at.RawQuery, at.ForceQuery = p.In.URL.RawQuery, p.In.URL.ForceQuery
	// net/url would write some paths anew, which the service might take for another.
	if path, _, _ := strings.Cut(p.In.RequestURI, "?"); strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") {
		at.Opaque = path
	}
	p.Out.Host = d.config.URL.Host
	p.Out.Header.Set(headerName, d.credential)
}

// readAnswer takes the gate's own out of an answer: its cookie, which would sign in other
// programs on this machine, and its 401, for which a browser would ask people.
func (d *Door) readAnswer(answer *http.Response) error {
	h := answer.Header
	var kept []string
	for _, line := range h["Set-Cookie"] {
		if !strings.HasPrefix(line, cookiePrefix) {
			kept = append(kept, line)
		}
	}
	h.Del("Set-Cookie")
	if kept != nil {
		h["Set-Cookie"] = kept
	}
	wrong := answer.StatusCode == http.StatusUnauthorized && h.Get(codeHeader) == string(postern.CodePasswordRequired)
	d.noteRefused(wrong)
	if !wrong {
		return nil
	}
	_ = answer.Body.Close() // the gate's page, in whose place ours is
	say(answer, "The endpoint does not take the name or the password that \"postern access http\" was started with. Start it again with the right ones.\n")
	return nil
}

// noteRefused tells of a wrong password once, not with every request.
func (d *Door) noteRefused(wrong bool) {
	d.mu.Lock()
	first := wrong && !d.refused
	d.refused = wrong
	d.mu.Unlock()
	if first && d.config.WrongPassword != nil {
		d.config.WrongPassword()
	}
}

// fail answers where nobody else did.
func (d *Door) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // the client has left
	}
	d.config.Logger.WarnContext(r.Context(), "the endpoint cannot be reached", slog.String("url", d.config.URL.String()), slog.String("err", err.Error()))
	http.Error(w, "The endpoint "+d.config.URL.String()+" cannot be reached: "+err.Error(), http.StatusBadGateway)
}
