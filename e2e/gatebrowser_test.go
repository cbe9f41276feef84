package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// frontPage is a front end as people have them: it sends the service's token to another
// origin, and knows nothing of a gate. api is where its settings say the service is.
const frontPage = `<!doctype html><title>Front end</title><p id="out"></p>
<script>
(async () => {
  const settings = new URLSearchParams(location.search);
  let shown;
  try {
    const answer = await fetch(settings.get("api") + "/orders", {headers: {Authorization: "Bearer %s"}});
    shown = answer.status + " " + await answer.text();
  } catch (failure) {
    shown = "no answer: " + failure;
  }
  document.querySelector("#out").textContent = shown;
})();
</script>`

// frontEnd is one that a browser has open.
type frontEnd struct {
	t       *testing.T
	browser context.Context
	service *jwtService
	port    string
}

func newFrontEnd(t *testing.T, browser context.Context, service *jwtService) *frontEnd {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, frontPage, jwt("ann"))
	}))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &frontEnd{t, browser, service, at.Port()}
}

// open has the browser load the front end by a name, and gives what it shows then.
func (f *frontEnd) open(name, api string) string {
	f.t.Helper()
	return f.visit(f.origin(name)+"/?api="+url.QueryEscape(api), "#out")
}

// visit has the browser go somewhere, and gives the text of an element once there is one.
// The page before is another process's: until the browser has changed over it may answer
// for the new one, or nobody.
func (f *frontEnd) visit(target, element string) (text string) {
	f.t.Helper()
	if err := chromedp.Do(f.browser, chromedp.Navigate(target)); err != nil {
		f.t.Fatal(err)
	}
	at, err := url.Parse(target)
	if err != nil {
		f.t.Fatal(err)
	}
	ask := fmt.Sprintf(`location.host + location.search === %q && document.querySelector(%q)?.textContent || ""`,
		at.Host+strings.TrimSuffix("?"+at.RawQuery, "?"), element)
	eventually(f.t, 20*time.Second, func() error {
		ctx, cancel := context.WithTimeout(f.browser, 10*time.Second)
		defer cancel()
		if text, err = chromedp.Run(ctx, chromedp.Evaluate[string](ask)); err != nil {
			return err
		}
		if text == "" {
			return fmt.Errorf("the page at %s shows nothing", target)
		}
		return nil
	})
	return text
}

func (f *frontEnd) origin(name string) string { return "http://" + name + ":" + f.port }

// works wants the page to show the service's answer, and the service to have got the
// page's one request as a browser sends it where there is no gate.
func (f *frontEnd) works(name, api string) {
	f.t.Helper()
	if shown := f.open(name, api); !strings.HasPrefix(shown, "200 hello ann") {
		f.t.Errorf("from %s by %s the page shows %q", name, api, shown)
	}
	preflights, requests := f.service.askedFrom(f.origin(name))
	if len(requests) != 1 || preflights == 0 {
		f.t.Errorf("from %s by %s the service got %d preflights and %v", name, api, preflights, requests)
		return
	}
	if got := requests[0]; !slices.Equal(got["Authorization"], []string{"Bearer " + jwt("ann")}) || got.Get("Cookie") != "" || got.Get("Postern-Authorization") != "" {
		f.t.Errorf("from %s by %s the service got %v", name, api, got)
	}
}

// askedFrom is what pages of an origin have sent, with how many preflights.
func (s *jwtService) askedFrom(origin string) (preflights int, requests []http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.seen {
		switch {
		case h.Get("Origin") != origin:
		case h.Get("Access-Control-Request-Method") != "":
			preflights++
		default:
			requests = append(requests, h)
		}
	}
	return preflights, requests
}

// S2: a back end that reads a token from Authorization, and a front end of another origin
// that sends it, both unmodified, behind a password, in a real browser: by the address of
// a colleague's machine, and by the endpoint's own once the colleague has signed in.
func TestFrontEndOfAnotherOriginBehindPassword(t *testing.T) {
	t.Parallel()
	s := newServerOf(t, homeDomain)
	s.start()
	s.bootstrap()
	browser := s.browser()

	g := s.gate(newJWTService(t), gateCredentials)
	front := newFrontEnd(t, browser, g.service)
	if shown := front.open("localhost", g.url); !strings.HasPrefix(shown, "401 ") || !strings.Contains(shown, passwordWanted) {
		t.Errorf("without a password the page shows %q", shown)
	}
	_, local := g.accessHTTP([]string{"POSTERN_ENDPOINT_AUTH=ann:correct horse"}, "--origin", front.origin("front.example.org"))
	front.works("localhost", local)
	front.works("front.example.org", local)
	shown := front.open("evil.example.org", local)
	if preflights, requests := g.service.askedFrom(front.origin("evil.example.org")); !strings.HasPrefix(shown, "no answer") || preflights+len(requests) > 0 {
		t.Errorf("a page of another site shows %q, and the service got %d preflights and %v", shown, preflights, requests)
	}
	g.service.gotNothingOf("correct horse", "ann:")

	g = s.gate(newJWTService(t), `{credentials: ["ann:correct horse"], grant_address: 8h}`)
	front = newFrontEnd(t, browser, g.service)
	if shown := front.open("front.example.org", g.url); !strings.Contains(shown, passwordWanted) {
		t.Errorf("before anybody signed in the page shows %q", shown)
	}
	if shown := front.visit(strings.Replace(g.url, "https://", "https://ann:correct%20horse@", 1), "body"); !strings.Contains(shown, tokenEmpty) {
		t.Errorf("who signed in sees %q", shown)
	}
	front.works("front.example.org", g.url)
	g.service.gotNothingOf("correct horse", "ann:")
}
