package outcall_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/server/outcall"
)

// redirecting answers /STATUS?to=URL by a redirect, and the rest by an echo.
func redirecting(w http.ResponseWriter, r *http.Request) {
	var status int
	if _, err := fmt.Sscanf(r.URL.Path, "/%d", &status); err != nil {
		echo(w, r)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: "session", Value: "secret"})
	w.Header().Set("Location", r.URL.Query().Get("to"))
	w.WriteHeader(status)
}

func TestRedirects(t *testing.T) {
	s, other := serve(t, redirecting), serve(t, redirecting)
	c := client(t, outcall.Config{Allow: loopback()})
	for _, test := range []struct {
		method, path string
		want         string // method and target of the last request
		headers      int    // of those that were set, below
	}{
		{"POST", "/301?to=/x", "GET /x ", 3},
		{"POST", "/302?to=/x", "GET /x ", 3},
		{"PUT", "/303?to=/x", "GET /x ", 3},
		{"POST", "/307?to=/x", "POST /x words", 4},
		{"PUT", "/308?to=/x", "PUT /x words", 4},
		{"GET", "/302?to=y%3Fz", "GET /y?z ", 3},
		{"GET", "/302?to=/303%3Fto=/x", "GET /x ", 3},
		{"POST", "/302?to=" + other.URL + "/x", "GET /x ", 1},
		{"GET", "/302?to=" + strings.Replace(s.URL, "127.0.0.1", "127.0.0.2", 1) + "/x", "", 0},
	} {
		call := outcall.Call{Method: test.method, URL: s.URL + test.path, Redirects: 5,
			Header: http.Header{"Authorization": {"Bearer x"}, "X-Api-Key": {"key"}, "Content-Type": {"text/plain"}, "Accept": {"*/*"}}}
		if test.method != "GET" {
			call.Body = []byte("words")
		}
		answer, err := c.Do(t.Context(), call)
		if test.want == "" { // nobody listens there; that it was tried is enough
			fails(t, err, postern.CodeOutcallFailed, "127.0.0.2")
			continue
		}
		h := hears(t, answer, err)
		if got := h.Method + " " + h.URI + " " + h.Body; got != test.want {
			t.Errorf("%s %s: %q, want %q", test.method, test.path, got, test.want)
		}
		kept := 0
		for name := range call.Header {
			if h.Header.Get(name) != "" {
				kept++
			}
		}
		if kept != test.headers || h.Header.Get("Cookie") != "" {
			t.Errorf("%s %s: %v arrive", test.method, test.path, h.Header)
		}
	}
}

func TestRedirectsThatAreNotFollowed(t *testing.T) {
	s, other := serve(t, redirecting), serve(t, redirecting)
	secure := serveTLS(t, redirecting)
	c := client(t, outcall.Config{Allow: loopback(), Roots: secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs})
	for _, test := range []struct {
		url, body string
		redirects int
		code      postern.Code
		says      string
	}{
		{s.URL + "/302?to=" + s.URL + "/302%3Fto=/x", "", 1, postern.CodeOutcallFailed, "more than 1 times"},
		{s.URL + "/307?to=" + other.URL, "words", 5, postern.CodeOutcallRefused, "the request's body"},
		{secure.URL + "/302?to=" + s.URL, "", 5, postern.CodeOutcallRefused, "from https to http"},
		{s.URL + "/302?to=file:///etc/passwd", "", 5, postern.CodeOutcallRefused, "neither http nor https"},
		{s.URL + "/302?to=http://user:password@127.0.0.1/", "", 5, postern.CodeOutcallRefused, "a user before the host"},
		{s.URL + "/302?to=http://%5B", "", 5, postern.CodeOutcallFailed, "no URL"},
	} {
		_, err := c.Do(t.Context(), outcall.Call{Method: "POST", URL: test.url, Body: []byte(test.body), Redirects: test.redirects})
		fails(t, err, test.code, test.says)
	}
	// Whoever follows none gets the redirect itself.
	answer, err := c.Do(t.Context(), outcall.Call{URL: s.URL + "/302?to=/x"})
	if err != nil || answer.Status != 302 || answer.Header.Get("Location") != "/x" {
		t.Errorf("%+v %v", answer, err)
	}
	if answer, err := c.Do(t.Context(), outcall.Call{URL: s.URL + "/304?to=/x", Redirects: 1}); err != nil || answer.Status != 304 {
		t.Errorf("%+v %v", answer, err)
	}
}
