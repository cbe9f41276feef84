package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// browser is a headless Chromium that reaches every name at the server's ports and
// knows no other network.
func (s *server) browser() context.Context {
	s.t.Helper()
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath("/usr/bin/chromium"), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("host-resolver-rules", "MAP * 127.0.0.1"))
	allocator, cancelAllocator := chromedp.NewExecAllocator(s.t.Context(), options...)
	ctx, cancelBrowser := chromedp.NewContext(allocator)
	s.t.Cleanup(func() { cancelBrowser(); cancelAllocator() })
	return ctx
}

// look runs one query against the page.
func look[T any](t *testing.T, browser context.Context, query chromedp.Action[T]) T {
	t.Helper()
	ctx, cancel := context.WithTimeout(browser, 30*time.Second)
	defer cancel()
	value, err := chromedp.Run(ctx, query)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

const page = `<!doctype html><title>Local app</title><h1>Behind the firewall</h1><p id="out"></p>
<script>
(async () => {
  const posted = await (await fetch("/echo", {method: "POST", body: "posted"})).text();
  const socket = new WebSocket(location.origin.replace("https", "wss") + "/ws");
  socket.onopen = () => socket.send("framed");
  socket.onmessage = m => { document.querySelector("#out").textContent = posted + " " + m.data + " " + location.protocol; };
})();
</script>`

// A person opens the public URL: the page, its fetch and its WebSocket all arrive.
func TestBrowserOpensThePage(t *testing.T) {
	mux := http.NewServeMux()
	mux.Handle("/ws", webSocketEcho())
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) }) //nolint:errcheck // the page judges
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, page)
	})
	upstream := httptest.NewServer(mux)
	defer upstream.Close()
	s := startServer(t)
	_, url := s.agent("http", upstream.URL)

	browser := s.browser()
	if err := chromedp.Do(browser, chromedp.Navigate(url)); err != nil {
		t.Fatal(err)
	}
	heading := look(t, browser, chromedp.Text(chromedp.CSS("h1")))
	out := look(t, browser, chromedp.Poll[string](`document.querySelector("#out").textContent`))
	if heading != "Behind the firewall" || out != "posted framed https:" {
		t.Errorf("the page shows %q and %q", heading, out)
	}
}

// A person opens an address that nobody serves: the page says what and what to do.
func TestBrowserSeesTheErrorPage(t *testing.T) {
	s := startServer(t)
	browser := s.browser()
	if err := chromedp.Do(browser, chromedp.Navigate(fmt.Sprintf("https://nobody.%s:%d/", domain, s.https))); err != nil {
		t.Fatal(err)
	}
	title := look(t, browser, chromedp.Title())
	text := look(t, browser, chromedp.Text(chromedp.CSS("body")))
	for _, want := range []string{"ERR_NGROK_3200", "nobody." + domain} {
		if !contains(text, want) {
			t.Errorf("the page lacks %q: %s", want, text)
		}
	}
	if title == "" {
		t.Error("the page has no title")
	}
}
